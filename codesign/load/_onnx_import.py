"""From an ONNX file to a graph, node by node; quantizers are set aside as number formats."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import onnx

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.graph import Graph, Node
from codesign.load._onnx_file import MOST_ELEMENTS, QUANTIZERS, STANDARD, Array, OnnxFile, attributes
from codesign.load._onnx_fold import FOLDED, fold
from codesign.load._onnx_names import layer_name, parameter_name, unused
from codesign.load._onnx_order import needed_nodes
from codesign.load._onnx_quantizers import LINEAR, QUANT, REFUSED, Quantizer
from codesign.ops import by_onnx_type
from codesign.ops._onnx import BATCH
from codesign.ops.op import OnnxCall, Shape

#: Operators whose second and third input, if constant, can make one layer with the product before them.
_BIAS = "Add"


@dataclass(frozen=True)
class Constant:
    """A value that the file holds or computes from others.

    Args:
        name: Of the tensor in the file that it came from; empty if it was computed.
        values: After its quantizer, if it has one.
        quantizer: The quantizer.
    """

    name: str
    values: Array
    quantizer: Quantizer | None = None


@dataclass(frozen=True)
class Integers:
    """What is between QuantizeLinear and DequantizeLinear: the name that goes in, and the quantizer so far."""

    source: str
    quantizer: Quantizer


@dataclass
class Importer:
    """Walks a file's nodes.

    Args:
        file: The file.
        shapes: Of the network's inputs, the batch axis left out.
        output: The tensor to build up to; empty for the file's only output.
    """

    file: OnnxFile
    shapes: list[Shape]
    output: str = ""
    constants: dict[str, Constant] = field(default_factory=dict[str, Constant])
    integers: dict[str, Integers] = field(default_factory=dict[str, Integers])
    tensors: dict[str, str] = field(default_factory=dict[str, str])
    known: dict[str, Shape] = field(default_factory=dict[str, Shape])
    nodes: list[Node] = field(default_factory=list[Node])
    parameters: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    origins: dict[str, tuple[Constant, bool]] = field(default_factory=dict[str, tuple[Constant, bool]])
    quantizers: dict[str, Quantizer] = field(default_factory=dict[str, Quantizer])
    quantized: set[str] = field(default_factory=set[str])
    unquantized: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    copies: list[str] = field(default_factory=list[str])

    def run(self) -> Graph:
        """The graph as the file has it, not rewritten yet; `quantizers` by tensor, `origins` of parameters."""
        inputs = self._inputs()
        self.tensors = {name: name for name in inputs}
        self.known = dict(inputs)
        output = self._output()
        nodes = needed_nodes(self.file, output)
        self.by_torch = self.file.model.producer_name.startswith("pytorch")
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        for name, tensor in self.file.initializers.items():
            if name in self.readers:
                self.constants[name] = Constant(name, self.file.array(tensor))
        rest = [node for node in nodes if not self._constant(node)]
        done: set[str] = set()
        for node in rest:
            if node.output[0] not in done:
                done.update(self._take(node))
        if output not in self.tensors:
            raise InputError(f"output {output!r}", "does not depend on the inputs", "an output of the network")
        self._note_reader(output, "output")
        return Graph(inputs, (self.tensors[output],), tuple(self.nodes), self.parameters)

    def _inputs(self) -> dict[str, Shape]:
        given = self.file.inputs()
        if len(given) != len(self.shapes):
            found = f"{len(given)} inputs ({', '.join(info.name for info in given)})"
            raise InputError(str(self.file.path), found, f"{len(self.shapes)}, as the data has input arrays")
        for info, shape in zip(given, self.shapes, strict=True):
            kind, where = info.type.tensor_type, f"{self.file.path}, input {info.name!r}"
            if kind.elem_type not in (1, 10, 11, 16):
                raise InputError(where, "not a tensor of floats", "float inputs")
            sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
            if kind.HasField("shape") and (
                len(sizes) != len(shape) + 1
                or any(size not in (None, own) for size, own in zip(sizes[1:], shape, strict=True))
            ):
                wanted = ["batch", *("any" if size is None else size for size in sizes[1:])]
                raise InputError(where, f"data of shape {['batch', *shape]}", f"{wanted}, by the file")
            if 0 in shape:
                raise InputError(where, f"shape {list(shape)}", "at least one element")
        return {info.name: shape for info, shape in zip(given, self.shapes, strict=True)}

    def _output(self) -> str:
        names = [info.name for info in self.file.model.graph.output]
        if self.output:
            return self.output
        if len(names) != 1:
            found = f"{len(names)} outputs ({', '.join(names)})"
            raise InputError(str(self.file.path), found, "one", "name the one with the logits: load.onnx.output")
        return names[0]

    def _where(self, node: onnx.NodeProto) -> str:
        return f"node {node.name or node.output[0]!r} ({node.op_type})"

    def _check_domain(self, node: onnx.NodeProto) -> None:
        where = self._where(node)
        if node.domain not in (*STANDARD, *QUANTIZERS):
            raise InputError(where, f"domain {node.domain!r}", "standard operators, or QONNX's quantizers")
        if node.op_type in REFUSED and node.domain in QUANTIZERS:
            raise InputError(where, "a quantizer that is not supported", ", ".join((*QUANT, *LINEAR)), REFUSED[node.op_type])
        known = QUANT if node.domain in QUANTIZERS else (*by_onnx_type(), *FOLDED, *LINEAR, "Constant")
        if node.op_type not in known:
            layers = f"layers {', '.join(by_onnx_type())}; quantizers {', '.join((*QUANT, *LINEAR))}"
            raise InputError(where, f"unsupported operator {node.op_type}", layers)

    def _constant(self, node: onnx.NodeProto) -> bool:
        """Take in a node that only constants go into; False if it is not one."""
        self._check_domain(node)
        where, options = self._where(node), attributes(node)
        if node.op_type == "Constant":
            self.constants[node.output[0]] = Constant("", _literal(where, self.file, options))
            return True
        if not all(not name or name in self.constants or name in self.integers for name in node.input):
            return False
        if any(name in self.tensors for name in node.input) or not node.input:
            return False
        if any(name in self.integers and self.integers[name].source in self.tensors for name in node.input):
            return False
        if node.op_type in (*QUANT, *LINEAR) or any(name in self.integers for name in node.input):
            return self._quantizer(node)
        given = [self.constants[name].values if name else None for name in node.input]
        first = self.constants[node.input[0]]
        kept = first.name if node.op_type in ("Identity", "Transpose", "Reshape", "Cast", "Squeeze", "Unsqueeze") else ""
        self.constants[node.output[0]] = Constant(kept, fold(where, node.op_type, given, options))
        return True

    def _quantizer(self, node: onnx.NodeProto) -> bool:
        """Take in a node that quantizes; False if it does not."""
        where, options, source, name = self._where(node), attributes(node), node.input[0], node.output[0]
        given = [self.constants[key].values if key in self.constants else None for key in node.input]
        if node.op_type in QUANT and node.domain in QUANTIZERS:
            self._quantize(source, name, Quantizer.quant(where, given, options).checked())
        elif node.op_type == "QuantizeLinear":
            self.integers[name] = Integers(source, Quantizer.linear(where, given, options))
        elif node.op_type == "DequantizeLinear" and source in self.integers:
            held = self.integers[source]
            again = Quantizer.linear(where, given, options)
            if not np.array_equal(again.scale, held.quantizer.scale):
                raise InputError(where, "another scale than its QuantizeLinear's", "the same")
            self._quantize(held.source, name, held.quantizer)
        elif node.op_type == "DequantizeLinear" and source in self.constants:
            held = self.constants[source]
            zero = given[2] if len(given) > 2 and given[2] is not None else np.zeros((), held.values.dtype)
            found = Quantizer.linear(where, [held.values, given[1], zero], options)
            real = held.values * found._shaped(found.scale, held.values.shape)  # pyright: ignore[reportPrivateUsage]
            self.constants[name] = Constant(held.name, real, found)
        elif node.op_type == "Clip" and source in self.integers:
            held = self.integers[source]
            if any(value is None or value.size != 1 for value in given[1:3]) or len(given) < 3:
                raise InputError(where, "a Clip of integers without both ends", "constants min and max")
            low, high = (float(value.reshape(-1)[0]) for value in given[1:3] if value is not None)
            self.integers[name] = replace(held, quantizer=held.quantizer.clipped(low, high))
        else:
            if any(key in self.integers for key in node.input):
                hint = "export in QDQ or QCDQ format: layers between DequantizeLinear and QuantizeLinear"
                raise InputError(where, "computes on integers", "QuantizeLinear, Clip, DequantizeLinear", hint)
            return False
        return True

    def _quantize(self, source: str, name: str, quantizer: Quantizer) -> None:
        """A tensor or constant gets its quantizer."""
        if source in self.constants:
            held = self.constants[source]
            if not np.isfinite(held.values).all():
                raise _not_finite(source, held.values)
            self.constants[name] = Constant(held.name, quantizer.applied(held.values), quantizer)
            return
        tensor = self.tensors[source]
        before = self.quantizers.get(tensor)
        if before is not None and source not in self.quantized:
            one, other = (each.fixed(self.known[tensor])[0] for each in (before, quantizer))
            if one != other:
                raise InputError(quantizer.where, f"{other} for a tensor that is also quantized to {one}", "one format")
        self.tensors[name] = tensor
        self.quantized.add(name)
        self.quantizers[tensor] = quantizer

    def _take(self, node: onnx.NodeProto) -> list[str]:
        """Take in a node that computes; returns the outputs that are done."""
        where, options = self._where(node), attributes(node)
        missing = [n for n in node.input if n and n not in {**self.constants, **self.tensors, **self.integers}]
        if missing:
            raise InputError(where, f"reads {missing[0]!r}, which is not a float tensor here", "the values of a layer")
        if self._quantizer(node):
            return [node.output[0]]
        if node.op_type == "Shape":
            whole = (BATCH, *self.known[self.tensors[node.input[0]]])
            part = whole[slice(options.get("start", 0), options.get("end"))]
            self.constants[node.output[0]] = Constant("", np.array(part, np.int64))
            return [node.output[0]]
        if all(not name or name in self.constants for name in node.input):  # from shapes, known only now
            given = [self.constants[name].values if name else None for name in node.input]
            self.constants[node.output[0]] = Constant("", fold(where, node.op_type, given, options))
            return [node.output[0]]
        if node.op_type not in by_onnx_type():
            raise InputError(where, f"{node.op_type} of a tensor", f"one of {', '.join(by_onnx_type())}")
        names, last = list(node.input), node
        if node.op_type == "MatMul" and (after := self._bias_after(node)) is not None:
            last, bias = after
            names.append(bias)
        self._add(node, names, last, options)
        return [node.output[0], last.output[0]]

    def _bias_after(self, node: onnx.NodeProto) -> tuple[onnx.NodeProto, str] | None:
        """The Add that gives a product its bias, if it alone reads the product, and the bias."""
        readers = self.readers.get(node.output[0], [])
        if len(readers) != 1 or readers[0].op_type != _BIAS or len(node.input) != 2 or node.output[0] == self.output:
            return None
        others = [name for name in readers[0].input if name != node.output[0]]
        held = self.constants.get(others[0]) if len(others) == 1 else None
        weight = self.constants.get(node.input[1])
        if held is None or weight is None or weight.values.ndim != 2:
            return None
        shape = held.values.shape
        fits = prod(shape) == (shape[-1] if shape else 1) and prod(shape) in (1, weight.values.shape[1])
        return (readers[0], others[0]) if fits else None

    def _add(self, node: onnx.NodeProto, names: list[str], last: onnx.NodeProto, options: dict[str, Any]) -> None:
        held = {place: self.constants[name] for place, name in enumerate(names) if name in self.constants}
        sources = [self.tensors[name] for name in names if name in self.tensors]
        weight = held[1].name if 1 in held else ""
        taken = {*self.known, *(name for name in self.file.initializers), *self.parameters}
        layer = unused(layer_name(node, weight, self.by_torch), taken)

        def parameter(role: str, values: Array, place: int | None = None, transposed: bool = False) -> str:
            return self._parameter(layer, role, values, None if place is None else held[place], transposed)

        call = OnnxCall(
            layer,
            node.op_type,
            tuple(self.known[name] for name in sources),
            {place: constant.values for place, constant in held.items()},
            {key: value for key, value in options.items() if not isinstance(value, onnx.TensorProto)},
            1 + sum(bool(name) and name in self.readers for name in node.output[1:]),
            parameter,
        )
        try:
            op = by_onnx_type()[node.op_type].from_onnx(call)
        except (TypeError, ValueError, KeyError, IndexError) as error:  # an attribute or input of another kind
            raise call.refused(f"damaged ({type(error).__name__}: {error})", "as ONNX defines it") from error
        shape = op.shape(layer, [self.known[name] for name in sources], self.parameters)
        if prod(shape) > MOST_ELEMENTS:
            raise call.refused(f"a tensor of shape {list(shape)}", f"at most {MOST_ELEMENTS} elements")
        for name in names:
            self._note_reader(name, layer)
        self.nodes.append(Node(layer, op, tuple(sources), layer))
        self.known[layer] = shape
        self.tensors[last.output[0]] = layer

    def _note_reader(self, name: str, reader: str) -> None:
        """Remember who reads a tensor past its quantizer."""
        if name in self.tensors and name not in self.quantized:
            self.unquantized.setdefault(self.tensors[name], []).append(reader)

    def _parameter(self, layer: str, role: str, values: Array, held: Constant | None, transposed: bool) -> str:
        given = held.name if held is not None else ""
        wish = parameter_name(given, layer, role, self.by_torch)
        if wish in self.parameters:
            self.copies.append(f"{layer}: has a copy of {wish!r}, which other layers use too")
            wish = f"{layer}.{role}"
        name = unused(wish, {*self.parameters, *self.known, *(set(self.file.initializers) - {given})})
        with np.errstate(over="ignore"):
            plain: FloatArray = np.ascontiguousarray(values, np.float32)
        if not plain.size:
            raise InputError(f"weights {name!r}", f"shape {list(plain.shape)}", "at least one element")
        if not np.isfinite(plain).all():
            raise _not_finite(name, plain)
        self.parameters[name] = plain
        if held is not None and held.quantizer is not None:
            before = held.values.T if transposed else held.values
            if np.array_equal(before.reshape(-1), values.reshape(-1)):  # not scaled by alpha or beta
                self.origins[name] = held, transposed
        return name


def _not_finite(name: str, values: Array) -> InputError:
    bad = int(np.count_nonzero(~np.isfinite(values)))
    return InputError(f"weights {name!r}", f"{bad} of {values.size} values are NaN or infinite", "finite numbers")


def _literal(where: str, file: OnnxFile, options: dict[str, Any]) -> Array:
    """The value of a Constant node."""
    if isinstance(options.get("value"), onnx.TensorProto):
        return file.array(options["value"])
    for key, kind in {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}.items():
        if key in options:
            return np.array(options[key], kind)
    raise InputError(where, f"a constant of {', '.join(options) or 'nothing'}", "numbers")


def readable(names: Iterable[str]) -> str:
    """Names in a message."""
    return ", ".join(map(repr, names))
