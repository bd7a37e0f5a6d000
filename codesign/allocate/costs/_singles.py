"""What a weight or a bias by itself is to a cost: known after training alone."""

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
