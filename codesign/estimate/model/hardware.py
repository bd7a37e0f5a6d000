"""LUTs, flip-flops and clock cycles of the unrolled RTL, from the terms of its sums."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log2

import numpy as np

from codesign.allocate.costs.rtl_lut import part_lut
from codesign.allocate.counting.counts import templates
from codesign.estimate.model.fit import Fit, read_fit
from codesign.estimate.model.terms import Terms, count_terms, ports
from codesign.graph import Graph
from codesign.quantized import Quantized


@dataclass(frozen=True)
class Estimate:
    """What a network will take: LUTs by node, flip-flops, and clock cycles from an input to its output."""

    layers: Mapping[str, float]
    ff: float
    latency_cycles: int

    @property
    def lut(self) -> float:
        """LUTs of all nodes."""
        return sum(self.layers.values())


@dataclass(frozen=True)
class Placed:
    """An operation's terms, and between which levels of adders it stands."""

    terms: Terms
    start: float
    end: float


def estimate(quantized: Quantized, stage_levels: int) -> Estimate:
    """Estimate the unrolled, pipelined hardware of a network.

    Args:
        quantized: The network.
        stage_levels: Levels of adders in a pipeline stage.
    """
    fit, counted = read_fit(), count_terms(quantized)
    placed = place(quantized.graph, counted, fit)
    stages = pipeline_stages(placed, stage_levels)
    # Ports have registers of their own, and so has the chain that says when outputs are valid.
    ff = ports(quantized) + stages + 1 + fit.ff_per_sum * registered(placed, stages, fit.thinning)
    return Estimate({name: node_lut(terms, fit) for name, terms in counted.items()}, ff, stages + 1)


def estimate_layers(quantized: Quantized) -> dict[str, float]:
    """LUTs of the unrolled network by node; those of a ReLU stand with it, not with the sum before."""
    return {name: node_lut(terms, read_fit()) for name, terms in count_terms(quantized).items()}


def estimate_graph(graph: Graph, weight_bits: int, activation_bits: int) -> dict[str, float]:
    """LUTs of the unrolled layers with weights by node, before any bits are chosen, by the cost ``rtl_lut``.

    Args:
        graph: The network.
        weight_bits: Bits that every weight would have, none of them being zero.
        activation_bits: Bits that every layer's input would have.
    """
    return {
        name: part_lut(each.part(weight_bits, activation_bits, each.channels * each.fan_in))
        for name, each in templates(graph).items()
    }


def node_lut(terms: Terms, fit: Fit) -> float:
    """``a P sums outputs^-s + b cut``: outputs that have digits in common share adders, the more the more there are."""
    return fit.lut_per_sum * shared(terms, fit.sharing) + fit.lut_per_cut * terms.cut


def shared(terms: Terms, sharing: float) -> float:
    """Bits of sums at all positions, less what outputs share."""
    return terms.positions * terms.sums * terms.outputs**-sharing


def levels(terms: Terms, per_doubling: float, per_bit: float) -> float:
    """``log2(terms) (c + d width)``: a tree of adders, those of wide sums slower by their carries."""
    return log2(terms.terms) * (per_doubling + per_bit * terms.width)


def place(graph: Graph, counted: Mapping[str, Terms], fit: Fit) -> list[Placed]:
    """Every operation after the last of those that it reads."""
    placed: list[Placed] = []
    ends = dict.fromkeys(graph.inputs, 0.0)
    for node in graph.nodes:
        start, terms = max(ends[name] for name in node.inputs), counted.get(node.name, Terms())
        ends[node.output] = start + levels(terms, fit.levels_per_doubling, fit.levels_per_bit)
        placed.append(Placed(terms, start, ends[node.output]))
    return placed


def pipeline_stages(placed: Sequence[Placed], stage_levels: int) -> int:
    """Stages of the pipeline, the registers of the inputs left out; at least one."""
    return max(ceil(max(each.end for each in placed) / stage_levels), 1)


def registered(placed: Sequence[Placed], stages: int, thinning: float) -> float:
    """Bits of sums in the registers between stages, which cut the levels into equal parts.

    A share ``f`` of the way from the first terms to their sum, ``P sums (1 - f^t)`` bits count. Tensors that wait for
    another one are left out.
    """
    cuts = max(each.end for each in placed) * np.arange(1, stages) / stages
    total = 0.0
    for each in placed:
        if each.end > each.start:
            gone = (cuts[(cuts >= each.start) & (cuts < each.end)] - each.start) / (each.end - each.start)
            total += each.terms.positions * each.terms.sums * float((1 - gone**thinning).sum())
    return total
