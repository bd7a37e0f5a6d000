"""Size of the activations."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Activation, Cost, Part


@dataclass(frozen=True)
class ActivationBits(Cost):
    """``b_a`` per element of every quantized activation tensor, network inputs included.

    Source: the total activation memory that Uhlich et al., arXiv 1905.11452, bound. Sums between two quantizers, which
    no memory holds in unrolled firmware, are left out.
    """

    unit: ClassVar[str] = "bits"

    def part(self, part: Part) -> float:
        """Weights take no part in it."""
        return 0.0

    def activation(self, activation: Activation) -> float:
        """Bits of the tensor for one sample."""
        return float(activation.elements * activation.bits)
