"""From an ONNX file to a graph, node by node; quantizers stay in it as markers."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import onnx

from codesign.errors import InputError, did_you_mean
from codesign.graph import Graph
from codesign.load.onnx_files.chains import chain_from, of_one_name
from codesign.load.onnx_files.file import QUANTIZERS, STANDARD, OnnxFile, attributes, label
from codesign.load.onnx_files.fold import FOLDED, fold, literal
from codesign.load.onnx_files.layers import Layers
from codesign.load.onnx_files.order import needed_nodes
from codesign.load.onnx_files.quantizers import LINEAR, QUANT, REFUSED, QuantizerCall, clipped
from codesign.load.onnx_files.tensors import array
from codesign.load.onnx_files.values import MOVES, Computed, Constant, Integers, Value, real
from codesign.ops import by_onnx_type
from codesign.ops.onnx_calls import BATCH
from codesign.ops.op import Shape


@dataclass
class Importer:
    """Walks a file's nodes.

    Args:
        file: The file.
        inputs: Shapes of the network's inputs by name, the batch axis left out.
        output: The tensor to build up to.
    """

    file: OnnxFile
    inputs: dict[str, Shape]
    output: str
    values: dict[str, Value] = field(default_factory=dict[str, Value])

    def run(self) -> tuple[Graph, Layers]:
        """The graph as the file has it, with markers, not rewritten yet; and what was gathered beside it.

        Raises:
            InputError: An operator is not supported, with its node.
        """
        nodes = needed_nodes(self.file, self.output)
        self.layers = Layers(self.file, dict(self.inputs))
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.values |= {name: Computed(name) for name in self.inputs}
        for name, tensor in self.file.initializers.items():
            if name in self.readers:
                self.values[name] = Constant(name, array(self.file, tensor))
        for node in nodes:
            check_operator(node)
        # Constants first: a product is one layer with the sum behind it only if that adds a constant.
        rest = [node for node in nodes if not self._takes_constant(node)]
        for node in rest:
            if node.output[0] not in self.values:
                self._take(node)
        end = self.values[self.output]
        if not isinstance(end, Computed):
            raise InputError(f"output {self.output!r}", "does not depend on the inputs", "an output of the network")
        layers = self.layers
        return Graph(dict(self.inputs), (end.name,), tuple(layers.nodes), layers.parameters), layers

    def _takes_constant(self, node: onnx.NodeProto) -> bool:
        """Take in a node that only constants go into; False if it is not one."""
        values = [self.values.get(name) for name in node.input if name]
        fixed = all(isinstance(value.source if isinstance(value, Integers) else value, Constant) for value in values)
        if fixed:
            self._take(node)
        return fixed

    def _take(self, node: onnx.NodeProto) -> None:
        """Take in a node, and those after it that are one layer with it."""
        values = [self.values.get(name) if name else None for name in node.input]
        for name, value in zip(node.input, values, strict=True):
            if name and value is None:
                raise InputError(label(node), f"reads {name!r}, which is not a tensor of a layer", "values of a layer")
        if node.op_type in (*QUANT, *LINEAR):
            self._quantize(node, values)
        elif any(isinstance(value, Integers) for value in values):
            self._clip(node, values)
        elif node.op_type == "Shape" and isinstance(values[0], Computed):
            options, whole = attributes(node), (BATCH, *self.layers.shapes[values[0].name])
            self._set(node, Constant("", np.array(whole[slice(options.get("start", 0), options.get("end"))], np.int64)))
        elif all(value is None or isinstance(value, Constant) for value in values):
            self._set(node, self._folded(node, values))
        else:
            self._add(node, values)

    def _folded(self, node: onnx.NodeProto, values: list[Value | None]) -> Constant:
        where, options, given = label(node), attributes(node), real(values)
        if node.op_type == "Constant":
            return Constant("", literal(where, self.file, options))
        first = values[0] if values else None
        if isinstance(first, Constant) and node.op_type in MOVES:
            return first.moved(lambda each: fold(where, node.op_type, [each, *given[1:]], options))
        result = fold(where, node.op_type, given, options)
        if isinstance(first, Constant) and node.op_type == "Clip" and result.dtype.kind in "iu":
            ends = [float(value.item()) for value in given[1:3] if value is not None and value.size == 1]
            return Constant(first.name, result, None, (ends[0], ends[1]) if len(ends) == 2 else None)
        return Constant("", result)

    def _quantize(self, node: onnx.NodeProto, values: list[Value | None]) -> None:
        source, given = values[0], real(values)
        if source is None or not node.output:
            raise InputError(label(node), "no input or output", "a tensor that is quantized")
        held = source.source if isinstance(source, Integers) else source
        constant = isinstance(held, Constant)
        shape = held.values.shape if isinstance(held, Constant) else (1, *self.layers.shapes[held.name])
        if node.op_type == "DequantizeLinear" and isinstance(source, Constant) and len(given) < 3:
            given = [*given, np.zeros((), source.values.dtype)]  # the type is that of the integers
        options = attributes(node)
        if node.op_type == "Trunc" and len(given) < 6 and isinstance(held, Computed):  # this kind says nothing of it
            options = {"signed": held.name not in self.layers.positive, **options}
        call = QuantizerCall(label(node), node.op_type, given, options, shape, constant)
        quantizer = call.read()
        if (shift := call.shift()) and isinstance(held, Computed):
            held = self.layers.shifted(held, node, shift)
        elif shift and isinstance(held, Constant):
            held = replace(held, values=np.ldexp(held.values, -shift))
        if node.op_type == "QuantizeLinear":
            self._set(node, Integers(held, quantizer))
        elif node.op_type != "DequantizeLinear":
            self._set(node, self._quantized(held, quantizer))
        elif isinstance(source, Integers):
            if not np.array_equal(quantizer.scale, source.quantizer.scale):
                raise InputError(label(node), "another scale than its QuantizeLinear's", "the same")
            self._set(node, self._quantized(held, source.quantizer))
        elif isinstance(source, Constant):
            quantizer = quantizer if source.clip is None else clipped(quantizer, *source.clip)
            whole = source.values.astype(np.float64) * quantizer.scale
            self._set(node, Constant(source.name, whole).quantized(quantizer))
        else:
            raise InputError(label(node), f"reads {source.name!r}, which was not quantized", "QuantizeLinear before it")

    def _quantized(self, held: Computed | Constant, quantizer: Any) -> Value:
        return held.quantized(quantizer) if isinstance(held, Constant) else self.layers.mark(held, quantizer)

    def _clip(self, node: onnx.NodeProto, values: list[Value | None]) -> None:
        """A Clip between QuantizeLinear and DequantizeLinear."""
        source, ends = values[0], [value for value in real(values[1:]) if value is not None and value.size == 1]
        if node.op_type != "Clip" or not isinstance(source, Integers) or len(ends) != 2:
            hint = "export in QDQ or QCDQ format: layers between DequantizeLinear and QuantizeLinear"
            raise InputError(label(node), "computes on integers", "QuantizeLinear, Clip, DequantizeLinear", hint)
        low, high = (float(value.item()) for value in ends)
        self._set(node, replace(source, quantizer=clipped(source.quantizer, low, high)))

    def _add(self, node: onnx.NodeProto, values: list[Value | None]) -> None:
        chain = chain_from(node, self.readers, self.output) or [node]
        pairs = pairwise(chain)
        after = [self.values.get(name) for one, other in pairs for name in other.input if name != one.output[0]]
        if not all(isinstance(value, Constant) for value in after):
            chain, after = [node], []
        if len(chain) == 1 and node.op_type not in by_onnx_type():
            raise InputError(label(node), f"{node.op_type} of a tensor", f"one of {', '.join(_layers())}")
        if len(chain) == 1 and (bias := self._bias(node, values)) is not None:
            chain, after = [node, self.readers[node.output[0]][0]], [bias]
        outputs = 1 + sum(bool(name) and name in self.readers for name in node.output[1:])
        made = self.layers.add(chain, [*values, *after], outputs)
        for each in chain:
            self._set(each, made)

    def _bias(self, node: onnx.NodeProto, values: list[Value | None]) -> Constant | None:
        """What the Add that alone reads a product with a matrix adds to it, if that is a constant per column."""
        readers = self.readers.get(node.output[0], [])
        kinds = (node.op_type, *(reader.op_type for reader in readers))
        if kinds != ("MatMul", "Add") or len(values) != 2 or node.output[0] == self.output:
            return None
        if self.file.model.producer_name == "codesign" and not of_one_name([node, *readers]):
            return None  # a layer of its own
        held = next((self.values.get(name) for name in readers[0].input if name != node.output[0]), None)
        weight = values[1]
        if not isinstance(held, Constant) or not isinstance(weight, Constant) or weight.values.ndim != 2:
            return None
        shape = held.values.shape
        fits = prod(shape) == (shape[-1] if shape else 1) and prod(shape) in (1, weight.values.shape[1])
        return held if fits else None

    def _set(self, node: onnx.NodeProto, value: Value) -> None:
        self.values[node.output[0]] = value


def check_operator(node: onnx.NodeProto) -> None:
    """Refuse a node of which nothing is known.

    Raises:
        InputError: It is one.
    """
    if not node.output or not node.output[0]:
        raise InputError(label(node), "no output", "one at least")
    if node.domain not in (*STANDARD, *QUANTIZERS):
        raise InputError(label(node), f"domain {node.domain!r}", "standard operators, or QONNX's quantizers")
    if node.op_type in REFUSED and node.domain in QUANTIZERS:
        raise InputError(label(node), "no fixed-point quantizer", ", ".join((*QUANT, *LINEAR)), REFUSED[node.op_type])
    parts = [part for name in by_onnx_type() for part in name.split("+")]
    layers = (*parts, *FOLDED, *LINEAR, "Constant")
    if node.op_type not in (QUANT if node.domain in QUANTIZERS else layers):
        known = f"layers {', '.join(_layers())}; quantizers {', '.join((*QUANT, *LINEAR))}"
        hint = did_you_mean(node.op_type, (*_layers(), *QUANT, *LINEAR))
        raise InputError(label(node), "an unsupported operator", known, "" if hint.startswith("known") else hint)


def _layers() -> list[str]:
    """Operators that are a layer by themselves."""
    return [name for name in by_onnx_type() if "+" not in name]
