"""The IR: operations in topological order, named tensors, float parameters.

Bits stand beside it, as a map from tensor name to ``Fixed`` (see ``codesign.quantized``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from codesign.arrays import FloatArray
from codesign.errors import ContractError, InputError
from codesign.ops import OpField
from codesign.ops.op import Shape

T = TypeVar("T")


@dataclass(frozen=True)
class Node:
    """One operation of the graph.

    Args:
        name: The user's name (a torch module path, an ONNX node name), unique in the graph.
        op: What is computed.
        inputs: Names of the tensors read.
        output: Name of the tensor written.
    """

    name: str
    op: OpField
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Graph:
    """A network: a directed acyclic graph of operations.

    Args:
        inputs: Input tensor names with their shapes, the batch axis left out.
        outputs: Names of the output tensors.
        nodes: Operations in topological order.
        parameters: Float parameters by name.
    """

    inputs: dict[str, Shape]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    parameters: dict[str, FloatArray]

    def verify(self) -> None:
        """Check the structure.

        Raises:
            ContractError: A tensor is read before it is written or written twice, a name or a parameter is missing.
            InputError: A name that files, reports and Verilog can't show as it is.
        """
        for name in (
            *self.inputs,
            *self.parameters,
            *(each for node in self.nodes for each in (node.name, node.output)),
        ):
            if not name.isprintable():
                raise InputError(
                    f"name {name!r}", "characters that can't be printed", "a name of one line", "rename it"
                )
        written = set(self.inputs)
        names: set[str] = set()
        for node in self.nodes:
            missing = [name for name in node.inputs if name not in written]
            missing += [name for name in node.op.parameters().values() if name not in self.parameters]
            if missing or node.output in written or node.name in names:
                raise ContractError(f"graph node {node.name!r}", f"undefined {missing}" if missing else "defined twice")
            written.add(node.output)
            names.add(node.name)
        if absent := [name for name in self.outputs if name not in written]:
            raise ContractError("graph outputs", f"no node writes {absent}")
        self.shapes()

    def run(self, inputs: Mapping[str, T], step: Callable[[Node, list[T]], T]) -> dict[str, T]:
        """Evaluate the graph in any domain (shapes, torch tensors, integer codes, intervals).

        Args:
            inputs: A value per graph input.
            step: Computes a node's output from its input values.

        Returns:
            A value per tensor name.
        """
        values = dict(inputs)
        for node in self.nodes:
            values[node.output] = step(node, [values[name] for name in node.inputs])
        return values

    def shapes(self) -> dict[str, Shape]:
        """Shape of every tensor, the batch axis left out.

        Raises:
            InputError: An operation does not accept the shapes it is given.
        """
        return self.run(self.inputs, lambda node, shapes: node.op.shape(node.name, shapes, self.parameters))

    def producer(self, tensor: str) -> Node | None:
        """The node that writes a tensor; None for a graph input."""
        return next((node for node in self.nodes if node.output == tensor), None)

    def consumers(self, tensor: str) -> list[Node]:
        """The nodes that read a tensor."""
        return [node for node in self.nodes if tensor in node.inputs]

    def weighted(self) -> list[Node]:
        """The nodes that multiply by a weight parameter, in order."""
        return [node for node in self.nodes if "weight" in node.op.parameters()]

    def weights(self) -> list[str]:
        """Names of the weight parameters, in order; one that several nodes share comes once."""
        return list(dict.fromkeys(node.op.parameters()["weight"] for node in self.weighted()))

    def origin(self, tensor: str) -> str:
        """Follow a tensor back through operations that only move data, to where its values are computed."""
        node = self.producer(tensor)
        while node is not None and node.op.moves_data:
            tensor = node.inputs[0]
            node = self.producer(tensor)
        return tensor

    def activations(self) -> list[str]:
        """The tensors that carry activation bits: graph inputs, and what is multiplied, by weights or by another."""
        readers = [node for node in self.nodes if node.op.reads_quantized or "weight" in node.op.parameters()]
        read = [self.origin(name) for node in readers for name in node.inputs]
        return list(dict.fromkeys([*self.inputs, *read]))

    def signed(self) -> dict[str, bool]:
        """Whether each tensor can be negative, by its operation alone (graph inputs are taken as signed)."""
        return self.run(dict.fromkeys(self.inputs, True), lambda node, signs: node.op.signed(signs))

    def feeding(self, tensor: str) -> Node | None:
        """The weighted node whose output reaches a tensor through operations without weights, if there is one."""
        node = self.producer(tensor)
        while node is not None and "weight" not in node.op.parameters():
            node = self.producer(node.inputs[0]) if len(node.inputs) == 1 else None
        return node

    def without(self, node: Node) -> "Graph":
        """The graph with a one-input node taken out, its readers reading its input instead."""
        source = node.inputs[0]

        def renamed(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(source if name == node.output else name for name in names)

        nodes = tuple(replace(other, inputs=renamed(other.inputs)) for other in self.nodes if other is not node)
        unused = set(node.op.parameters().values()) - {p for other in nodes for p in other.op.parameters().values()}
        parameters = {name: value for name, value in self.parameters.items() if name not in unused}
        return replace(self, nodes=nodes, outputs=renamed(self.outputs), parameters=parameters)

    def replaced(self, node: Node, new: Node, parameters: Mapping[str, FloatArray]) -> "Graph":
        """The graph with one node exchanged and parameters added or changed; what no node has any more is left out."""
        nodes = tuple(new if other is node else other for other in self.nodes)
        used = {name for other in nodes for name in other.op.parameters().values()}
        updated = {**self.parameters, **parameters}
        return replace(self, nodes=nodes, parameters={name: updated[name] for name in updated if name in used})
