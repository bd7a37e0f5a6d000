"""Effective bit operations as in HGQ."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part


@dataclass(frozen=True)
class Ebops(Cost):
    """``b_a (b_w - 1)`` per product of a weight that is not zero: the sign of a constant takes no bit.

    Source: HGQ, arXiv 2405.00645. HGQ counts of every final constant the bits from the first to the last that is set;
    those are ``b_w - 1`` at most, and the constants are known after fine-tuning only. So this is an upper bound of
    HGQ's count. Fine-tuning cannot exceed it: widths are fixed, and zeros stay zero. Biases are left out.
    """

    unit: ClassVar[str] = "effective bit operations"

    def part(self, part: Part) -> float:
        """Effective bit operations for one sample."""
        return float(part.nonzero * part.positions * part.activation_bits * (part.weight_bits - 1))
