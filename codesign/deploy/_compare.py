"""An emulator beside the reference: the test set that lies with it, and the integers of the compiled library."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codesign import tools
from codesign.arrays import FloatArray, IntArray
from codesign.deploy._library import Library
from codesign.design import Check
from codesign.passes import Context
from codesign.quantized import Quantized
from codesign.verify.hops.corners import corners
from codesign.verify.hops.emulator import emulator_mismatches

#: Test samples that are scaled until they leave the input formats, and by what power of two.
SATURATED, SCALE = 1024, 6
#: What may be scaled by it.
LARGEST = float(np.finfo(np.float32).max) / 2**SCALE


def expected(library: Library, quantized: Quantized, inputs: Sequence[FloatArray]) -> tuple[IntArray, IntArray]:
    """Codes of inputs and outputs, ``[samples, elements]``, tensors one after another."""
    encoded = quantized.encode(inputs)
    values = quantized.run(encoded)
    count = len(inputs[0])
    outputs = [
        values[name].align(int(fixed.fraction)).values.reshape(count, -1)
        for name, fixed in library.circuit.outputs.items()
    ]
    return np.concatenate([x.values.reshape(count, -1) for x in encoded.values()], 1), np.concatenate(outputs, 1)


def flat(inputs: Sequence[FloatArray]) -> npt.NDArray[np.float32]:
    """Inputs ``[samples, ...]`` as the library takes them."""
    return np.concatenate([np.asarray(x, np.float32).reshape(len(x), -1) for x in inputs], 1)


def write_test_set(library: Library, quantized: Quantized, inputs: Sequence[FloatArray], folder: Path) -> None:
    """Write the test split, plain numbers one after another: inputs as reals and codes, the codes that come out."""
    folder.mkdir()
    codes, wanted = expected(library, quantized, inputs)
    flat(inputs).astype("<f4").tofile(folder / "inputs.f32")
    codes.astype("<i8").tofile(folder / "inputs.i64")
    wanted.astype("<i8").tofile(folder / "outputs.i64")
    np.array(library.steps()).astype("<f8").tofile(folder / "steps.f64")


def compared(
    library: Library, quantized: Quantized, test: Sequence[FloatArray], folder: Path, context: Context, compiler: str
) -> Check:
    """Run the test split, samples that saturate and corners of the input range through both C interfaces.

    Args:
        library: What was compiled.
        quantized: The reference.
        test: Inputs of the test split.
        folder: Where the library is.
        context: For its folder, and the seed of the corners.
        compiler: What compiled it, for the record.

    Raises:
        ToolError: It crashed.
    """
    ends = corners(quantized, context.seed).values()
    inputs: list[FloatArray] = []
    for x, end in zip(test, ends, strict=True):
        large = np.ldexp(np.clip(x[:SATURATED], -LARGEST, LARGEST), SCALE)
        inputs.append(np.concatenate([x, large, end.real()]).astype(np.float32))
    codes, wanted = expected(library, quantized, inputs)
    given = (flat(inputs), codes)
    count = emulator_mismatches(folder / library.file, library.name, given, wanted, library.steps(), context.work)
    detail = f"C++17, {tools.version(compiler)}, reals and codes"
    return Check("numpy", "emulator", len(wanted), count, "differs" if count else "exact", detail)
