"""Layers of a graph made from nodes of an ONNX file."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
import onnx

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.given import Quantizer
from codesign.graph import Node
from codesign.load.onnx_files.chains import naming
from codesign.load.onnx_files.file import OnnxFile, attributes
from codesign.load.onnx_files.marker import Marker
from codesign.load.onnx_files.names import layer_name, parameter_name, unused
from codesign.load.onnx_files.padding import PADDED, shares, uneven
from codesign.load.onnx_files.tensors import MOST_ELEMENTS, Array, not_finite
from codesign.load.onnx_files.values import Computed, Constant, Value
from codesign.ops import by_onnx_type
from codesign.ops.affine import Affine
from codesign.ops.dyadic import Dyadic
from codesign.ops.op import OnnxCall, Op, Rewritten, Shape
from codesign.ops.pad import Pad


@dataclass
class Layers:
    """Gathers nodes and parameters.

    Args:
        file: The file.
        shapes: Of the graph's tensors, the batch axis left out.
        positive: Those of them that are never negative.
    """

    file: OnnxFile
    shapes: dict[str, Shape]
    nodes: list[Node] = field(default_factory=list[Node])
    parameters: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    quantizers: dict[str, Quantizer] = field(default_factory=dict[str, Quantizer])
    roles: dict[str, str] = field(default_factory=dict[str, str])
    notices: list[str] = field(default_factory=list[str])
    positive: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self.by_torch = self.file.model.producer_name.startswith("pytorch")

    def add(self, nodes: Sequence[onnx.NodeProto], inputs: Sequence[Value | None], outputs: int) -> Computed:
        """Make a layer.

        Args:
            nodes: What it is made from, the first of which says how.
            inputs: What goes in, computed or constant; None for an optional one that is not given.
            outputs: How many outputs of the first node something reads.

        Raises:
            InputError: The operation refuses the nodes.
        """
        kind, first = "+".join(node.op_type for node in nodes), nodes[0]
        if kind not in by_onnx_type():  # a product with its bias
            nodes, kind = nodes[:1], first.op_type
        held = {place: value for place, value in enumerate(inputs) if isinstance(value, Constant)}
        sources = tuple(value.name for value in inputs if isinstance(value, Computed))
        shapes = [self.shapes[name] for name in sources]
        wish = layer_name(naming(nodes), held[1].name if 1 in held else "", self.by_torch)
        layer = unused(wish, {*self.shapes, *self.file.initializers, *self.parameters})

        def parameter(role: str, values: Array, place: int | None = None, transposed: bool = False) -> str:
            return self._parameter(layer, role, values, None if place is None else held[place], transposed)

        options = {key: value for key, value in attributes(first).items() if not isinstance(value, onnx.TensorProto)}
        constants = {place: constant.values for place, constant in held.items()}
        call = OnnxCall(layer, kind, tuple(shapes), constants, options, outputs, parameter)
        try:
            factors = shares(call)
            call = self._padded(call, sources)
            op = by_onnx_type()[kind].from_onnx(call)
        except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:  # an attribute of another kind
            raise call.refused(f"damaged ({type(error).__name__}: {error})", "as ONNX defines it") from error
        if call.shapes != tuple(shapes):  # zeros come before it
            sources = (self.nodes[-1].output,)
        shape = op.shape(layer, list(call.shapes), self.parameters)
        if prod(shape) > MOST_ELEMENTS or min(shape, default=1) < 1:
            raise call.refused(f"a tensor of shape {list(shape)}", f"1 to {MOST_ELEMENTS} elements")
        self._append(layer, op, sources, shape)
        if factors is not None:
            self._append(other := unused(f"{layer}.shares", self.shapes), Affine(factors), (layer,), shape)
            return Computed(other)
        return Computed(layer)

    def _append(self, name: str, op: Op, sources: tuple[str, ...], shape: Shape) -> None:
        self.nodes.append(Node(name, op, sources, name))
        self.shapes[name] = shape
        if not isinstance(op, Rewritten) and not op.signed([source not in self.positive for source in sources]):
            self.positive.add(name)

    def _padded(self, call: OnnxCall, sources: tuple[str, ...]) -> OnnxCall:
        """The call, with a layer of zeros before it where it pads one end more than the other; all padding counts."""
        if call.op_type in PADDED:
            call = replace(call, attributes={**call.attributes, "count_include_pad": 1})
        if len(sources) != 1 or (sizes := uneven(call, sources[0] not in self.positive)) is None:
            return call
        before, after = sizes
        name, pad = unused(f"{call.name}.pad", self.shapes), Pad((0, *before), (0, *after))
        self._append(name, pad, sources, pad.shape(name, list(call.shapes), {}))
        options = {**call.attributes, "pads": (0,) * len(before + after), "auto_pad": "NOTSET"}
        return replace(call, shapes=(self.shapes[name],), attributes=options)

    def mark(self, source: Computed, quantizer: Quantizer) -> Computed:
        """Put a quantizer behind a tensor."""
        name = unused(f"{source.name}.quantizer", self.shapes)
        self._append(name, Marker(quantizer), (source.name,), self.shapes[source.name])
        return Computed(name)

    def shifted(self, source: Computed, node: onnx.NodeProto, bits: int) -> Computed:
        """Put a division by ``2**bits`` behind a tensor, as the layer of a node."""
        name = unused(layer_name(node, "", self.by_torch), {*self.shapes, *self.file.initializers, *self.parameters})
        self._append(name, Affine(Dyadic(1, bits)), (source.name,), self.shapes[source.name])
        return Computed(name)

    def _by_channel(self, given: str, values: FloatArray, quantizer: Quantizer) -> Quantizer:
        """The bits of each output channel, where the file says them beside its one quantizer for all."""
        bits = self.file.channel_bits(given)
        if len(bits) != len(values):
            return quantizer
        shape = (len(bits), *[1] * (values.ndim - 1))
        widths, integers = (np.array(each, np.int64).reshape(shape) for each in zip(*bits, strict=True))
        return replace(quantizer, scale=2.0 ** (integers - widths), width=widths).compact()

    def _parameter(self, layer: str, role: str, values: Array, held: Constant | None, transposed: bool) -> str:
        given = held.name if held is not None else ""
        wish = parameter_name(given, layer, role, self.by_torch)
        with np.errstate(over="ignore"):
            plain: FloatArray = np.ascontiguousarray(values, np.float32)
        if wish in self.parameters:
            if wish == given and self.roles[wish] == role and np.array_equal(self.parameters[wish], plain):
                return wish  # of a layer that is called more than once
            wish = f"{layer}.{role}"
        name = unused(wish, {*self.parameters, *self.shapes, *(set(self.file.initializers) - {given})})
        if not plain.size:
            raise InputError(f"weights {name!r}", f"shape {list(plain.shape)}", "at least one element")
        if not np.isfinite(plain).all():
            raise not_finite(name, plain)
        self.parameters[name] = plain
        self.roles[name] = role
        if held is not None and held.quantizer is not None:
            was = held.moved(np.transpose) if transposed else held
            if was.quantizer is not None and np.array_equal(was.values, values):  # not scaled on the way
                self.quantizers[name] = self._by_channel(given, plain, was.quantizer.compact())
        return name
