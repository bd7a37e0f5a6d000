"""Costs of single weights: counted from what was trained, and unknown before."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part
from codesign.allocate.costs._singles import Single
from codesign.errors import InputError

#: LUTs of a digit's adder for each bit of the activation, and beside those: fitted to what Yosys counts of 22 points of
#: two fronts of one network, of 214 to 7,312 LUTs, to 5 % (root mean square).
SLOPE, OFFSET = 1.0, 0.54


@dataclass(frozen=True)
class OfSingles(Cost):
    """``sum over weights: P n (a b + b0) + sum over biases: P n``, of what ``n`` counts of each.

    A weight meets ``b`` bits of an activation element. Biases of channels without weights are constants, and free.
    """

    slope: ClassVar[float] = 1.0
    offset: ClassVar[float] = 0.0

    def part(self, part: Part) -> float:
        """Cost for one sample.

        Raises:
            InputError: Weights are not known yet.
        """
        if not part.singles:
            found = f"a cost of single weights, and layer {part.node!r} without any"
            raise InputError("costs", found, "", "use it in finetune.per_weight, or ebops to allocate")
        prices = [self.slope * each.met + self.offset if each.met else 1.0 for each in part.singles]
        counts = [self.count(each) * each.number for each in part.singles]
        return part.positions * sum(count * price for count, price in zip(counts, prices, strict=True))

    def count(self, single: Single) -> int:
        """What is counted of one."""
        return single.digits


@dataclass(frozen=True)
class CountedEbops(OfSingles):
    """Bits from the first that is set to the last. Source: HGQ, arXiv 2405.00645."""

    unit: ClassVar[str] = "effective bit operations"

    def count(self, single: Single) -> int:
        """Bits of one."""
        return single.bits


@dataclass(frozen=True)
class SignedDigits(OfSingles):
    """Signed digits that are not zero. Source: Parhi, VLSI Digital Signal Processing Systems, 13.6."""

    unit: ClassVar[str] = "digits times bits"


@dataclass(frozen=True)
class Adders(OfSingles):
    """LUTs of adders, one for each signed digit. Source: our own fit to what Yosys counts of `transpile.rtl`."""

    unit: ClassVar[str] = "LUTs"
    slope: ClassVar[float] = SLOPE
    offset: ClassVar[float] = OFFSET


#: By name.
OF_SINGLES: dict[str, type[Cost]] = {
    "counted_ebops": CountedEbops,
    "signed_digits": SignedDigits,
    "adders": Adders,
}
