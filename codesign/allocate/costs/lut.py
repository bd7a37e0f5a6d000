"""LUTs of fully unrolled firmware."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part
from codesign.allocate.costs.adder_lut import AdderLut
from codesign.allocate.costs.multiplier_lut import MultiplierLut


@dataclass(frozen=True)
class Lut(Cost):
    """``multiplier_lut + adder_lut``: the arithmetic of firmware in which every product has hardware of its own.

    Source: those two. Activation functions, pooling, saturation and registers are left out.
    """

    unit: ClassVar[str] = "LUTs"

    def part(self, part: Part) -> float:
        """LUTs of its multipliers and adders."""
        return MultiplierLut(self.hardware).part(part) + AdderLut(self.hardware).part(part)

    def limit(self) -> float | None:
        """LUTs that the network may use."""
        return self.hardware.target.lut
