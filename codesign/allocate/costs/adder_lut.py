"""LUTs that sum products, biases and branches."""

from dataclasses import dataclass
from math import ceil
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part
from codesign.allocate.counting.arithmetic import TREE_CARRY_BITS, accumulator_bits, product_bits


@dataclass(frozen=True)
class AdderLut(Cost):
    """``(z - ceil(z / n)) (b_a + b_w + 2) + (outputs + additions) (b_a + b_w + ceil(log2(n)) + 1)`` per position.

    ``z`` weights that are not zero, ``n`` products per output: at least ``ceil(z / n)`` outputs have any, and a tree
    that sums ``t`` of them has ``t - 1`` adders, on average at most 2 bits wider than a product. Then one adder per
    output for the bias, and one per output for each sum of two branches, at the full accumulator's width. An adder
    takes one 6-input LUT with carry logic per bit.

    Source: AMD UG574, Carry Logic; the widths are our own bound. As an estimate of firmware: synthesis packs three
    operands into one adder where it can, and narrows accumulators to what the constants need.
    """

    unit: ClassVar[str] = "LUTs"

    def part(self, part: Part) -> float:
        """LUTs of its adders."""
        tree = part.nonzero - ceil(part.nonzero / part.fan_in)
        outputs = min(part.channels, part.nonzero) + part.channels * part.additions
        bits = tree * (product_bits(part) + TREE_CARRY_BITS) + outputs * (accumulator_bits(part) + 1)
        return float(part.positions * bits)
