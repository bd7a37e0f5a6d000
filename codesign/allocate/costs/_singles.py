"""What a weight or a bias by itself is to a cost: known after training alone."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Single:
    """Some weights, or biases, that are alike.

    Args:
        bits: From the first that is set to the last.
        digits: Of the canonical signed digit form, those that are not zero.
        met: Bits of the activation that they are multiplied with; 0 of biases.
        number: How many there are.
    """

    bits: int
    digits: int
    met: int
    number: int


def summed(singles: Sequence[Single], *, digits: bool, slope: float, offset: float) -> float:
    """``sum over weights: n (a b_a + b) + sum over biases: n``, ``n`` being bits or digits."""
    counts = [(each.digits if digits else each.bits) * each.number for each in singles]
    prices = [slope * each.met + offset if each.met else 1.0 for each in singles]
    return sum(count * price for count, price in zip(counts, prices, strict=True))
