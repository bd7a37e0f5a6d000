"""Batch normalization: at inference an affine map, folded into a neighbouring layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeGuard

import numpy as np

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.ops._scaling import Float64, Weighted, scale_inputs, scale_outputs
from codesign.ops.affine import Affine, affine
from codesign.ops.conv import Conv
from codesign.ops.dyadic import constant, few_bits
from codesign.ops.identity import Identity
from codesign.ops.linear import Linear
from codesign.ops.onnx_calls import onnx_affine
from codesign.ops.op import OnnxCall, Op, Parameter, Rewritten, Shape, TorchCall

if TYPE_CHECKING:
    from codesign.graph import Graph, Node


@dataclass(frozen=True)
class BatchNorm(Rewritten):
    """``y = (x - mean) / sqrt(var + epsilon) * gamma + beta`` per feature or channel, with the running statistics.

    Args:
        mean, variance: Names of the running statistics, ``[channels]``.
        gamma, beta: Names of the affine parameters; None without them.
        epsilon: Added to the variance.
        axes: How many axes of positions there may be.
    """

    mean: str
    variance: str
    gamma: str | None
    beta: str | None
    epsilon: float
    axes: tuple[int, ...]

    kind: ClassVar[str] = "batchnorm"
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("nn.BatchNorm1d", "nn.BatchNorm2d", "F.batch_norm", "torch.batch_norm"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("BatchNormalization",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> BatchNorm:
        """From the module or the function, with running statistics."""
        if call.module is None:
            return cls._from_function(call)
        if call.module.running_mean is None:
            raise InputError(
                f"layer {call.path!r}", "batch norm without running statistics", "track_running_stats=True"
            )
        mean, variance, *factors = (f"{call.path}.{name}" for name in ("running_mean", "running_var", "weight", "bias"))
        gamma, beta = factors if call.module.affine else (None, None)
        return cls(mean, variance, gamma, beta, call.module.eps, (2,) if call.target.endswith("2d") else (0, 1))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> BatchNorm:
        """From ``BatchNormalization`` with running statistics."""
        rank = len(call.shapes[0]) - 1
        if call.attributes.get("training_mode", 0):
            raise call.refused("batch norm in training mode", "running statistics", "export the network in eval mode")
        roles = ("gamma", "beta", "mean", "variance")
        values = [call.constant(place, role) for place, role in enumerate(roles, 1)]
        if any(value.ndim != 1 or value.shape != values[0].shape for value in values):
            raise call.refused("statistics of other shapes", "[channels] each")
        gamma, beta, mean, variance = (
            call.parameter(role, value, place) for place, (role, value) in enumerate(zip(roles, values, strict=True), 1)
        )
        epsilon = float(call.attributes.get("epsilon", 1e-5))
        if not (values[3] + epsilon > 0).all():
            raise call.refused("a variance that is not positive", "positive variances")
        return cls(mean, variance, gamma, beta, epsilon, (rank,))

    @classmethod
    def of(cls, call: OnnxCall, scale: Float64, shift: Float64) -> BatchNorm:
        """What does ``x * scale + shift`` per channel.

        Args:
            call: A node with constants.
            scale: ``[channels]``.
            shift: ``[channels]``.
        """
        zero = np.zeros_like(scale)
        mean, variance = call.parameter("mean", zero), call.parameter("variance", zero + 1)
        gamma, beta = call.parameter("gamma", scale), call.parameter("beta", shift)
        return cls(mean, variance, gamma, beta, 0.0, (len(call.shapes[0]) - 1,))

    @classmethod
    def _from_function(cls, call: TorchCall) -> BatchNorm:
        statistics, factors = ("running_mean", "running_var"), ("weight", "bias")
        flags = ("training", "momentum", "eps")
        names = (*statistics, *factors, *flags) if call.target.startswith("F.") else (*factors, *statistics, *flags)
        given = call.options(*names)
        if given.get("training") or not all(isinstance(given.get(name), Parameter) for name in statistics):
            found = "batch norm that takes its statistics from the batch"
            raise InputError(f"layer {call.path!r}", found, "running statistics, and training=self.training")
        parameters = (given.get(name) for name in (*statistics, *factors))
        mean, variance, gamma, beta = (each.name if isinstance(each, Parameter) else None for each in parameters)
        return cls(str(mean), str(variance), gamma, beta, float(given.get("eps", 1e-5)), (0, 1, 2))

    def parameters(self) -> dict[str, str]:
        """Statistics, and the affine parameters if there are any."""
        roles = {"mean": self.mean, "variance": self.variance, "gamma": self.gamma, "beta": self.beta}
        return {role: name for role, name in roles.items() if name is not None}

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape, ``[features]`` or ``[channels, *positions]``."""
        (channels,), given = parameters[self.mean].shape, inputs[0]
        if given[0] != channels or len(given) - 1 not in self.axes:
            shapes = [f"[{', '.join([str(channels), *['positions'] * axes])}]" for axes in self.axes]
            raise InputError(f"layer {name!r}", f"input of shape {list(given)}", " or ".join(shapes))
        return given

    def rewrite(self, graph: Graph, node: Node) -> tuple[Graph, str]:
        """Folded into the layer before it, or else into those after it.

        Raises:
            InputError: No linear or convolutional layer stands next to it, or zero padding comes between.
        """
        scale, shift = self._affine(graph.parameters)
        axes = len(graph.shapes()[node.output])
        before = graph.producer(node.inputs[0])
        alone = len(graph.consumers(node.inputs[0])) == 1 and node.inputs[0] not in graph.outputs
        if before is not None and alone and _on_channels(before.op, axes):
            folded = scale_outputs(graph, before, before.op, scale, shift)
            return folded.without(node), f"{node.name}: folded into {before.name}"
        readers = graph.consumers(node.output)
        weighted = [(reader, reader.op) for reader in readers if _on_channels(reader.op, axes)]
        if not weighted or len(weighted) < len(readers) or node.output in graph.outputs:
            raise InputError(
                f"layer {node.name!r}",
                "batch norm with no linear or convolutional layer next to it",
                "such a layer right before it, or right after it",
            )
        for reader, op in weighted:
            if isinstance(op, Conv) and any(op.windows.padding):
                raise InputError(
                    f"layer {node.name!r}",
                    f"batch norm before {reader.name!r}, which pads its output with zeros",
                    "a convolution without padding after it, or a layer before it",
                )
            graph = scale_inputs(graph, reader, op, scale, shift)
        return graph.without(node), f"{node.name}: folded into {', '.join(reader.name for reader in readers)}"

    def instead(self, graph: Graph, node: Node) -> Graph | None:
        """A factor and an offset per channel, where few bits hold them."""
        scale, shift = self._affine(graph.parameters)
        if not all(few_bits(number) for each in (scale, shift) for number in each.tolist()):
            return None
        rank = len(graph.shapes()[node.output])
        few = (each[:1] if (each == each[0]).all() else each for each in (scale, shift))
        beside = (each.reshape(-1, *[1] * (rank - 1)) for each in few)
        op = affine(*(constant(node.name, "a tensor times and plus", each, rank) for each in beside))
        return graph.replaced(node, replace(node, op=op), {})

    def _affine(self, parameters: Mapping[str, FloatArray]) -> tuple[Float64, Float64]:
        """Scale and shift, ``[channels]`` each."""
        values = {role: np.asarray(parameters[name], np.float64) for role, name in self.parameters().items()}
        scale = values.get("gamma", np.ones(1)) / np.sqrt(values["variance"] + self.epsilon)
        return scale, values.get("beta", np.zeros(1)) - values["mean"] * scale


def with_constant(call: OnnxCall) -> Affine | Identity | BatchNorm:
    """A sum, difference, product or quotient of a tensor and a constant.

    A number that few bits hold stays; any other, and one for each channel, is folded as batch norm is.

    Raises:
        InputError: Two tensors are divided, or the constant is not one number per channel.
    """
    scale, shift = onnx_affine(call)
    single = next(iter(call.constants.values())).size == 1
    if single and few_bits(float(scale[0])) and few_bits(float(shift[0])):
        return affine(*(constant(call.name, "a constant", each[:1], 1) for each in (scale, shift)))
    return BatchNorm.of(call, scale, shift)


def _on_channels(op: Op, axes: int) -> TypeGuard[Weighted]:
    """Whether it is a layer whose channels are the first of that many axes, as batch norm's are."""
    return isinstance(op, Conv) or (isinstance(op, Linear) and axes == 1)
