"""Per-sample squared gradients of every tensor, for many directions in the outputs at once."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from codesign.graph import Graph, Node
from codesign.ops.op import Detail, SquaredGradients
from codesign.ops.squares import sum_squares
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

    @cached_property
    def _shared(self) -> tuple[str, ...]:
        """Parameters of layers that are called more than once."""
        counts = Counter(name for node in self.graph.nodes for name in node.op.parameters().values())
        return tuple(name for name, count in counts.items() if count > 1)

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
            if any(name in self._shared for name in roles.values()):
                for role, part in _gradients(node, inputs, gradient, role_tensors(node, parameters)).items():
                    gradients[roles[role]] = gradients[roles[role]] + part if roles[role] in gradients else part
            elif roles:
                squares = node.op.squared_gradients(inputs, gradient, self.detail)
                found |= {roles[role]: square for role, square in squares.items()}
            if self._needed.isdisjoint(node.inputs):
                continue
            pulled = node.op.pull_back(inputs, values[node.output], gradient, role_tensors(node, parameters))
            for name, part in zip(node.inputs, pulled, strict=True):
                if name in self._needed:
                    gradients[name] = gradients[name] + part if name in gradients else part
        left = [*self._shared, *(name for name in self.graph.inputs if name in self.activations)]
        return found | {name: sum_squares(gradients[name], self.detail) for name in left}


def _gradients(
    node: Node, inputs: list[Tensor], gradients: Tensor, parameters: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Per-sample gradients of a node's parameters by role, ``[batch, directions, *shape]``.

    Of a layer that is called more than once they add up before they are squared, so that they have to be held.
    """
    from torch.func import vjp, vmap

    def of_sample(sample: list[Tensor], directions: Tensor) -> dict[str, Tensor]:
        def forward(own: dict[str, Tensor]) -> Tensor:
            return node.op.forward([x.unsqueeze(0) for x in sample], own)[0]

        pull = cast("Callable[[Tensor], tuple[dict[str, Tensor]]]", vjp(forward, dict(parameters))[1])

        def back(direction: Tensor) -> dict[str, Tensor]:
            return pull(direction)[0]

        return vmap(back)(directions)

    with torch.inference_mode(False):
        return vmap(of_sample)([x.clone() for x in inputs], gradients.clone())
