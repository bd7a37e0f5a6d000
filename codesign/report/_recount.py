"""Counting bits and bit operations again, from the exported file alone."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from codesign.allocate.costs.bops_campos import bops
from codesign.errors import ContractError
from codesign.ops.op import Work


@dataclass(frozen=True)
class Layer:
    """One weighted node of a QONNX file.

    Args:
        name: The node's name.
        weight_bits: Bits of its weights.
        activation_bits: Bits of its input.
        weights: Number of weights.
        nonzero: Weights that are not zero.
        bops: Bit operations, as in ``allocate.costs.bops_campos``.
    """

    name: str
    weight_bits: int
    activation_bits: int
    weights: int
    nonzero: int
    bops: float


def _matmul_work(weight: tuple[int, ...], output: list[int]) -> Work:
    """Of ``[inputs, outputs]``, at every position: a linear layer works on the last axis."""
    return Work(prod(output[1:]) * weight[0], weight[0])


def _conv_work(weight: tuple[int, ...], output: list[int]) -> Work:
    """Of ``[out_channels, in_channels / groups, *kernel]``, at every position."""
    return Work(prod(output[1:]) * prod(weight[1:]), prod(weight[1:]))


#: Work of one node for one sample, from the shapes of its weight and of its output ``[batch, ...]``.
WORK = {"MatMul": _matmul_work, "Conv": _conv_work}


def recount(path: Path) -> list[Layer]:
    """The weighted layers of a QONNX file, in order.

    Raises:
        ContractError: A layer's input or weight comes from no Quant node.
    """
    graph = onnx.load_model_from_string(path.read_bytes()).graph
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    shapes = {
        info.name: [dimension.dim_value for dimension in info.type.tensor_type.shape.dim]
        for info in (*graph.value_info, *graph.output)
    }
    layers: list[Layer] = []
    for node in graph.node:
        if node.op_type not in WORK:
            continue
        weight = _quant_before(node.input[1], producers)
        activation = _quant_before(node.input[0], producers)
        values = constants[weight.input[0]]
        nonzero = int(np.count_nonzero(values))
        bits = [int(constants[quant.input[3]].item()) for quant in (weight, activation)]
        work = WORK[node.op_type](values.shape, shapes[node.output[0]])
        cost = bops(work, bits[0], bits[1], nonzero / values.size)
        layers.append(Layer(node.name, bits[0], bits[1], values.size, nonzero, cost))
    return layers


def _quant_before(tensor: str, producers: dict[str, Any]) -> onnx.NodeProto:
    """The Quant node that a tensor comes from, through nodes that only move data."""
    node = producers.get(tensor)
    while node is not None and node.op_type == "Flatten":
        node = producers.get(node.input[0])
    if node is None or node.op_type != "Quant":
        raise ContractError(f"tensor {tensor!r} of the exported file", "no Quant node before it", "a quantized tensor")
    return node


def total_weight_bits(layers: list[Layer]) -> int:
    """Bits of all weights."""
    return sum(layer.weights * layer.weight_bits for layer in layers)
