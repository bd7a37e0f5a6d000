"""Calls a compiled emulator for every sample, in a process of its own.

``python -m codesign.verify.hops._emulate LIBRARY NAME IN.npz OUT.npz``: IN.npz holds ``reals`` (float32) and ``codes``
(int64), ``[samples, inputs]`` each; OUT.npz gets what comes out of each, by the same names.
"""

import ctypes
import sys
from pathlib import Path

import numpy as np


def play(library: Path, name: str, given: Path, found: Path) -> None:
    """Run both C interfaces.

    Args:
        library: The library.
        name: Of the model.
        given: The inputs' file.
        found: The outputs' file.
    """
    loaded = ctypes.CDLL(str(library))
    size = loaded[f"{name}_outputs"]
    size.restype = ctypes.c_size_t
    results: dict[str, np.ndarray] = {}
    with np.load(given, allow_pickle=False) as arrays:
        for key, function in (("reals", f"{name}_predict"), ("codes", f"{name}_predict_codes")):
            values = np.ascontiguousarray(arrays[key])
            results[key] = np.empty((len(values), size()), values.dtype)
            call = loaded[function]
            call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
            if call(values.ctypes.data, results[key].ctypes.data, len(values)):
                raise RuntimeError(f"{function} failed")
    np.savez(found, allow_pickle=False, **results)


if __name__ == "__main__":
    play(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
