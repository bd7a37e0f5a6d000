"""Scales and shifts per channel, taken into the weights of the layer before or after them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from codesign.ops.conv import Conv
from codesign.ops.linear import Linear

if TYPE_CHECKING:
    from codesign.graph import Graph, Node

Float64 = npt.NDArray[np.float64]
Weighted = Linear | Conv


def scale_outputs(graph: Graph, node: Node, op: Weighted, scale: Float64, shift: Float64) -> Graph:
    """The graph with ``y * scale + shift`` taken into a weighted node.

    Args:
        graph: The network.
        node: A node of it.
        op: Its operation.
        scale: ``[out_channels]``.
        shift: ``[out_channels]``.
    """
    weight, bias = _parameters(graph, op)
    return _replaced(graph, node, op, weight * _beside(scale, weight), bias * scale + shift)


def scale_inputs(graph: Graph, node: Node, op: Weighted, scale: Float64, shift: Float64) -> Graph:
    """The graph with ``x * scale + shift`` taken into a weighted node, which must see no zero padding.

    Args:
        graph: The network.
        node: A node of it.
        op: Its operation.
        scale: ``[in_channels]``.
        shift: ``[in_channels]``.
    """
    weight, bias = _parameters(graph, op)
    groups = op.groups if isinstance(op, Conv) else 1

    def seen(values: Float64) -> Float64:
        """By the channels of the group that each output sees, ``[out_channels, in_channels / groups, 1, ...]``."""
        return _beside(np.repeat(values.reshape(groups, -1), len(weight) // groups, axis=0), weight)

    added = (weight * seen(shift)).reshape(len(weight), -1).sum(1)
    return _replaced(graph, node, op, weight * seen(scale), bias + added)


def _beside(values: Float64, weight: Float64) -> Float64:
    """Values of the leading axes with as many axes as the weight."""
    return values.reshape(*values.shape, *[1] * (weight.ndim - values.ndim))


def _parameters(graph: Graph, op: Weighted) -> tuple[Float64, Float64]:
    weight = np.asarray(graph.parameters[op.weight], np.float64)
    bias = np.zeros(len(weight)) if op.bias is None else np.asarray(graph.parameters[op.bias], np.float64)
    return weight, bias


def _replaced(graph: Graph, node: Node, op: Weighted, weight: Float64, bias: Float64) -> Graph:
    """The graph with a node's weight and bias exchanged."""
    name = op.bias or f"{node.name}.bias"
    updated = {op.weight: weight.astype(np.float32), name: bias.astype(np.float32)}
    return graph.replaced(node, replace(node, op=replace(op, bias=name)), updated)
