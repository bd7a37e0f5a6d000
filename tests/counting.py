"""Counting a network in other ways than the product: layer by layer, and from its integers."""

from dataclasses import dataclass

import numpy as np

from codesign.allocate.costs import Counted, Part, whole
from codesign.allocate.counting.counts import Each, count, templates
from codesign.fixed import Fixed
from codesign.quantized import Quantized


@dataclass(frozen=True)
class Layer:
    """One weighted node of a QONNX file.

    Args:
        name: The node's name.
        weight_bits: Bits of its weights; of each output channel in turn, where channels have their own.
        activation_bits: Bits of its input.
        weights: Number of weights.
        nonzero: Weights that are not zero.
        macs: Multiply-accumulates for one sample.
        parts: The node as costs see it.
    """

    name: str
    weight_bits: tuple[int, ...]
    activation_bits: int
    weights: int
    nonzero: int
    macs: int
    parts: tuple[Part, ...]


def layers(counted: Counted) -> list[Layer]:
    """The weighted nodes, in order."""
    found: list[Layer] = []
    for node in counted.nodes():
        parts = tuple(part for part in counted.parts if part.node == node.node)
        bits, entire = tuple(part.weight_bits for part in parts), whole(parts)
        found.append(Layer(node.node, bits, node.activation_bits, entire.weights, entire.nonzero, entire.macs, parts))
    return found


def count_quantized(quantized: Quantized, *, with_paths: bool = True) -> Counted:
    """An integer network; ``count`` with the widths of its formats and the zeros among its codes."""
    graph, formats, codes = quantized.graph, quantized.formats, quantized.codes
    weights = {each.weight for each in templates(graph).values()}
    widths = {name: _each(formats[name], codes[name].shape) for name in weights}
    widths |= {name: int(formats[name].envelope().width) for name in graph.activations()}
    zeros = {name: tuple(int(np.count_nonzero(channel)) for channel in codes[name]) for name in weights}
    return count(graph, widths, zeros, with_paths=with_paths)


def _each(fixed: Fixed, shape: tuple[int, ...]) -> Each:
    """Bits of a weight of a shape, or of its channels, where they differ in bits or in their binary point."""
    if not np.ndim(fixed.width) and not np.ndim(fixed.integer):
        return int(fixed.width)
    bits = np.broadcast_to(fixed.width, shape).reshape(shape[0], -1).max(1)
    return tuple(bits.tolist()) if bits.any() else 0
