"""New data for a bundle's networks, brought to what their input quantizers see."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.arrays import FloatArray
from codesign.bundle.contents import Contents
from codesign.errors import InputError


def read_inputs(path: Path, contents: Contents) -> list[FloatArray]:
    """The inputs in an ``.npz`` file, ``[samples, ...]`` each, the normalization before the network applied.

    Args:
        path: The file: arrays called as those of the build's data, or as the network's inputs; a single one ``x``.
        contents: Of the bundle.

    Raises:
        InputError: It is no such file, or its arrays don't fit.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(str(path), found, "arrays saved with numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = _names(path, list(archive), contents)
            arrays: list[npt.NDArray[Any]] = [archive[name] for name in names]
    except InputError:
        raise
    except Exception as error:  # a damaged archive makes zipfile, zlib or numpy raise anything at all
        found = f"not a whole .npz file of plain numbers ({type(error).__name__})"
        raise InputError(str(path), found, "arrays saved with numpy.savez") from error
    count = len(arrays[0]) if arrays[0].ndim else 0
    for name, array, tensor in zip(names, arrays, contents.inputs, strict=True):
        if not count or array.shape != (count, *tensor.shape) or array.dtype.kind not in "fiu":
            empty = "no samples: " if array.shape[:1] == (0,) else ""
            found = f"{empty}shape {list(array.shape)} of {array.dtype}"
            wanted = ", ".join(["samples", *map(str, tensor.shape)])
            raise InputError(f"{path}, array {name!r}", found, f"numbers of shape [{wanted}]")
    pairs = zip(names, arrays, strict=True)
    return [_seen(path, name, array, index, contents) for index, (name, array) in enumerate(pairs)]


def _names(path: Path, there: list[str], contents: Contents) -> tuple[str, ...]:
    """What the inputs are called in a file.

    Raises:
        InputError: Not all of them are there.
    """
    own = tuple(tensor.name for tensor in contents.inputs)
    ways = [contents.arrays, own, *([("x",)] if len(own) == 1 else [])]
    for names in ways:
        if len(names) == len(own) and set(names) <= set(there):
            return names
    wanted = " or ".join(dict.fromkeys(", ".join(names) for names in ways))
    raise InputError(str(path), f"arrays {', '.join(there)[:80] or 'none'}", f"arrays {wanted}")


def _seen(path: Path, name: str, array: npt.NDArray[Any], index: int, contents: Contents) -> FloatArray:
    """An input as its quantizer sees it.

    Raises:
        InputError: It holds NaN or infinite values.
    """
    real = np.asarray(array, np.float64)
    if contents.sent and array.dtype.kind in "iu":  # words
        real = np.ldexp(real, -np.asarray(contents.inputs[index].fixed.fraction))
    if contents.outside and contents.normalization is not None:  # as the build does, in the same types
        mean, scale = (np.asarray(contents.normalization[key][index], np.float64) for key in ("mean", "scale"))
        real = (np.asarray(array, np.float32) - mean) / scale
    if bad := int(np.count_nonzero(~np.isfinite(real))):
        raise InputError(f"{path}, array {name!r}", f"{bad} of {array.size} values are NaN or infinite", "numbers")
    return real.astype(np.float32)
