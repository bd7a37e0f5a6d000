"""Effective bit operations, of single weights."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part
from codesign.allocate.costs._singles import summed


@dataclass(frozen=True)
class CountedEbops(Cost):
    """Bits of each weight from the first that is set to the last, times those of the activation that it meets.

    Bits of biases are added. Before weights are known, ``b_a (b_w - 1)`` for each that is not zero stands for them, as
    in ``ebops``, and biases are left out. Source: HGQ, arXiv 2405.00645.
    """

    unit: ClassVar[str] = "effective bit operations"

    def part(self, part: Part) -> float:
        """Effective bit operations for one sample."""
        if part.singles:
            return part.positions * summed(part.singles, digits=False, slope=1.0, offset=0.0)
        return float(part.nonzero * part.positions * part.activation_bits * (part.weight_bits - 1))
