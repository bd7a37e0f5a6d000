"""Clock cycles from input to output."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part
from codesign.allocate.counting.arithmetic import csd_digits, levels


@dataclass(frozen=True)
class LatencyCycles(Cost):
    """``max(1, ceil(levels / levels per cycle)) + R - 1`` per layer, on the longest way from input to output.

    Adder levels of a layer: ``ceil(log2(ceil(b_w / 2)))`` in a multiplier, ``ceil(log2(terms))`` in the sum, one for
    the bias, one per sum of branches. A cycle takes as many as fit the clock period at
    the target's ``adder_ns`` each, beside its ``register_ns``. A layer with reuse
    factor ``R`` takes ``R - 1`` cycles more.

    Source: layer latencies and reuse as in hls4ml (arXiv 1804.06913); adder depth as the measure of delay as in da4ml
    (arXiv 2507.04535); the time of a level is the target file's. Wide carry chains, pooling and, where a branch joins
    one that comes later, its sum are left out.
    """

    unit: ClassVar[str] = "clock cycles"
    form: ClassVar[str] = "longest path"
    by_channel: ClassVar[bool] = False

    def part(self, part: Part) -> float:
        """Cycles of the layer."""
        terms = min(part.fan_in, part.nonzero)
        depth = levels(csd_digits(part.weight_bits)) + levels(terms) + 1 + part.additions
        return float(-(-depth // self.hardware.target.levels_per_cycle) + self.hardware.reuse_factor - 1)

    def limit(self) -> float | None:
        """Whole cycles in the target's latency."""
        return self.hardware.target.latency_cycles
