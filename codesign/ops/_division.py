"""Division by a number of elements, as hardware does it: a multiplication and a shift."""

from dataclasses import dataclass
from fractions import Fraction

#: The quotient is wrong by at most ``2**-ACCURACY`` of itself.
ACCURACY = 14


@dataclass(frozen=True)
class Reciprocal:
    """``factor * 2**-shift``, exactly one over a power of two and nearly one over another number."""

    factor: int
    shift: int

    @property
    def value(self) -> float:
        """The number; its few bits are exact in every float type."""
        return self.factor * 2.0**-self.shift


def reciprocal(count: int) -> Reciprocal:
    """One over a number of elements: ``round(2**shift / count) * 2**-shift`` with the least shift that is accurate.

    A power of two only moves the binary point. The float network takes the same number, so that every representation,
    sensitivities and fine-tuning included, sees one mean.

    Args:
        count: At least 1.
    """
    shift = count.bit_length() - 1
    while True:
        factor = round(Fraction(2**shift, count))
        if abs(factor * count - 2**shift) << ACCURACY <= 2**shift:
            return Reciprocal(factor, shift)
        shift += 1
