"""C++ expressions of codes in vectors of 32 or 64 bits.

Unsigned, so that all wraps: what an addition, a product or a shift to the left gives in a type depends on no more than
the low bits of what goes in, and is exact if it fits. The functions that are used here are those of ``program.h.j2``.
"""

from dataclasses import dataclass

#: The vector types of codes, by bits; called N and W in C++.
NARROW, WIDE = 32, 64


@dataclass(frozen=True)
class Value:
    """What is known of a code, which stands for code * 2**-fraction.

    Args:
        low, high: Its range.
        fraction: Bits right of the binary point.
    """

    low: int
    high: int
    fraction: int

    @property
    def bits(self) -> int:
        """Of the type that holds it."""
        return NARROW if fits(self.low, self.high, NARROW) else WIDE


def fits(low: int, high: int, bits: int) -> bool:
    """Whether numbers fit signed ones of so many bits."""
    return low >= -(2 ** (bits - 1)) and high < 2 ** (bits - 1)


def cast(code: str, before: int, bits: int) -> str:
    """A code in another type: with its sign, or its low bits."""
    if before == bits:
        return code
    return f"wide({code})" if bits == WIDE else f"narrow({code})"


def moved(code: str, before: int, shift: int, bits: int) -> str:
    """A code times a power of two, rounded down, in a type.

    Args:
        code: Its expression.
        before: Bits of its type.
        shift: The exponent.
        bits: Of the type that is wanted; where it does not fit, these are its low bits.
    """
    if shift < 0:
        code = f"down({code}, {min(-shift, before - 1)})"
    code = cast(code, before, bits)
    if shift > 0:
        return f"({code} << {shift})" if shift < bits else zero(bits)
    return code


def zero(bits: int) -> str:
    """Zero in every lane."""
    return "N{}" if bits == NARROW else "W{}"


def literal(number: int, bits: int) -> str:
    """A number, modulo the type."""
    return f"{number % 2**bits}u{'ll' if bits == WIDE else ''}"
