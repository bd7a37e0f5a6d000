"""LUTs, flip-flops and clock cycles from terms, by coefficients that ``benchmarks/estimates.py`` fits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, log2
from pathlib import Path

import numpy as np

from codesign.estimate._terms import Terms, count_terms, ports
from codesign.graph import Graph
from codesign.quantized import Quantized
from codesign.synthesize._families import FamilyName
from codesign.typed import adapter

#: Written by the benchmark, and by nobody else.
FITTED = Path(__file__).parent / "fitted.json"


@dataclass(frozen=True)
class Error:
    """How far estimates of networks that were not fitted are off, relative to what was counted.

    Args:
        median: Half of them are at most this far off.
        most: Nine of ten are at most this far off.
    """

    median: float
    most: float

    def __str__(self) -> str:
        return f"median error {100 * self.median:.0f} %, 90 % within {100 * self.most:.0f} %"


@dataclass(frozen=True)
class Fit:
    """Coefficients, none negative, and their errors.

    Args:
        family, yosys, alkaid: What the networks were synthesized for, and by which versions.
        fitted, held_out: Numbers of networks.
        lut_per_sum, sharing: LUTs per bit of sums, and the power of the number of outputs that it falls with.
        lut_per_cut: LUTs per bit that is cut.
        levels_per_doubling: Levels of adders per doubling of the terms of a sum.
        ff_per_sum, thinning: Flip-flops per bit of sums where registers between stages cut them, and the power of
            the way to their end that it falls with.
        part_per_bit, part_per_weight: Where widths alone are known, LUTs per bit of a weight and for every weight that
            is not zero, per bit of an adder.
        lut, ff, latency_cycles, part_lut: Errors on networks held out.
    """

    family: FamilyName
    yosys: str
    alkaid: str
    fitted: int
    held_out: int
    lut_per_sum: float
    sharing: float
    lut_per_cut: float
    levels_per_doubling: float
    ff_per_sum: float
    thinning: float
    part_per_bit: float
    part_per_weight: float
    lut: Error
    ff: Error
    latency_cycles: Error
    part_lut: Error


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


@cache
def read_fit() -> Fit:
    """The coefficients that are in use."""
    found: Fit = adapter(Fit).validate_json(FITTED.read_bytes())
    return found


def estimate(quantized: Quantized, stage_levels: int) -> Estimate:
    """Estimate the unrolled, pipelined hardware of a network.

    Args:
        quantized: The network.
        stage_levels: Levels of adders in a pipeline stage.
    """
    fit, counted = read_fit(), count_terms(quantized)
    placed = place(quantized.graph, counted, fit.levels_per_doubling)
    stages = pipeline_stages(placed, stage_levels)
    # Ports have registers of their own, and so has the chain that says when outputs are valid.
    ff = ports(quantized, counted) + stages + 1 + fit.ff_per_sum * registered(placed, stages, fit.thinning)
    return Estimate({name: node_lut(terms, fit) for name, terms in counted.items()}, ff, stages + 1)


def estimate_layers(quantized: Quantized) -> dict[str, float]:
    """LUTs of the unrolled network by node; those of a ReLU or of a saturation stand beside those of its sum."""
    return {name: node_lut(terms, read_fit()) for name, terms in count_terms(quantized).items()}


def node_lut(terms: Terms, fit: Fit) -> float:
    """``a P sums outputs^-s + b cut``: outputs that have digits in common share adders, the more the more there are."""
    return fit.lut_per_sum * shared(terms, fit.sharing) + fit.lut_per_cut * terms.cut


def shared(terms: Terms, sharing: float) -> float:
    """Bits of sums at all positions, less what outputs share."""
    return terms.positions * terms.sums * terms.outputs**-sharing


def place(graph: Graph, counted: Mapping[str, Terms], levels_per_doubling: float) -> list[Placed]:
    """Every operation after the last of those that it reads."""
    placed: list[Placed] = []
    ends = dict.fromkeys(graph.inputs, 0.0)
    for node in graph.nodes:
        start, terms = max(ends[name] for name in node.inputs), counted.get(node.name, Terms())
        ends[node.output] = start + levels_per_doubling * log2(terms.terms)
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
