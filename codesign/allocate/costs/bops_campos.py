"""Bit operations as in "End-to-end codesign of Hessian-aware quantized neural networks" (arXiv 2304.06745)."""

from dataclasses import dataclass
from math import log2
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part


@dataclass(frozen=True)
class BopsCampos(Cost):
    """``macs * (p b_a b_w + b_a + b_w + log2(n))`` per layer.

    The products of the share ``p`` of weights that are not zero, and additions into an accumulator that grows with the
    number ``n`` of terms. Fine-tuning keeps zeros zero, so that the built network costs at most this.

    Source: Campos et al., arXiv 2304.06745. Biases are left out.
    """

    unit: ClassVar[str] = "bit operations"

    def part(self, part: Part) -> float:
        """Bit operations for one sample."""
        products = part.density * part.activation_bits * part.weight_bits
        return part.macs * (products + part.activation_bits + part.weight_bits + log2(part.fan_in))
