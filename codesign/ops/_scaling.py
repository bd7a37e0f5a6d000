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
    """The graph with a node's weight and bias exchanged; where other nodes share them, it gets its own."""
    shared = {name for other in graph.nodes if other is not node for name in other.op.parameters().values()}
    names = [
        name if name and name not in shared else _free(f"{node.name}.{role}", graph)
        for role, name in (("weight", op.weight), ("bias", op.bias))
    ]
    updated = {name: values.astype(np.float32) for name, values in zip(names, (weight, bias), strict=True)}
    return graph.replaced(node, replace(node, op=replace(op, weight=names[0], bias=names[1])), updated)


def _free(name: str, graph: Graph) -> str:
    """A name that no parameter has."""
    return name if name not in graph.parameters else _free(f"{name}_", graph)
