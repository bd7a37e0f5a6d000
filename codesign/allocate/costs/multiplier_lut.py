"""LUTs that multiply by constants."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part
from codesign.allocate.counting.arithmetic import csd_digits, product_bits


@dataclass(frozen=True)
class MultiplierLut(Cost):
    """``(ceil(b_w / 2) - 1) (b_a + b_w)`` per product of a weight that is not zero, all products at once.

    A constant of ``b_w`` bits has at most ``ceil(b_w / 2)`` digits that are not zero in canonical signed digit form,
    and so needs one adder less than that. An adder takes one 6-input LUT with carry logic per bit. It is an upper
    bound for any constants of that width, and an estimate of firmware: synthesis shares terms among constants, and may
    put products into DSPs.

    Source: Parhi, VLSI Digital Signal Processing Systems, 13.6 (digits); AMD UG574, Carry Logic (LUTs).
    """

    unit: ClassVar[str] = "LUTs"

    def part(self, part: Part) -> float:
        """LUTs of its multipliers."""
        adders = csd_digits(part.weight_bits) - 1
        return float(part.nonzero * part.positions * adders * product_bits(part))
