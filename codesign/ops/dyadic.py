"""Constants of the network: numbers that a few bits hold exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import frexp, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from codesign.arrays import IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.ops.op import Parameter, Shape

if TYPE_CHECKING:
    from torch import Tensor

#: Most bits of a constant, its sign left out.
BITS = 12
#: Most bits of constants side by side, at the binary point of the finest.
APART = 48


@dataclass(frozen=True)
class Dyadic:
    """``code * 2**-fraction``, the code odd or zero."""

    code: int
    fraction: int

    @property
    def value(self) -> float:
        """The number."""
        return self.code * 2.0**-self.fraction

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The number, as an array that broadcasts against any tensor."""
        return np.array(self.value)

    def like(self, x: Tensor) -> float:
        """What torch computes with."""
        return self.value

    def at(self, fraction: int) -> int:
        """Its code at a finer fraction."""
        return self.code << (fraction - self.fraction)

    def codes(self) -> Codes:
        """As codes that broadcast against any tensor."""
        return Codes(np.array(self.code), self.fraction)

    def negated(self) -> Dyadic:
        """Minus the number."""
        return Dyadic(-self.code, self.fraction)


@dataclass(frozen=True)
class Dyadics:
    """Such numbers with one fraction, as where every feature has its own.

    Args:
        flat: Their codes, one after another.
        fraction: Fraction bits of all.
        shape: Their shape, which broadcasts against a tensor without its batch axis.
    """

    flat: tuple[int, ...]
    fraction: int
    shape: Shape

    @classmethod
    def of(cls, codes: IntArray, fraction: int) -> Dyadics:
        """From an array of codes."""
        return cls(tuple(codes.reshape(-1).tolist()), fraction, codes.shape)

    @property
    def code(self) -> IntArray:
        """The codes, of their shape."""
        return np.array(self.flat, np.int64).reshape(self.shape)

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The numbers, of their shape."""
        return np.ldexp(self.code.astype(np.float64), -self.fraction)

    def like(self, x: Tensor) -> Tensor:
        """What torch computes with."""
        import torch

        return torch.tensor(self.values).to(x)

    def at(self, fraction: int) -> IntArray:
        """Their codes at a finer fraction."""
        return self.code << (fraction - self.fraction)

    def codes(self) -> Codes:
        """As codes that broadcast against a tensor."""
        return Codes(self.code, self.fraction)

    def negated(self) -> Dyadics:
        """Minus the numbers."""
        return Dyadics.of(-self.code, self.fraction)


#: A constant of an operation: one number, or one for each feature.
Constant = Dyadic | Dyadics


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


def constant(path: str, what: str, given: Any, rank: int) -> Constant:
    """A constant of the network, one number or several.

    Args:
        path: The layer's name, for messages.
        what: What the constant is, for messages.
        given: A number, an array, or a tensor that no input reaches.
        rank: Axes of the tensor that it meets, the batch axis left out.

    Raises:
        InputError: It is learned, or a number takes more than ``BITS`` bits, or there is one for each sample.
    """
    if isinstance(given, Parameter):
        if given.values is None:
            hint = "bring it into a layer's weights, or make it a buffer"
            raise InputError(f"layer {path!r}", f"{what} {given.name!r}, which is learned", "a constant", hint)
        given = given.values
    if not isinstance(given, np.ndarray):
        return dyadic(path, what, given)
    values = np.asarray(given, np.float64)
    if values.size == 1:
        return dyadic(path, what, values.item())
    if values.ndim > rank + (values.shape[0] == 1):
        found = f"{what} tensor of shape {list(values.shape)}"
        raise InputError(f"layer {path!r}", found, f"at most {rank} axes, the batch left out")
    return dyadics([dyadic(path, what, value) for value in values.reshape(-1).tolist()], values.shape[-rank:])


def dyadics(numbers: Sequence[Dyadic], shape: Shape) -> Dyadics:
    """Numbers side by side, at the finest fraction of all.

    Raises:
        InputError: They lie so far apart that no int64 holds all of them.
    """
    fraction = max(number.fraction for number in numbers if number.code or number is numbers[0])
    codes = [number.at(fraction) if number.code else 0 for number in numbers]
    if (bits := max(map(abs, codes)).bit_length()) > APART:
        least, most = min(abs(n.value) for n in numbers if n.code), max(abs(n.value) for n in numbers)
        found = f"constants from {least:g} to {most:g} side by side, which take {bits} bits"
        raise InputError("constants of one tensor", found, f"at most {APART} bits", "bring them closer together")
    return Dyadics(tuple(codes), fraction, shape)


def require_fit(name: str, what: str, given: Constant | None, shape: Shape) -> None:
    """Refuse constants that don't go along with a tensor.

    Raises:
        InputError: Their shape doesn't fit its shape, or would enlarge it.
    """
    if isinstance(given, Dyadics) and not fits(given.shape, shape):
        found = f"{what} of shape {list(given.shape)} for a tensor of shape {list(shape)}"
        raise InputError(f"layer {name!r}", found, "one number for all, or for each element of its last axes")


def fits(own: Shape, shape: Shape) -> bool:
    """Whether one shape broadcasts against another without enlarging it."""
    return len(own) <= len(shape) and all(one in (1, other) for one, other in zip(own[::-1], shape[::-1], strict=False))
