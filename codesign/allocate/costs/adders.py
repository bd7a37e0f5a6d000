"""LUTs of adders, of single weights."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part
from codesign.allocate.costs._singles import summed
from codesign.allocate.costs.signed_digits import most_digits

#: LUTs of a digit's adder for each bit of the activation, and beside those: fitted to what alkaid makes of 21 points of
#: one network, of 245 to 25,000 effective bit operations; its own count was met to 5 % (root mean square).
SLOPE, OFFSET = 0.51, 2.79


@dataclass(frozen=True)
class Adders(Cost):
    """``0.51 b_a + 2.79`` for each signed digit of a weight that is not zero, and 1 for each of a bias.

    Before weights are known, as many digits as a weight can have stand for them. Source: our own fit to alkaid's count
    of the LUTs of `transpile.rtl`.
    """

    unit: ClassVar[str] = "LUTs"

    def part(self, part: Part) -> float:
        """LUTs of a part's adders."""
        if part.singles:
            return part.positions * summed(part.singles, digits=True, slope=SLOPE, offset=OFFSET)
        digits = part.nonzero * part.positions * most_digits(part.weight_bits)
        return digits * (SLOPE * part.activation_bits + OFFSET)

    def limit(self) -> float | None:
        """LUTs that the network may use."""
        return self.hardware.target.lut
