"""LUTs of the unrolled RTL, as far as widths tell."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part
from codesign.allocate.counting.arithmetic import TREE_CARRY_BITS, accumulator_bits
from codesign.estimate.model.fit import read_fit


@dataclass(frozen=True)
class RtlLut(Cost):
    """``z P (a b_w + b) (b_a + 2) + sums P (b_a + b_w + ceil(log2(n)))``, ``a`` and ``b`` fitted to syntheses.

    A weight that is not zero has digits in proportion to its bits, on average, and each takes an adder as wide as the
    activation, with two bits of carries. ``benchmarks/estimates.py`` fits to networks that ``transpile.rtl`` makes and
    Yosys counts for UltraScale+; the fit and its error are in ``estimate/model/fitted.json``. Weights of trained
    networks lie closer to zero than their width allows, and take less. A sum of branches takes a LUT per bit.

    Source: our own fit; Parhi, VLSI Digital Signal Processing Systems, 13.6 (digits); AMD UG574 (LUTs of an adder).
    """

    unit: ClassVar[str] = "LUTs"

    def part(self, part: Part) -> float:
        """LUTs of its sums."""
        return part_lut(part)

    def limit(self) -> float | None:
        """LUTs that the network may use."""
        return self.hardware.target.lut


def weight_bits(part: Part) -> float:
    """Bits of adders, were there one for every weight that is not zero."""
    return float(part.nonzero * part.positions * (part.activation_bits + TREE_CARRY_BITS))


def digit_bits(part: Part) -> float:
    """Bits of adders, were there one for every bit of every weight that is not zero."""
    return part.weight_bits * weight_bits(part)


def part_lut(part: Part) -> float:
    """LUTs of a part's sums, as the cost's formula has it."""
    fit, branches = read_fit(), part.channels * part.additions * part.positions * accumulator_bits(part)
    return fit.part_per_bit * digit_bits(part) + fit.part_per_weight * weight_bits(part) + branches
