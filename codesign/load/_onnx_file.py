"""An ONNX file from outside: read whole, checked, its external data taken from its own folder and nowhere else."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from codesign.errors import InputError

#: Protobuf, which ONNX files are, holds no more.
MOST_BYTES = 2**31 - 1
#: No network that a trigger could hold comes near.
MOST_NODES, MOST_ELEMENTS = 20_000, 2**28
OLDEST_OPSET = 13
#: Domains of standard operators, and of quantizers by QONNX and the tools that write it.
STANDARD = ("", "ai.onnx")
QUANTIZERS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class OnnxFile:
    """A file's content.

    Args:
        path: The file.
        model: Parsed.
    """

    path: Path
    model: onnx.ModelProto

    @classmethod
    def read(cls, path: Path) -> "OnnxFile":
        """Parse and check the outside.

        Raises:
            InputError: It is no ONNX file, too large, too old, or made of parts that are not supported.
        """
        found = cls(path, _parse(path))
        found._check()
        return found

    @cached_property
    def opset(self) -> int:
        """Version of the standard operators."""
        return next((item.version for item in self.model.opset_import if item.domain in STANDARD), 0)

    @cached_property
    def initializers(self) -> dict[str, TensorProto]:
        """By name."""
        return {item.name: item for item in self.model.graph.initializer}

    @cached_property
    def properties(self) -> dict[str, str]:
        """The metadata."""
        return {item.key: item.value for item in self.model.metadata_props}

    def widths(self, name: str) -> list[int] | None:
        """Bits of every output channel of a weight, where codesign wrote the file and channels differ."""
        try:
            given = json.loads(self.properties[f"widths:{name}"])
        except (KeyError, ValueError):
            return None
        fine = isinstance(given, list) and all(isinstance(bits, int) and 0 <= bits <= 53 for bits in given)  # pyright: ignore
        return given if fine and 1 not in given else None

    def inputs(self) -> list[onnx.ValueInfoProto]:
        """What is computed from; weights that are listed among the inputs, as older files do, left out."""
        return [info for info in self.model.graph.input if info.name not in self.initializers]

    def array(self, tensor: TensorProto) -> Array:
        """The values of a tensor.

        Raises:
            InputError: Damaged, of no plain numbers, or data outside the model's folder.
        """
        where = f"{self.path}, tensor {tensor.name!r}"
        if any(size < 0 for size in tensor.dims) or _count(tensor.dims) > MOST_ELEMENTS:
            raise InputError(where, f"shape {list(tensor.dims)}", f"at most {MOST_ELEMENTS} elements")
        try:
            if tensor.data_location == TensorProto.EXTERNAL:
                plain = TensorProto(data_type=tensor.data_type, dims=tensor.dims, name=tensor.name)
                plain.raw_data = self._external(tensor, where)
                tensor = plain
            values = np.asarray(numpy_helper.to_array(tensor))
            if tensor.data_type == TensorProto.BFLOAT16 or values.dtype.kind not in "fiub":
                values = values.astype(np.float32)
        except InputError:
            raise
        except Exception as error:  # onnx raises anything at damaged tensors
            raise InputError(where, f"damaged ({type(error).__name__})", "numbers that fit its shape") from error
        if values.dtype.kind not in "fiub" or list(values.shape) != list(tensor.dims):
            raise InputError(where, f"{values.dtype} of shape {list(values.shape)}", f"numbers {list(tensor.dims)}")
        return values

    def external_files(self) -> tuple[Path, ...]:
        """Files of the model's folder that hold weights."""
        tensors = [item for item in self._tensors() if item.data_location == TensorProto.EXTERNAL]
        return tuple(sorted({self._place(item, f"{self.path}, tensor {item.name!r}") for item in tensors}))

    def _tensors(self) -> Iterator[TensorProto]:
        yield from self.model.graph.initializer
        for node in self.model.graph.node:
            yield from (item.t for item in node.attribute if item.type == AttributeProto.TENSOR)

    def _external(self, tensor: TensorProto, where: str) -> bytes:
        entries = {item.key: item.value for item in tensor.external_data}
        place = self._place(tensor, where)
        try:
            offset, size = int(entries.get("offset") or 0), place.stat().st_size
            length = int(entries.get("length") or size - offset)
            if offset < 0 or length < 0 or offset + length > size or length > MOST_BYTES:
                raise InputError(where, f"bytes {offset} to {offset + length} of a file of {size}", "bytes that it has")
            with place.open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except (OSError, ValueError) as error:
            raise InputError(where, f"external data {str(place)!r} cannot be read: {error}") from error

    def _place(self, tensor: TensorProto, where: str) -> Path:
        """The file with a tensor's data.

        Raises:
            InputError: It is not a plain file in the model's folder.
        """
        location = next((item.value for item in tensor.external_data if item.key == "location"), "")
        folder = self.path.resolve().parent
        try:
            place = (folder / location).resolve()
            inside = place.is_relative_to(folder) and not Path(location).is_absolute()
            if location and inside and place.is_file():
                return place
        except (OSError, ValueError):
            inside = True
        if not inside:
            raise InputError(where, f"external data in {location!r}", f"a file in the model's folder, {folder}")
        raise InputError(where, f"external data in {location!r}, which is not there", "the file beside the model")

    def _check(self) -> None:
        model, graph = self.model, self.model.graph
        newest = onnx.defs.onnx_opset_version()
        if not graph.node or not graph.output:
            raise InputError(str(self.path), "no network in it", "an ONNX file with nodes and outputs")
        if not OLDEST_OPSET <= self.opset <= newest:
            hint = f"convert: onnx.save(onnx.version_converter.convert_version(onnx.load(path), {OLDEST_OPSET}), new)"
            raise InputError(str(self.path), f"opset {self.opset}", f"{OLDEST_OPSET} to {newest}", hint)
        if model.functions:
            found, hint = f"{len(model.functions)} functions of its own", "inline: onnx.inliner.inline_local_functions(m)"
            raise InputError(str(self.path), found, "standard operators only", hint)
        if graph.sparse_initializer:
            raise InputError(str(self.path), "sparse tensors", "dense ones")
        if len(graph.node) > MOST_NODES:
            raise InputError(str(self.path), f"{len(graph.node)} nodes", f"at most {MOST_NODES}")
        written = [item.name for item in graph.initializer]
        written += [info.name for info in self.inputs()]
        written += [name for node in graph.node for name in node.output if name]
        seen: set[str] = set()
        for name in written:
            if name in seen or not name:
                raise InputError(f"{self.path}, tensor {name!r}", "written twice" if name else "no name", "unique names")
            seen.add(name)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Numbers, texts and lists that a node says; tensors as protos.

    Raises:
        InputError: One is of another kind.
    """
    found: dict[str, Any] = {}
    for item in node.attribute:
        try:
            value: Any = helper.get_attribute_value(item)
            if isinstance(value, bytes):
                value = value.decode()
            plain = isinstance(value, int | float | str | TensorProto)
            found[item.name] = value if plain else tuple(value)
        except (ValueError, TypeError) as error:
            raise InputError(f"node {node.name!r}, attribute {item.name!r}", "damaged", "a number, text or list") from error
    return found


def _parse(path: Path) -> onnx.ModelProto:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            found = f"{size / 2**30:.1f} GiB; protobuf, which ONNX files are, holds no more than 2"
            hint = "save the weights beside it: onnx.save(model, path, save_as_external_data=True)"
            raise InputError(str(path), found, "at most 2 GiB", hint)
        content = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {error.strerror}", "an ONNX file") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise InputError(str(path), "not a whole ONNX file", "one written by onnx.save or an exporter") from None
    return model


def _count(dims: Any) -> int:
    count = 1
    for size in dims:
        count *= int(size)
    return count
