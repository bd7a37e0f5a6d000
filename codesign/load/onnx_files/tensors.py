"""The numbers of an ONNX file: its own, and those beside it, taken from its folder and nowhere else."""

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, numpy_helper

from codesign.errors import InputError
from codesign.load.onnx_files.file import MOST_BYTES, OnnxFile

#: No network that a trigger could hold comes near.
MOST_ELEMENTS = 2**28
Array = npt.NDArray[Any]


def array(file: OnnxFile, tensor: TensorProto) -> Array:
    """The values of a tensor.

    Raises:
        InputError: Damaged, of no plain numbers, or data outside the model's folder.
    """
    where = _where(file, tensor)
    if any(size < 0 for size in tensor.dims) or prod(tensor.dims) > MOST_ELEMENTS:
        raise InputError(where, f"shape {list(tensor.dims)}", f"at most {MOST_ELEMENTS} elements")
    if tensor.data_location == TensorProto.EXTERNAL:
        plain = TensorProto(data_type=tensor.data_type, dims=tensor.dims, name=tensor.name)
        plain.raw_data = _external(file, tensor, where)
        tensor = plain
    try:
        values = np.asarray(numpy_helper.to_array(tensor))
        if values.dtype.kind not in "fiub":  # bfloat16 and the like
            values = values.astype(np.float32)
    except Exception as error:  # onnx raises anything at damaged tensors
        raise InputError(where, f"damaged ({type(error).__name__})", "numbers that fit its shape") from error
    if list(values.shape) != list(tensor.dims):
        raise InputError(where, f"numbers of shape {list(values.shape)}", f"{list(tensor.dims)}")
    return values


def external_files(file: OnnxFile) -> tuple[Path, ...]:
    """Files of the model's folder that hold weights.

    Raises:
        InputError: One is outside the folder, or not there.
    """
    beside = [tensor for tensor in file.model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    return tuple(sorted({_place(file, tensor, _where(file, tensor)) for tensor in beside}))


def not_finite(name: str, values: Array) -> InputError:
    """The error of weights that are NaN or infinite."""
    bad = int(np.count_nonzero(~np.isfinite(values)))
    return InputError(f"weights {name!r}", f"{bad} of {values.size} values are NaN or infinite", "finite numbers")


def _where(file: OnnxFile, tensor: TensorProto) -> str:
    return f"{file.path}, tensor {tensor.name!r}"


def _external(file: OnnxFile, tensor: TensorProto, where: str) -> bytes:
    entries = {item.key: item.value for item in tensor.external_data}
    place = _place(file, tensor, where)
    try:
        offset, size = int(entries.get("offset") or 0), place.stat().st_size
        length = int(entries.get("length") or size - offset)
        if offset < 0 or length < 0 or offset + length > size or length > MOST_BYTES:
            raise InputError(where, f"bytes {offset} to {offset + length} of a file of {size}", "bytes that it has")
        with place.open("rb") as content:
            content.seek(offset)
            return content.read(length)
    except (OSError, ValueError) as error:
        raise InputError(where, f"external data {str(place)!r} cannot be read: {error}") from error


def _place(file: OnnxFile, tensor: TensorProto, where: str) -> Path:
    """The file with a tensor's data.

    Raises:
        InputError: It is not a plain file in the model's folder.
    """
    location = _last(item.value for item in tensor.external_data if item.key == "location")
    folder = file.path.resolve().parent
    try:
        place = (folder / location).resolve()
        inside = place.is_relative_to(folder) and not Path(location).is_absolute()
        if location and inside and place.is_file():
            return place
    except (OSError, ValueError):  # no name that a file can have
        inside = True
    if not inside:
        raise InputError(where, f"external data in {location[:99]!r}", f"a file in the model's folder, {folder}")
    raise InputError(where, f"external data in {location[:99]!r}, which is not there", "the file beside the model")


def _last(values: Iterable[str]) -> str:
    return next(reversed(list(values)), "")
