"""Writing an integer network as ONNX nodes with explicit Quant nodes (the QONNX dialect)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from codesign.arrays import FloatArray, IntArray
from codesign.fixed import Codes, Fixed
from codesign.interval import Interval
from codesign.ops.op import Shape
from codesign.quantized import Quantized

Float64 = npt.NDArray[np.float64]
QONNX_DOMAIN = "qonnx.custom_op.general"
OPSET = 13
#: qonnx 1.0's executor refuses newer files.
IR_VERSION = 10
BATCH = "batch"


@dataclass
class Writer:
    """Gathers nodes, initializers and shapes of one graph; operations see it as ``QonnxWriter``."""

    quantized: Quantized
    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict[str, onnx.TensorProto])
    shapes: dict[str, Shape] = field(default_factory=dict[str, Shape])
    constants: dict[str, Shape] = field(default_factory=dict[str, Shape])
    current: Shape = ()
    input_shapes: list[Shape] = field(default_factory=list[Shape])
    input_ranges: list[Interval] = field(default_factory=list[Interval])
    whole: set[str] = field(default_factory=set[str])

    def write(self) -> onnx.ModelProto:
        """The whole model. Tensors keep the graph's names; what a quantizer reads is called ``NAME.raw``."""
        graph, formats = self.quantized.graph, self.quantized.formats
        shapes = graph.shapes()
        names: dict[str, str] = {}
        ranges = self.quantized.ranges()
        for name, shape in graph.inputs.items():
            given = formats[name] if name in self.quantized.by_element else formats[name].envelope()
            names[name] = self._activation(name, self._own(f"{name}.quantized"), given, shape)
        for node in graph.nodes:
            self.current, self.input_shapes = shapes[node.output], [shapes[name] for name in node.inputs]
            self.input_ranges = [ranges[name] for name in node.inputs]
            inputs = [names.get(name, name) for name in node.inputs]
            if node.output in formats:
                raw = self._own(f"{node.output}.raw")
                node.op.write_qonnx(self, node.name, inputs, raw)
                self._activation(raw, node.output, formats[node.output], self.current)
            else:
                node.op.write_qonnx(self, node.name, inputs, node.output)
        model = self.model({"": OPSET, QONNX_DOMAIN: 1})
        sums = self.quantized.accumulators()
        notes = {f"accumulator:{name}": str(sums[name].smallest_format()) for name in sorted(sums)}
        helper.set_model_props(model, notes | self._channel_widths() | self._channel_integers())
        return model

    def model(self, opsets: Mapping[str, int]) -> onnx.ModelProto:
        """What has been written, as a model.

        Args:
            opsets: Versions by domain.
        """
        graph = self.quantized.graph
        shapes = graph.shapes()
        proto = helper.make_graph(
            self.nodes,
            "codesign",
            [self._info(name, shape) for name, shape in graph.inputs.items()],
            [self._info(name, shapes[name]) for name in graph.outputs],
            list(self.initializers.values()),
            value_info=[
                *(self._info(name, shape) for name, shape in self.shapes.items() if name not in graph.outputs),
                *(helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in self.constants.items()),
            ],
        )
        made = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        return helper.make_model(proto, opset_imports=made, producer_name="codesign", ir_version=IR_VERSION)

    def _channel_widths(self) -> dict[str, str]:
        """What Quant nodes do not say: ``widths:WEIGHT``, bits of every output channel.

        Where they are not one number for the tensor, or none. They hold the elements of a channel, were they to share a
        format.
        """
        found: dict[str, str] = {}
        for name in sorted(self.initializers.keys() & self.quantized.codes.keys()):
            fixed, codes = self.quantized.formats[name], self.quantized.codes[name]
            if np.ndim(fixed.width) or np.ndim(fixed.integer) or fixed.width == 0:
                found[f"widths:{name}"] = json.dumps(fixed.channel_widths(codes.shape).tolist())
        return found

    def _channel_integers(self) -> dict[str, str]:
        """Likewise ``integers:WEIGHT``, integer bits of every output channel, where a format is one per channel."""
        found: dict[str, str] = {}
        for name in sorted(self.initializers.keys() & self.quantized.codes.keys()):
            fixed, codes = self.quantized.formats[name], self.quantized.codes[name]
            shapes = [np.shape(bits) for bits in (fixed.width, fixed.integer)]
            by_channel = all(shape in ((), (len(codes), *[1] * (codes.ndim - 1))) for shape in shapes)
            if by_channel and (any(shapes) or fixed.width == 0):
                integers = np.broadcast_to(fixed.integer, codes.shape).reshape(len(codes), -1)[:, 0]
                found[f"integers:{name}"] = json.dumps(integers.tolist())
        return found

    def parameter(self, name: str, transpose: bool = False) -> str:
        """Initializer and Quant node of a parameter; returns the quantized tensor's name."""
        output = self._own(f"{name}.quantized")
        if output in self.constants:  # several nodes share it
            return output
        fixed = self.quantized.formats[name]
        real = Codes(self.quantized.codes[name], fixed.fraction).real()
        real = real.T if transpose else real
        self._initializer(name, real)
        self._quant_node(name, output, fixed, "ROUND")
        self.constants[output] = real.shape
        return output

    def constant(self, name: str, values: IntArray | FloatArray) -> str:
        """An initializer that only the file has: int64 of integers, else float32."""
        name, array = self._unused(name), np.asarray(values)
        kind = np.int64 if array.dtype.kind == "i" else np.float32
        self.initializers[name] = numpy_helper.from_array(array.astype(kind), name)
        return name

    def add(
        self, op_type: str, inputs: Sequence[str], output: str, name: str, shape: Shape | None = None, **attributes: Any
    ) -> str:
        """One standard node whose output has the current operation's shape, or the one given."""
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], name=name, **attributes))
        self.shapes[output] = self.current if shape is None else shape
        if attributes.get("to") == TensorProto.INT64:
            self.whole.add(output)
        return output

    def _own(self, name: str) -> str:
        """A name for a tensor that only the file has, different from all of the graph's."""
        graph = self.quantized.graph
        taken = {*graph.inputs, *graph.parameters, *(node.output for node in graph.nodes)}
        while name in taken:
            name += "_"
        return name

    def _unused(self, name: str) -> str:
        """A name for an initializer, different from all that there are too."""
        name = self._own(name)
        return name if name not in self.initializers else self._unused(f"{name}_")

    def _activation(self, source: str, output: str, fixed: Fixed, shape: Shape) -> str:
        """A quantizer of activations: one Quant node, and limits after it where elements differ in their bits.

        A Quant node has a step for each element, but one number of bits: of those, the limits leave each its own.
        """
        self.shapes[output] = shape
        widths = np.asarray(fixed.width)
        if widths.ndim == 0 and np.ndim(fixed.integer) == 0:
            self._quant_node(source, output, fixed, "FLOOR")
            return output
        widest, lsb = int(widths.max()), np.ldexp(1.0, -np.asarray(fixed.fraction))
        ends = {"Max": fixed.low * lsb, "Min": fixed.high * lsb}
        needed = [op for op in ends if np.any(widths < widest) and (op == "Min" or np.any(fixed.signed))]
        made = self._unused(f"{output}.stepped") if needed else output
        steps = Fixed(bool(np.any(fixed.signed)), widest, widest - np.asarray(fixed.fraction))
        self._quant_node(source, made, steps, "FLOOR", lsb)
        self.shapes[made] = shape
        for op in needed:
            after = output if op == needed[-1] else self._unused(f"{output}.limited")
            limit = self.constant(f"{output}.{op.lower()}", ends[op])
            made = self.add(op, [made, limit], after, f"{after}.{op.lower()}", shape)
        return output

    def _quant_node(self, source: str, output: str, fixed: Fixed, rounding: str, lsb: Float64 | None = None) -> None:
        """One Quant node, per tensor: the finest LSB and the widest range represent per-element bits exactly.

        Args:
            source: What it reads.
            output: What it gives.
            fixed: The format.
            rounding: How it rounds.
            lsb: A step for each element instead, each with as many bits.
        """
        fixed = fixed.envelope() if lsb is None else Fixed(fixed.signed, fixed.width, 0)
        width = max(int(fixed.width), 2 if fixed.signed else 1)  # narrower has no meaning, or another one, in QONNX
        scale = 2.0 ** -int(fixed.fraction) if lsb is None else lsb
        parameters = {"scale": scale, "zero_point": 0.0, "bit_width": float(width)}
        names = [self._unused(f"{output}.{key}") for key in parameters]
        for name, value in zip(names, parameters.values(), strict=True):
            self._initializer(name, np.array(value))
        self.nodes.append(
            helper.make_node(
                "Quant",
                [source, *names],
                [output],
                name=f"{output}.quant",
                domain=QONNX_DOMAIN,
                signed=int(fixed.signed),
                narrow=0,
                rounding_mode=rounding,
            )
        )

    def _initializer(self, name: str, value: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        self.initializers[name] = numpy_helper.from_array(np.asarray(value, np.float32, "C"), name)

    def _info(self, name: str, shape: Shape) -> onnx.ValueInfoProto:
        kind = TensorProto.INT64 if name in self.whole else TensorProto.FLOAT
        return helper.make_tensor_value_info(name, kind, [BATCH, *shape])
