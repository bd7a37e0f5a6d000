"""Where bits stand: which elements of an activation share them, and which of them each weight meets."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from codesign.errors import ContractError
from codesign.graph import Graph, Node
from codesign.ops.op import Shape


@dataclass(frozen=True)
class Reached:
    """What a tensor reaches through operations without weights.

    Args:
        activations: Quantized tensors whose units are its channels.
        always: Whether it is needed whatever those are: it is an output, or reaches channels in another order.
    """

    activations: tuple[str, ...]
    always: bool


@dataclass(frozen=True)
class Units:
    """The units of a graph: elements of an activation that share their bits.

    Elements of a tensor with one axis each have their own; of others, those along the axis that weights tell apart.

    Args:
        graph: The network.
        single: Whether an activation has one unit only.
    """

    graph: Graph
    single: bool = False

    @cached_property
    def sizes(self) -> dict[str, Shape]:
        """Shape of every tensor, the batch axis left out."""
        return self.graph.shapes()

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Shape of the bits of every activation, which broadcasts against it."""
        return {name: self._shape(name) for name in self.graph.activations()}

    @cached_property
    def meetings(self) -> dict[str, Tensor]:
        """Which units of its input each weight of a node meets, by the node's name.

        ``[columns]`` for weights ``[rows, columns]``, the same in every row; the number after the last for those that
        meet nothing but padding.
        """
        found: dict[str, Tensor] = {}
        for node in self.graph.weighted():
            meeting = self._meeting(node, self.shapes[self.graph.origin(node.inputs[0])])
            if meeting is None:
                raise ContractError(f"layer {node.name!r}", "weights that meet several units", "one each")
            found[node.name] = meeting
        return found

    def positions(self, node: Node) -> int:
        """Places at which a node's weights are used."""
        return prod(self.sizes[node.output]) // self.channels(node)

    def channels(self, node: Node) -> int:
        """Output channels of a node with weights."""
        return len(self.graph.parameters[node.op.parameters()["weight"]])

    def reached(self, node: Node) -> Reached:
        """What a node's output channels reach."""
        return self._reached(node.output, channel_axis(node), self.channels(node))

    def onward(self, activation: str) -> Reached:
        """What the units of a quantized tensor reach beside the weights that they meet."""
        shape = self.shapes[activation]
        units = prod(shape)
        return self._after(activation, 0 if shape[0] == units else -1, units)

    def _reached(self, tensor: str, axis: int, units: int) -> Reached:
        if tensor in self.shapes:
            shape = [1] * len(self.sizes[tensor])
            shape[axis] = units
            same = self.shapes[tensor] == tuple(shape)
            return Reached((tensor,) if same else (), tensor in self.graph.outputs or not same)
        return self._after(tensor, axis, units)

    def _after(self, tensor: str, axis: int, units: int) -> Reached:
        """Of a tensor as it is read, through operations that keep its axes."""
        found, always = list[str](), tensor in self.graph.outputs
        for node in self.graph.consumers(tensor):
            if "weight" in node.op.parameters():
                continue
            size = self.sizes[node.output]
            after = None
            if node.op.moves_data:  # what weights read is followed by them
                always = always or self._open(node.output)
                continue
            if -len(size) <= axis < len(size) and size[axis] == units:
                after = self._reached(node.output, axis, units)
            found += () if after is None else after.activations
            always = always or after is None or after.always
        return Reached(tuple(dict.fromkeys(found)), always)

    def _open(self, tensor: str) -> bool:
        """Whether moved data is read by anything but weights."""
        readers = self.graph.consumers(tensor)
        moved = [node for node in readers if node.op.moves_data]
        weighted = [node for node in readers if "weight" in node.op.parameters()]
        rest = len(readers) - len(moved) - len(weighted)
        return tensor in self.graph.outputs or rest > 0 or any(self._open(node.output) for node in moved)

    def _shape(self, activation: str) -> Shape:
        size = self.sizes[activation]
        whole = (1,) * len(size)
        if self.single:
            return whole
        readers = [node for node in self.graph.weighted() if self.graph.origin(node.inputs[0]) == activation]
        last, first = (*whole[1:], size[-1]), (size[0], *whole[1:])
        # A convolution that fits in once meets each place along the last axis once, too: those are no channels.
        choices = (first,) if any(channel_axis(node) == 0 for node in readers) else (last, first)
        for shape in choices if readers else ():
            if all(self._meeting(node, shape) is not None for node in readers):
                return shape
        return whole

    def _meeting(self, node: Node, shape: Shape) -> Tensor | None:
        """Found by the gradients of the operation itself; None if a weight meets several units.

        With ones for an input, the gradient of the summed output on a weight is how often it is used; with the units'
        numbers, the sum of those that it meets, and with their squares the sum of squares.
        """
        origin = self.graph.origin(node.inputs[0])
        units = torch.arange(prod(shape), dtype=torch.float64).reshape(shape).expand(self.sizes[origin])
        uses, total, squares = (self._gradient(node, origin, x) for x in (torch.ones_like(units), units, units**2))
        if not torch.equal(total**2, uses * squares):
            return None
        index = torch.where(uses > 0, total / uses.clamp(min=1), prod(shape)).round().long()
        rows = index.reshape(len(index), -1)
        return rows[0] if torch.equal(rows, rows[:1].expand_as(rows)) else rows.reshape(-1)  # groups of channels

    def _gradient(self, node: Node, origin: str, values: Tensor) -> Tensor:
        values = self._moved(origin, node.inputs[0], values[None])
        roles: Mapping[str, str] = node.op.parameters()
        zeros = {role: torch.zeros(self.graph.parameters[name].shape).double() for role, name in roles.items()}
        weight = zeros["weight"].requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(node.op.forward([values], zeros).sum(), weight)[0]

    def _moved(self, origin: str, tensor: str, values: Tensor) -> Tensor:
        node = self.graph.producer(tensor)
        if tensor == origin or node is None:
            return values
        return node.op.forward([self._moved(origin, node.inputs[0], values)], {})


def channel_axis(node: Node) -> int:
    """The axis of a node's output, from the batch axis on or from the end, along which its weights' channels are."""
    return -1 if node.op.kind == "linear" else 0
