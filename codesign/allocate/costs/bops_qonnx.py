"""Bit operations as qonnx counts them."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part


@dataclass(frozen=True)
class BopsQonnx(Cost):
    """``b_a b_w`` per product of a weight that is not zero: ``total_bops`` of ``qonnx-inference-cost``.

    Source: ``qonnx.util.inference_cost`` with its default ``discount_sparsity=True``. Additions are left out.
    """

    unit: ClassVar[str] = "bit operations"

    def part(self, part: Part) -> float:
        """Bit operations for one sample."""
        return float(part.nonzero * part.positions * part.activation_bits * part.weight_bits)
