"""Per-sample squared gradients of every tensor, for many directions in the outputs at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from codesign.graph import Graph
from codesign.ops._squares import sum_squares
from codesign.ops.op import Detail, SquaredGradients
from codesign.torch_forward import role_tensors


@dataclass(frozen=True)
class Backward:
    """A backward pass through the operations of a graph with one output.

    Each operation squares its parameters' gradients as soon as the gradient at its output is there, so that only the
    gradients at the front of the pass are held, whatever the number of layers.

    Args:
        graph: The network.
        activations: Activations to measure beside all parameters.
        detail: How fine squares are wanted.
    """

    graph: Graph
    activations: tuple[str, ...] = ()
    detail: Detail = "tensor"

    @cached_property
    def _needed(self) -> frozenset[str]:
        """Tensors whose gradient is needed: measured ones, and those that a parameter or a measured one reaches."""
        needed = set(self.activations)
        for node in self.graph.nodes:
            if node.op.parameters() or not needed.isdisjoint(node.inputs):
                needed.add(node.output)
        return frozenset(needed)

    def squares(
        self, parameters: Mapping[str, Tensor], values: Mapping[str, Tensor], directions: Tensor
    ) -> dict[str, SquaredGradients]:
        """``||d (f . s) / d tensor||^2`` for each sample, summed over directions ``s``.

        Args:
            parameters: By name.
            values: Every tensor for a batch, ``[batch, ...]``.
            directions: ``[batch, directions, outputs]``.

        Returns:
            Squares by tensor name.
        """
        found: dict[str, SquaredGradients] = {}
        gradients = {self.graph.outputs[0]: directions}
        for node in reversed(self.graph.nodes):
            if node.output not in self._needed:
                continue
            gradient = gradients.pop(node.output)
            if node.output in self.activations:
                found[node.output] = sum_squares(gradient, self.detail)
            inputs = [values[name] for name in node.inputs]
            roles = node.op.parameters()
            if roles:
                squares = node.op.squared_gradients(inputs, gradient, self.detail)
                found |= {roles[role]: square for role, square in squares.items()}
            if self._needed.isdisjoint(node.inputs):
                continue
            pulled = node.op.pull_back(inputs, values[node.output], gradient, role_tensors(node, parameters))
            for name, part in zip(node.inputs, pulled, strict=True):
                if name in self._needed:
                    gradients[name] = gradients[name] + part if name in gradients else part
        return found | {
            name: sum_squares(gradients[name], self.detail) for name in self.graph.inputs if name in self.activations
        }
