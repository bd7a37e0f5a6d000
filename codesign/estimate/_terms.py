"""What a network's integers say of its adders: terms of sums, their bits, and what is cut off after them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codesign.allocate.costs._arithmetic import TREE_CARRY_BITS
from codesign.arrays import IntArray
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
        inputs: Bits of inputs that are read: of those channels that some weight is not zero for.
        cut: Bits of output elements whose range a ReLU, a limit or saturation cuts; all positions.
    """

    outputs: int = 1
    positions: int = 1
    sums: float = 0.0
    terms: int = 1
    width: int = 0
    inputs: float = 0.0
    cut: float = 0.0


def count_terms(quantized: Quantized) -> dict[str, Terms]:
    """Terms of every operation that is counted, by node, in order."""
    raw, read = quantized.accumulators(), quantized.ranges()
    found: dict[str, Terms] = {}
    for node in quantized.graph.nodes:
        x, made = read[node.inputs[0]], raw[node.output]
        cut = _cut(x if node.op.kind in CUTTING else made, read[node.output])
        if "weight" in node.op.parameters():
            found[node.name] = _of_weights(quantized, node, x, made, cut)
        elif node.op.kind in ADDING:
            bits = span(made)
            found[node.name] = Terms(sums=float(bits.sum()), terms=2, width=int(bits.max()), cut=cut)
        elif _counted(node):
            found[node.name] = Terms(cut=cut)
    return found


def ports(quantized: Quantized, counted: Mapping[str, Terms]) -> float:
    """Bits that go in and are read, and bits that come out, constants left out."""
    graph, ranges = quantized.graph, quantized.ranges()
    bits = {name: float(span(ranges[name]).sum()) for name in (*graph.inputs, *graph.outputs)}
    total = sum(bits[name] for name in graph.outputs)
    for name in graph.inputs:
        readers = graph.consumers(name)
        alone = all("weight" in node.op.parameters() for node in readers)
        read = sum(counted[node.name].inputs for node in readers) if alone else bits[name]
        total += min(bits[name], read)
    return total


def left_out(graph: Graph) -> list[str]:
    """Nodes that compute something and are not counted."""
    return [node.name for node in graph.nodes if not _counted(node)]


def _counted(node: Node) -> bool:
    return "weight" in node.op.parameters() or node.op.moves_data or node.op.kind in (*ADDING, *CUTTING, *FREE)


def digits(codes: IntArray) -> IntArray:
    """Digits that are not zero in canonical signed digit form: those bits of ``3 w`` that are not those of ``w``.

    Source: Prodinger, On binary representations of integers with digits -1, 0, 1, Integers 0 (2000) A8.
    """
    size = np.abs(codes).astype(np.int64)
    return np.bitwise_count(size ^ (3 * size)).astype(np.int64)


def span(interval: Interval) -> IntArray:
    """Bits that tell the codes of a range apart, per element; 0 for a constant."""
    return bit_length(interval.high - interval.low)


def bit_length(codes: IntArray) -> IntArray:
    """Bits of the absolute values; 0 for 0."""
    return np.frexp(np.abs(codes).astype(np.float64))[1].astype(np.int64)


def _of_weights(quantized: Quantized, node: Node, x: Interval, made: Interval, cut: float) -> Terms:
    """A linear layer or a convolution; an input channel counts with its widest position."""
    parameters = quantized.parameters(node)
    weight = parameters["weight"].values
    outputs, channels = weight.shape[:2]
    widths = np.moveaxis(span(x), -1 if node.op.kind == "linear" else 0, 0)
    widest = widths.reshape(len(widths), -1).max(1).reshape(-1, channels)  # [groups, channels of a group]
    bits = np.repeat(widest, outputs // len(widest), axis=0)
    used = digits(weight).reshape(outputs, channels, -1).sum(2) * (bits > 0)
    terms, width = used.sum(1), (used * bits).sum(1)
    if "bias" in parameters:
        bias = bit_length(parameters["bias"].values) * (terms > 0)
        terms, width = terms + (bias > 0), width + bias
    read = used.reshape(len(widest), -1, channels).any(1).reshape(-1)  # [all channels]
    inputs = float(widths.reshape(len(widths), -1)[read].sum())
    most, wide = max(int(terms.max()), 1), int(span(made).max())
    return Terms(outputs, made.low.size // outputs, _adders(width, terms), most, wide, inputs, cut)


def _adders(width: IntArray, terms: IntArray) -> float:
    """Bits of adders, one less than there are terms, for terms of average width."""
    share: npt.NDArray[np.float64] = 1.0 - 1.0 / np.maximum(terms, 1)
    return float(((width + terms * TREE_CARRY_BITS) * share).sum())


def _cut(before: Interval, after: Interval) -> float:
    """Bits of elements whose range is another one after more than dropping bits behind the binary point."""
    shift = before.fraction - after.fraction
    low, high = ((end >> max(shift, 0)) << max(-shift, 0) for end in (before.low, before.high))
    return float(span(after)[(low != after.low) | (high != after.high)].sum())
