"""From the nodes of a QONNX file to hls4ml's layers, every precision set.

hls4ml's own reader of ONNX fails on parts of the dialect (average pooling, products without bias) and names tensors at
random where axes move. A tensor of the file is ``[channels, *positions]``; hls4ml's convolutions want channels last, so
that axes are moved in front of them and back before what needs the file's order. In io_parallel that is wires.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from codesign.errors import ContractError
from codesign.fixed import Fixed
from codesign.ops.op import Shape
from codesign.transpile._types import ap_type, constant_type

Layer = dict[str, Any]
Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Place:
    """Where a tensor of the file is: the layer that gives it, and whether its channels are the last axis there."""

    layer: str
    last: bool = False


@dataclass
class Layers:
    """Gathers layers and their precisions.

    Args:
        model: The file, with C identifiers for names.
        accumulators: Type of each node's result, by node name.
    """

    model: onnx.ModelProto
    accumulators: Mapping[str, str]
    layers: list[Layer] = field(default_factory=list[Layer])
    precisions: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    folded: set[str] = field(default_factory=set[str])

    @cached_property
    def constants(self) -> dict[str, Values]:
        """Initializers, and what Quant nodes make of them, which are on its grid already."""
        found = {item.name: numpy_helper.to_array(item) for item in self.model.graph.initializer}
        quants = [node for node in self.model.graph.node if node.op_type == "Quant" and node.input[0] in found]
        return found | {node.output[0]: found[node.input[0]] for node in quants}

    @cached_property
    def formats(self) -> dict[str, Fixed]:
        """Of what Quant nodes give, by tensor name."""
        return {node.output[0]: self._format(node) for node in self.model.graph.node if node.op_type == "Quant"}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """By tensor, the batch axis left out."""
        graph = self.model.graph
        return {
            info.name: tuple(dimension.dim_value for dimension in info.type.tensor_type.shape.dim)[1:]
            for info in (*graph.input, *graph.value_info, *graph.output)
        }

    def run(self) -> tuple[list[str], list[str]]:
        """Names of the input and output layers.

        Raises:
            ContractError: A node that the list of allowed operations should have kept out.
        """
        from codesign.transpile._rules import RULES

        graph = self.model.graph
        for info in graph.input:
            quant = next(node for node in graph.node if info.name in node.input)
            shape = self.shapes[info.name]
            precision = {"result": ap_type(self.formats[quant.output[0]], saturate=True)}
            self.add(info.name, "InputLayer", info.name, [], precision, input_shape=list(shape))
        for node in graph.node:
            if node.output[0] in self.constants or node.output[0] in self.folded:
                continue
            if node.op_type not in RULES:
                raise ContractError(f"node {node.name!r}", f"operation {node.op_type}", f"one of {', '.join(RULES)}")
            RULES[node.op_type](self, node)
        return [info.name for info in graph.input], [self.first(info.name) for info in graph.output]

    def add(
        self, name: str, kind: str, output: str, inputs: Sequence[str], precision: Mapping[str, str], **more: Any
    ) -> str:
        """One layer, which gives the tensor ``output`` of the file.

        Args:
            name: Its name.
            kind: hls4ml's name of its class.
            output: The tensor.
            inputs: Layers that it reads.
            precision: Types by hls4ml's name for what has them.
            more: hls4ml's attributes.
        """
        layer = {"class_name": kind, "name": name, "outputs": [name], **more}
        self.layers.append(layer | ({"inputs": list(inputs)} if inputs else {}))
        self.precisions[name] = dict(precision)
        self.places[output] = Place(name, bool(more.get("data_format")))
        return name

    def first(self, tensor: str) -> str:
        """The layer that gives a tensor as the file has it."""
        return self._moved(tensor, last=False)

    def last(self, tensor: str) -> str:
        """The layer that gives a tensor with its channels last."""
        return self._moved(tensor, last=True)

    def like(self, tensor: str, other: str) -> str:
        """The layer that gives a tensor with its axes in the order that another has now."""
        return self._moved(tensor, self.places[other].last)

    def _moved(self, tensor: str, last: bool) -> str:
        place, rank = self.places[tensor], len(self.shapes[tensor])
        if place.last == last or rank < 2:
            return place.layer
        order = [*range(1, rank), 0] if last else [rank - 1, *range(rank - 1)]
        name = f"{place.layer}_{'last' if last else 'first'}"
        if name not in self.precisions:
            self.layers.append(
                {"class_name": "Transpose", "name": name, "outputs": [name], "inputs": [place.layer], "perm": order}
            )
            self.precisions[name] = {"result": self.precisions[place.layer]["result"]}
        return name

    def keep(self, output: str, source: str) -> None:
        """Say that a tensor's axes are in the order of another's."""
        self.places[output] = Place(self.places[output].layer, self.places[source].last)

    def following(self, node: onnx.NodeProto, op_type: str) -> tuple[onnx.NodeProto, str] | None:
        """The one node that reads a node's output, if it is of that type with a constant: taken in here."""
        readers = [other for other in self.model.graph.node if node.output[0] in other.input]
        if len(readers) != 1 or readers[0].op_type != op_type:
            return None
        constant = next((name for name in readers[0].input if name in self.constants), None)
        if constant is None or node.output[0] in {info.name for info in self.model.graph.output}:
            return None
        self.folded.add(readers[0].output[0])
        return readers[0], constant

    def accumulator(self, node: onnx.NodeProto) -> dict[str, str]:
        """Types of a node's result and of the sums on the way to it."""
        return {"result": self.accumulators[node.name], "accum": self.accumulators[node.name]}

    def weights(self, values: Values, tensor: str, bias: str | None) -> tuple[Layer, dict[str, str]]:
        """Attributes and types of a layer's weight and bias.

        Args:
            values: The weight as hls4ml has it.
            tensor: Its name in the file.
            bias: The bias's name in the file, if there is one.
        """
        outputs = values.shape[-1]
        own = np.zeros(outputs) if bias is None else self.constants[bias]
        types = {
            "weight": ap_type(self.formats[tensor]) if tensor in self.formats else constant_type(values),
            "bias": constant_type(own) if bias is None else ap_type(self.formats[bias]),
        }
        return {"weight_data": values.astype(np.float64), "bias_data": own.astype(np.float64), "use_bias": True}, types

    def _format(self, node: onnx.NodeProto) -> Fixed:
        found = {item.name: numpy_helper.to_array(item) for item in self.model.graph.initializer}
        scale, width = float(found[node.input[1]]), int(found[node.input[3]])
        signed = bool(attributes(node)["signed"])
        return Fixed(signed, width, width + round(np.log2(scale)))


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def size(shape: Shape) -> int:
    """Number of elements."""
    return prod(shape)


Rule = Callable[[Layers, onnx.NodeProto], None]
