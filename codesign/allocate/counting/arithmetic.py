"""Sizes of the adders that multiply by constants and sum the products."""

from codesign.allocate.costs._cost import Part

#: Carry bits per adder of a balanced tree, on average at most. With ``t`` terms, ``ceil(t / 2**k)`` are left after
#: level ``k``, and the adders that follow are one bit wider for each level: in all
#: ``sum over k of (ceil(t / 2**k) - 1) <= sum over k of (t - 1) / 2**k <= 2 (t - 1)`` bits for ``t - 1`` adders.
TREE_CARRY_BITS = 2


def csd_digits(bits: int) -> int:
    """Most digits that are not zero in the canonical signed digit form of a two's complement number.

    No two digits that are not zero are neighbours, and a number of ``bits`` bits has at most ``bits`` digits.

    Args:
        bits: Its width, the sign included.
    """
    return (bits + 1) // 2


def levels(terms: int) -> int:
    """Adder levels of a balanced tree, ``ceil(log2(terms))``; 0 for one term or none."""
    return max(terms - 1, 0).bit_length()


def product_bits(part: Part) -> int:
    """Bits of a product of weight and activation."""
    return part.activation_bits + part.weight_bits


def accumulator_bits(part: Part) -> int:
    """Bits that hold any sum of a full output's products."""
    return product_bits(part) + levels(part.fan_in)
