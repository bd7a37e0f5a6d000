"""Constants of the network: numbers that a few bits hold exactly."""

from dataclasses import dataclass
from math import frexp, isfinite
from typing import Any

import numpy as np

from codesign.errors import InputError
from codesign.fixed import Codes

#: Most bits of a constant, its sign left out.
BITS = 12


@dataclass(frozen=True)
class Dyadic:
    """``code * 2**-fraction``, the code odd or zero."""

    code: int
    fraction: int

    @property
    def value(self) -> float:
        """The number."""
        return self.code * 2.0**-self.fraction

    def at(self, fraction: int) -> int:
        """Its code at a finer fraction."""
        return self.code << (fraction - self.fraction)

    def codes(self) -> Codes:
        """As codes that broadcast against any tensor."""
        return Codes(np.array(self.code), self.fraction)


ZERO, ONE = Dyadic(0, 0), Dyadic(1, 0)


def dyadic(path: str, what: str, given: Any) -> Dyadic:
    """A constant of the network.

    Args:
        path: The layer's name, for messages.
        what: What the constant is, for messages.
        given: The number.

    Raises:
        InputError: It is no number, or takes more than ``BITS`` bits; names the nearest that does not.
    """
    where = f"layer {path!r}"
    if not isinstance(given, int | float) or not isfinite(given):
        raise InputError(where, f"{what} {given}", "a finite number", "bring what is learned into a layer's weights")
    code, exponent = _rounded(given)
    if not few_bits(given):
        nearest = code * 2.0 ** (exponent - BITS)
        wanted = f"a number of at most {BITS} bits, such as {nearest!r}"
        raise InputError(where, f"{what} {given!r}", wanted, "change it before training: fixed point holds it exactly")
    shift = (code & -code).bit_length() - 1 if code else 0
    return Dyadic(code >> shift, BITS - exponent - shift) if code else ZERO


def few_bits(number: float) -> bool:
    """Whether ``BITS`` bits hold it."""
    if not isfinite(number):
        return False
    code, exponent = _rounded(number)
    return code * 2.0 ** (exponent - BITS) == number


def _rounded(number: float) -> tuple[int, int]:
    """Its mantissa in ``BITS`` bits, and its exponent."""
    mantissa, exponent = frexp(number)
    return round(mantissa * 2**BITS), exponent
