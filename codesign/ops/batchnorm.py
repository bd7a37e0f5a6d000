"""Batch normalization: at inference an affine map, folded into a neighbouring linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.ops.linear import Linear
from codesign.ops.op import Rewritten, Shape, TorchCall

if TYPE_CHECKING:
    from codesign.graph import Graph, Node

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BatchNorm(Rewritten):
    """``y = (x - mean) / sqrt(var + epsilon) * gamma + beta`` per feature, with the running statistics.

    Args:
        mean, variance: Names of the running statistics, ``[features]``.
        gamma, beta: Names of the affine parameters; None without them.
        epsilon: Added to the variance.
    """

    mean: str
    variance: str
    gamma: str | None
    beta: str | None
    epsilon: float

    kind: ClassVar[str] = "batchnorm"
    torch_targets: ClassVar[tuple[str, ...]] = ("nn.BatchNorm1d",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> BatchNorm:
        """From ``nn.BatchNorm1d`` with running statistics."""
        if call.module.running_mean is None:
            raise InputError(
                f"layer {call.path!r}", "batch norm without running statistics", "track_running_stats=True"
            )
        affine = call.module.affine
        names = [f"{call.path}.{name}" for name in ("running_mean", "running_var", "weight", "bias")]
        return cls(names[0], names[1], names[2] if affine else None, names[3] if affine else None, call.module.eps)

    def parameters(self) -> dict[str, str]:
        """Statistics, and the affine parameters if there are any."""
        roles = {"mean": self.mean, "variance": self.variance, "gamma": self.gamma, "beta": self.beta}
        return {role: name for role, name in roles.items() if name is not None}

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape, ``[features]``."""
        features = parameters[self.mean].shape[0]
        if inputs[0] != (features,):
            raise InputError(f"layer {name!r}", f"input of shape {list(inputs[0])}", f"[{features}], one axis")
        return inputs[0]

    def rewrite(self, graph: Graph, node: Node) -> tuple[Graph, str]:
        """Folded into the linear layer before it, or else into those after it.

        Raises:
            InputError: No linear layer stands next to it.
        """
        scale, shift = self._affine(graph.parameters)
        before = graph.producer(node.inputs[0])
        alone = len(graph.consumers(node.inputs[0])) == 1 and node.inputs[0] not in graph.outputs
        if before is not None and isinstance(before.op, Linear) and alone:
            weight, bias = _weights(graph, before.op)
            folded = _with_weights(graph, before, before.op, weight * scale[:, None], bias * scale + shift)
            return folded.without(node), f"{node.name}: folded into {before.name}"
        readers = graph.consumers(node.output)
        linear = [(reader, reader.op) for reader in readers if isinstance(reader.op, Linear)]
        if linear and len(linear) == len(readers) and node.output not in graph.outputs:
            for reader, op in linear:
                weight, bias = _weights(graph, op)
                graph = _with_weights(graph, reader, op, weight * scale, bias + weight @ shift)
            return graph.without(node), f"{node.name}: folded into {', '.join(reader.name for reader in readers)}"
        raise InputError(
            f"layer {node.name!r}", "batch norm with no linear layer next to it", "a linear layer before or after it"
        )

    def _affine(self, parameters: Mapping[str, FloatArray]) -> tuple[Float64, Float64]:
        """Scale and shift, ``[features]`` each."""
        values = {role: np.asarray(parameters[name], np.float64) for role, name in self.parameters().items()}
        scale = values.get("gamma", np.ones(1)) / np.sqrt(values["variance"] + self.epsilon)
        return scale, values.get("beta", np.zeros(1)) - values["mean"] * scale


def _weights(graph: Graph, op: Linear) -> tuple[Float64, Float64]:
    weight = np.asarray(graph.parameters[op.weight], np.float64)
    bias = np.zeros(len(weight)) if op.bias is None else np.asarray(graph.parameters[op.bias], np.float64)
    return weight, bias


def _with_weights(graph: Graph, node: Node, op: Linear, weight: Float64, bias: Float64) -> Graph:
    """The graph with a linear node's weight and bias replaced."""
    folded = Linear(op.weight, op.bias or f"{node.name}.bias")
    updated = {folded.weight: weight.astype(np.float32), str(folded.bias): bias.astype(np.float32)}
    return graph.replaced(node, replace(node, op=folded), updated)
