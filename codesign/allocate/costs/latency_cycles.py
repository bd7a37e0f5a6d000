"""Clock cycles from input to output."""

from dataclasses import dataclass
from math import floor
from typing import ClassVar

from codesign.allocate.costs._arithmetic import csd_digits, levels
from codesign.allocate.costs._cost import Cost, Part

#: Time of one adder level, with its carry chain and the wire to the next, in nanoseconds: our own round number for
#: UltraScale+ at trigger clocks. Where synthesis gives another one, use the cost ``measured``.
ADDER_NS = 1.0
#: Quotients of decimal periods that should be whole come out this much too small at most.
ROUNDING = 1e-9


@dataclass(frozen=True)
class LatencyCycles(Cost):
    """``max(1, ceil(levels / levels per cycle)) + R - 1`` per layer, on the longest way from input to output.

    Adder levels of a layer: ``ceil(log2(ceil(b_w / 2)))`` in a multiplier, ``ceil(log2(terms))`` in the sum, one for
    the bias, one per sum of branches. A cycle takes as many as fit the clock period at 1 ns each. A layer with reuse
    factor ``R`` takes ``R - 1`` cycles more.

    Source: layer latencies and reuse as in hls4ml (arXiv 1804.06913); adder depth as the measure of delay as in da4ml
    (arXiv 2507.04535); the time of a level is our own assumption. Wide carry chains, pooling and, where a branch joins
    one that comes later, its sum are left out.
    """

    unit: ClassVar[str] = "clock cycles"
    form: ClassVar[str] = "longest path"
    by_channel: ClassVar[bool] = False

    def part(self, part: Part) -> float:
        """Cycles of the layer."""
        terms = min(part.fan_in, part.nonzero)
        depth = levels(csd_digits(part.weight_bits)) + levels(terms) + 1 + part.additions
        fitting = max(1, floor(self.hardware.target.clock_ns / ADDER_NS + ROUNDING))
        return float(-(-depth // fitting) + self.hardware.reuse_factor - 1)

    def limit(self) -> float | None:
        """Whole cycles in the target's latency."""
        target = self.hardware.target
        if target.latency_ns is None:
            return None
        return float(floor(target.latency_ns / target.clock_ns + ROUNDING))
