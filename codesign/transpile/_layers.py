"""From the nodes of a QONNX file to hls4ml's layers, every precision set.

hls4ml's own reader of ONNX fails on parts of the dialect (average pooling, products without bias) and names tensors at
random where axes move. A tensor of the file is ``[channels, *positions]``; hls4ml's convolutions want channels last, so
that axes are moved in front of them and back before what needs the file's order. In io_parallel that is wires.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import onnx

from codesign.errors import InputError
from codesign.ops.op import Shape
from codesign.transpile._file import File, Values
from codesign.transpile._types import ap_type, constant_type

Layer = dict[str, Any]

#: Nodes that work on each element by itself.
ELEMENTWISE = ("Quant", "Relu", "LeakyRelu", "Clip", "Floor")
#: Nodes that take positions with channels last.
WINDOWS = ("AveragePool", "Conv", "MaxPool", "Pad", "Resize")


@dataclass(frozen=True)
class Place:
    """Where a tensor of the file is.

    Args:
        layer: The layer that gives it.
        axes: For every axis of what the layer gives, which of the file's it is.
        elements: For every element of a flat tensor, which of the file's it is; empty if they are in the file's order.
    """

    layer: str
    axes: Shape
    elements: Shape = ()


def in_order(rank: int) -> Shape:
    """Axes as the file has them."""
    return tuple(range(rank))


def channels_last(rank: int) -> Shape:
    """Axes as hls4ml's convolutions take them."""
    return (*range(1, rank), 0)


@dataclass
class Layers(File):
    """Gathers layers and their precisions.

    Args:
        model: The file.
        accumulators: Type of what each operation of the network gives, by tensor name. Operations of several nodes
            have tensors between them that are not in it.
        streamed: Whether positions come one after another, so that to move axes is to keep a whole tensor: inputs and
            outputs are in the order that layers have, then.
        extended: Whether layers of our own can be among them.
    """

    accumulators: Mapping[str, str]
    streamed: bool = False
    extended: bool = True
    layers: list[Layer] = field(default_factory=list[Layer])
    precisions: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    folded: set[str] = field(default_factory=set[str])
    turned: dict[tuple[str, Shape], str] = field(default_factory=dict[tuple[str, Shape], str])

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
        rank = len(self.shapes.get(output, ()))
        self.places[output] = Place(name, channels_last(rank) if more.get("data_format") else in_order(rank))
        return name

    def inner(self, name: str) -> str:
        """A name for a layer that the file has no node for, different from all that there are."""
        graph = self.model.graph
        taken = {*self.precisions, *(item.name for item in (*graph.input, *graph.node))}
        while name in taken:
            name += "_"
        return name

    def first(self, tensor: str) -> str:
        """The layer that gives a tensor as the file has it."""
        return self.moved(tensor, in_order(len(self.shapes[tensor])))

    def last(self, tensor: str) -> str:
        """The layer that gives a tensor with its channels last."""
        return self.moved(tensor, channels_last(len(self.shapes[tensor])))

    def like(self, tensor: str, other: str) -> str:
        """The layer that gives a tensor with its axes in the order that another has now."""
        return self.moved(tensor, self.places[other].axes)

    def moved(self, tensor: str, axes: Shape) -> str:
        """The layer that gives a tensor with its axes in an order."""
        place, shape = self.places[tensor], self.shapes[tensor]
        if place.axes == axes:
            return place.layer
        order = tuple(place.axes.index(axis) for axis in axes)
        if (place.layer, order) not in self.turned:
            name = self.inner(f"{place.layer}_axes{''.join(map(str, order))}")
            self.turned[place.layer, order] = self.gather(name, tensor, numbered(shape), axes)
        return self.turned[place.layer, order]

    def gather(self, name: str, tensor: str, elements: Values, axes: Shape) -> str:
        """A layer that gives chosen elements of a tensor.

        Args:
            name: Its name.
            tensor: The tensor.
            elements: For each of its elements, as the file would have it, which of the tensor's it is; -1 for zero.
                With one axis more, of which ones it is the largest.
            axes: The order that its axes have.

        Raises:
            InputError: The backend has no such layer.
        """
        self.require_extended(name)
        place, shape = self.places[tensor], self.shapes[tensor]
        given = place.elements or numbered(shape).transpose(place.axes).reshape(-1)
        more = tuple(range(len(axes), elements.ndim))
        places = np.append(np.argsort(given), -1)[elements.transpose(*axes, *more)]
        layer = {"class_name": "CodesignGather", "name": name, "outputs": [name], "inputs": [place.layer]}
        self.layers.append({**layer, "from": places.reshape(-1), "shape": list(places.shape[: len(axes)])})
        self.precisions[name] = {"result": self.precisions[place.layer]["result"]}
        return name

    def require_extended(self, name: str) -> None:
        """Refuse a layer of our own where there can be none.

        Raises:
            InputError: There can be none.
        """
        if not self.extended:
            found = "a layer that hls4ml has not, or a stream in another order than what reads it takes"
            raise InputError(f"layer {name!r}", found, "", "use io_parallel, or another backend")

    def choose(self, name: str, output: str, tensor: str, elements: Values, axes: Shape | None = None) -> None:
        """Say that a tensor is chosen elements of another, its axes in the same order unless one is given."""
        order = self.places[tensor].axes if axes is None else axes
        self.places[output] = Place(self.gather(name, tensor, elements, order), order)

    def keep(self, output: str, source: str) -> None:
        """Say that a tensor's axes and elements are in the order of another's."""
        place = self.places[source]
        self.places[output] = Place(self.places[output].layer, place.axes, place.elements)

    def only_products(self, tensor: str) -> bool:
        """Whether nothing but linear layers read a tensor, so that its elements may be in any order.

        A stream must come to them as it is: a flat one has the words that it had before.
        """
        if tensor in {info.name for info in self.model.graph.output}:
            return False
        return all(
            node.op_type == "MatMul"
            or (not self.streamed and node.op_type in ELEMENTWISE and self.only_products(node.output[0]))
            for node in self.readers(tensor)
        )

    def following(self, node: onnx.NodeProto, op_type: str) -> tuple[onnx.NodeProto, str] | None:
        """The node that goes on with a node's operation, if it is of that type, and its constant: taken in here."""
        if node.output[0] in self.accumulators:
            return None
        (reader,) = self.readers(node.output[0])
        if reader.op_type != op_type:
            return None
        self.folded.add(reader.output[0])
        return reader, next((name for name in reader.input if name in self.constants), "")

    def accumulator(self, tensor: str) -> dict[str, str]:
        """Types of what an operation gives, and of the sums on the way to it."""
        return {"result": self.accumulators[tensor], "accum": self.accumulators[tensor]}

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


def numbered(shape: Shape) -> Values:
    """A tensor's elements by number."""
    return np.arange(prod(shape)).reshape(shape)


Rule = Callable[[Layers, onnx.NodeProto], None]
