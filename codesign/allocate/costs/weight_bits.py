"""Size of the weights."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part


@dataclass(frozen=True)
class WeightBits(Cost):
    """``b_w`` per weight, zeros included where any weight beside them is not zero: what storing the weights takes.

    Source: ``total_mem_w_bits`` of ``qonnx.util.inference_cost`` with ``discount_sparsity=False``; the model size that
    HAWQ-V3 (arXiv 2011.10680) bounds. Biases are left out.
    """

    unit: ClassVar[str] = "bits"

    def part(self, part: Part) -> float:
        """Bits of its weights."""
        return float(part.weights * part.weight_bits)
