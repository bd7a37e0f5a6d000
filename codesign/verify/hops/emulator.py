"""A compiled emulator, called through both of its C interfaces."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codesign import tools
from codesign.arrays import IntArray

#: Longest time that all samples may take.
TIMEOUT_S = 3600.0


def emulator_mismatches(
    library: Path,
    name: str,
    given: tuple[npt.NDArray[np.float32], IntArray],
    wanted: IntArray,
    steps: Sequence[float],
    work: Path,
) -> int:
    """Samples on which numbers or codes come out otherwise than wanted.

    It is called in a process of its own: what crashes takes its process with it.

    Args:
        library: The library.
        name: Of the model.
        given: Inputs as numbers and as codes, ``[samples, elements]`` each, tensors one after another.
        wanted: Codes of the outputs, likewise.
        steps: What the code of each output is worth.
        work: A folder for the numbers on their way, and a log.

    Raises:
        ToolError: It crashed.
    """
    reals, codes = given
    inputs, outputs = (work.resolve() / f"emulator_{way}.npz" for way in ("inputs", "outputs"))
    np.savez(inputs, allow_pickle=False, reals=reals, codes=codes)
    command = [sys.executable, "-m", "codesign.verify.hops._emulate", library.resolve(), name, inputs, outputs]
    tools.run(command, library.parent, work / "emulator.log", TIMEOUT_S, tools.python_path())
    numbers = (wanted * np.asarray(steps)).astype(np.float32)
    with np.load(outputs, allow_pickle=False) as found:
        differs = (found["codes"] != wanted) | (found["reals"] != numbers)
    return int(np.count_nonzero(differs.any(1)))
