"""What a network's integers say of its adders: terms of sums, their bits, and what is cut off after them."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from codesign.allocate.counting.arithmetic import TREE_CARRY_BITS
from codesign.arrays import IntArray
from codesign.estimate.model.needed import Mask, by_channel, needed
from codesign.graph import Graph, Node
from codesign.interval import Interval
from codesign.quantized import Quantized

#: Operations that add two tensors; that cut a range; that take nothing.
ADDING, CUTTING, FREE = ("add", "sub"), ("relu", "clip"), ("floor", "identity")


@dataclass(frozen=True)
class Terms:
    """One operation's sums, at one position, and what is cut at all of them.

    A term is a digit that is not zero, of a weight in canonical signed digit form, or a bias: what an adder adds.

    Args:
        outputs: Sums side by side, which may share adders.
        positions: Places at which the same weights are used.
        sums: Bits of adders: of all terms but one of each sum, each with the carries of a balanced tree.
        terms: Most terms of one sum.
        width: Bits of the widest sum.
        cut: Bits of output elements whose range a ReLU, a limit or saturation cuts; all positions.
    """

    outputs: int = 1
    positions: int = 1
    sums: float = 0.0
    terms: int = 1
    width: int = 0
    cut: float = 0.0


def count_terms(quantized: Quantized) -> dict[str, Terms]:
    """Terms of every operation that is counted, by node, in order."""
    raw, read, live = quantized.accumulators(), quantized.ranges(), needed(quantized)
    found: dict[str, Terms] = {}
    for node in quantized.graph.nodes:
        x, made = read[node.inputs[0]], raw[node.output]
        own = live[node.output]
        cut = _cut(x if node.op.kind in CUTTING else made, read[node.output], own)
        if "weight" in node.op.parameters():
            found[node.name] = replace(_of_weights(quantized, node, x, made, own), cut=cut)
        elif node.op.kind in ADDING:
            bits = span(made) * own
            found[node.name] = Terms(sums=float(bits.sum()), terms=2, width=int(bits.max()), cut=cut)
        elif _counted(node):
            found[node.name] = Terms(cut=cut)
    return found


def left_out(graph: Graph) -> list[str]:
    """Nodes that compute something and are not counted."""
    return [node.name for node in graph.nodes if not _counted(node)]


def _counted(node: Node) -> bool:
    return "weight" in node.op.parameters() or node.op.moves_data or node.op.kind in (*ADDING, *CUTTING, *FREE)


def ports(quantized: Quantized) -> float:
    """Bits that go in and are needed, and bits that come out, constants left out."""
    graph, ranges, live = quantized.graph, quantized.ranges(), needed(quantized)
    return float(sum(span(ranges[name])[live[name]].sum() for name in (*graph.inputs, *graph.outputs)))


def digits(codes: IntArray) -> IntArray:
    """Digits that are not zero in canonical signed digit form: those bits of ``3 w`` that are not those of ``w``.

    Source: Prodinger, On binary representations of integers with digits -1, 0, 1, Integers 0 (2000) A8.
    """
    size = np.abs(codes).astype(np.int64)
    return np.bitwise_count(size ^ (3 * size)).astype(np.int64)


def trailing(codes: IntArray) -> IntArray:
    """Zeros at the ends of codes; 0 of 0."""
    return bit_length(np.where(codes != 0, codes & -codes, 1)) - 1


def spans(codes: IntArray) -> IntArray:
    """Bits from the first that is set to the last; 0 for 0."""
    return np.where(codes != 0, bit_length(codes) - trailing(codes), 0)


def span(interval: Interval) -> IntArray:
    """Bits that tell the codes of a range apart, per element; 0 for a constant."""
    return bit_length(interval.high - interval.low)


def bit_length(codes: IntArray) -> IntArray:
    """Bits of the absolute values; 0 for 0."""
    return np.frexp(np.abs(codes).astype(np.float64))[1].astype(np.int64)


def _of_weights(quantized: Quantized, node: Node, x: Interval, made: Interval, live: Mask) -> Terms:
    """A linear layer or a convolution; an input channel counts with its widest position."""
    parameters = quantized.parameters(node)
    weight = parameters["weight"].values
    outputs, channels = weight.shape[:2]
    widths = by_channel(span(x), node)
    widest = widths.reshape(len(widths), -1).max(1).reshape(-1, channels)  # [groups, channels of a group]
    bits = np.repeat(widest, outputs // len(widest), axis=0)
    alive: Mask = by_channel(live, node).reshape(outputs, -1).sum(axis=1) > 0
    used: IntArray = digits(weight).reshape(outputs, channels, -1).sum(2) * (bits > 0) * alive[:, np.newaxis]
    terms, width = used.sum(1), (used * bits).sum(1)
    if "bias" in parameters:
        bias = bit_length(parameters["bias"].values) * (terms > 0)
        terms, width = terms + (bias > 0), width + bias
    widest_sum = int((span(made) * live).max())
    return Terms(outputs, live.size // outputs, _adders(width, terms), max(int(terms.max()), 1), widest_sum)


def _adders(width: IntArray, terms: IntArray) -> float:
    """Bits of adders, one less than there are terms, for terms of average width."""
    share: npt.NDArray[np.float64] = 1.0 - 1.0 / np.maximum(terms, 1)
    return float(((width + terms * TREE_CARRY_BITS) * share).sum())


def _cut(before: Interval, after: Interval, live: Mask) -> float:
    """Bits of elements whose range is another one after more than dropping bits behind the binary point."""
    shift = before.fraction - after.fraction
    low, high = ((end >> max(shift, 0)) << max(-shift, 0) for end in (before.low, before.high))
    return float(span(after)[live & ((low != after.low) | (high != after.high))].sum())
