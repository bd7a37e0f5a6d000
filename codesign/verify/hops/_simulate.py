"""Calls a compiled hls4ml project for every input.

``python -m codesign.verify.hops._simulate LIBRARY IN.npz OUT.npz SIZE...``: LIBRARY is ``PROJECT.so`` with a function
``PROJECT_double(inputs..., outputs...)`` for one sample; IN.npz holds an array ``[batch, features]`` per input; a SIZE
is the number of elements of an output.
"""

import ctypes
import sys
from pathlib import Path

import numpy as np


def simulate(library: Path, source: Path, target: Path, sizes: list[int]) -> None:
    """One call per sample, as the testbench does; the outputs go to ``target``, ``[batch, size]`` each."""
    function = ctypes.CDLL(str(library))[f"{library.stem}_double"]
    function.restype = None
    with np.load(source, allow_pickle=False) as given:
        inputs = [np.ascontiguousarray(given[name], np.float64) for name in given]
    outputs = [np.empty((len(inputs[0]), size)) for size in sizes]
    pointers = [(array.ctypes.data, array.strides[0]) for array in (*inputs, *outputs)]
    for row in range(len(inputs[0])):
        function(*(ctypes.c_void_p(base + row * stride) for base, stride in pointers))
    np.savez(target, *outputs)


if __name__ == "__main__":
    simulate(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), [int(size) for size in sys.argv[4:]])
