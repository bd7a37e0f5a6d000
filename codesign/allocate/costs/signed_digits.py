"""Signed digits times bits, of single weights."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part
from codesign.allocate.costs._singles import summed


@dataclass(frozen=True)
class SignedDigits(Cost):
    """Signed digits of each weight that are not zero, times bits of the activation that it meets.

    Digits of biases are added. Before weights are known, as many digits as a weight of ``b_w`` bits can have stand for
    them, ``floor((b_w - 1) / 2) + 1``. Source: Parhi, VLSI Digital Signal Processing Systems, 13.6.
    """

    unit: ClassVar[str] = "digits times bits"

    def part(self, part: Part) -> float:
        """Digits times bits for one sample."""
        if part.singles:
            return part.positions * summed(part.singles, digits=True, slope=1.0, offset=0.0)
        return float(part.nonzero * part.positions * part.activation_bits * most_digits(part.weight_bits))


def most_digits(weight_bits: int) -> int:
    """Most signed digits that are not zero of a weight with a sign."""
    return (weight_bits - 1) // 2 + 1
