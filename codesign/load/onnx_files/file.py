"""An ONNX file from outside, read whole and checked before anything is made of it."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from onnx import TensorProto, helper

from codesign.errors import InputError
from codesign.fixed import MAX_WIDTH

#: Protobuf, which ONNX files are, holds no more.
MOST_BYTES = 2**31 - 1
#: No network that a trigger could hold comes near.
MOST_NODES = 20_000
OLDEST_OPSET = 13
#: Domains of standard operators, and of quantizers by QONNX and the tools that write it.
STANDARD = ("", "ai.onnx")
QUANTIZERS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")


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
        """Parse, and check what can be seen without looking into nodes.

        Raises:
            InputError: It is no ONNX file, too large, too old, or made of parts that are not supported.
        """
        found = cls(path, _parse(path))
        found._check()
        found._check_names()
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

    def channel_bits(self, name: str) -> list[tuple[int, int]]:
        """Width and integer bits of every output channel of a weight, where codesign wrote them; else nothing."""
        try:
            widths, integers = (json.loads(self.properties[f"{key}:{name}"]) for key in ("widths", "integers"))
            found = [(int(width), int(integer)) for width, integer in zip(widths, integers, strict=True)]
        except (KeyError, ValueError, TypeError, OverflowError):
            return []
        fine = all(0 <= width <= MAX_WIDTH and width != 1 and abs(integer) < 512 for width, integer in found)
        return found if fine else []

    def inputs(self) -> list[onnx.ValueInfoProto]:
        """What is computed from; weights that are listed among the inputs, as older files do, left out."""
        return [info for info in self.model.graph.input if info.name not in self.initializers]

    def _check(self) -> None:
        model, graph, where = self.model, self.model.graph, str(self.path)
        newest = onnx.defs.onnx_opset_version()
        if not graph.node or not graph.output:
            raise InputError(where, "no network in it", "an ONNX file with nodes and outputs")
        if not OLDEST_OPSET <= self.opset <= newest:
            hint = f"convert: onnx.save(onnx.version_converter.convert_version(onnx.load(path), {OLDEST_OPSET}), new)"
            raise InputError(where, f"opset {self.opset}", f"{OLDEST_OPSET} to {newest}", hint)
        if model.functions:
            found, hint = (
                f"{len(model.functions)} functions of its own",
                "inline: onnx.inliner.inline_local_functions(m)",
            )
            raise InputError(where, found, "standard operators only", hint)
        if graph.sparse_initializer:
            raise InputError(where, "sparse tensors", "dense ones")
        if len(graph.node) > MOST_NODES:
            raise InputError(where, f"{len(graph.node)} nodes", f"at most {MOST_NODES}")

    def _check_names(self) -> None:
        """Every tensor is written once.

        Raises:
            InputError: One is not.
        """
        written = [item.name for item in self.model.graph.initializer]
        written += [info.name for info in self.inputs()]
        written += [name for node in self.model.graph.node for name in node.output if name]
        seen: set[str] = set()
        for name in written:
            if name in seen or not name:
                raise InputError(
                    f"{self.path}, tensor {name!r}", "written twice" if name else "no name", "unique names"
                )
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
            if item.t.data_location == TensorProto.EXTERNAL:
                raise ValueError
            if isinstance(value, bytes):
                value = value.decode()
            plain = isinstance(value, int | float | str | TensorProto)
            found[item.name] = value if plain else tuple(value)
        except (ValueError, TypeError) as error:
            where = f"{label(node)}, attribute {item.name!r}"
            raise InputError(where, "damaged", "a number, text or list, or a tensor inside the file") from error
    return found


def label(node: onnx.NodeProto) -> str:
    """A node in a message: its name, or that of its output, and its operator."""
    return f"node {node.name or next(iter(node.output), '')!r} ({node.op_type})"


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
    if not _readable(model):
        raise InputError(str(path), "names that are no text", "UTF-8, as onnx.save writes it")
    return model


def _readable(message: Message) -> bool:
    """Whether all texts in a message, and in those inside it, are texts: protobuf gives damaged ones as bytes."""
    for kind, value in message.ListFields():
        items: Any = value if kind.is_repeated else (value,)
        if kind.type == FieldDescriptor.TYPE_STRING and not all(isinstance(item, str) for item in items):
            return False
        if kind.type == FieldDescriptor.TYPE_MESSAGE and not all(_readable(item) for item in items):
            return False
    return True
