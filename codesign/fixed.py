"""The number format, and the one integer reference semantics that every representation must reproduce.

A tensor is carried as integer *codes* with a number of fraction bits: value = code * 2**-fraction.
"""

import re
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
import numpy.typing as npt

from codesign.arrays import Bits, FloatArray, IntArray, Signs
from codesign.errors import InputError

Rounding = Literal["floor", "nearest_even"]

#: Mantissa bits of the float types an integer computation may ride on.
FLOAT32_BITS, FLOAT64_BITS = 24, 53
#: Widest format handled: a float64 holds every code of it exactly.
MAX_WIDTH = FLOAT64_BITS
#: How a format of a whole tensor is spelt.
SPELLING = re.compile(r"(u?)fixed<\s*(\d+)\s*,\s*(-?\d+)\s*>")


@dataclass(frozen=True, eq=False)
class Fixed:
    """A fixed-point format in the sense of ``ap_fixed<width, integer>``; the zero point is 0.

    The scale is ``2**-(width - integer)``. ``width`` and ``integer`` are one number for the tensor,
    or integer arrays that broadcast against it (bits per channel or per element), and so is ``signed``. Width 0 holds
    only zero.

    Args:
        signed: Two's complement if true; the sign is one of the ``width`` bits.
        width: Total bits.
        integer: Bits left of the binary point, the sign included; may be negative or exceed ``width``.

    Raises:
        InputError: A width is negative or over 53, or 1 for a signed format (QONNX reads that as bipolar).
    """

    signed: Signs
    width: Bits
    integer: Bits

    def __post_init__(self) -> None:
        width = np.asarray(self.width)
        if np.any(width < 0) or np.any(width > MAX_WIDTH) or np.any(np.asarray(self.signed) & (width == 1)):
            raise InputError(
                "number format", f"width {self.width!r}", f"0 to {MAX_WIDTH} bits, signed formats 0 or at least 2 bits"
            )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Fixed)
            and np.array_equal(self.signed, other.signed)
            and np.array_equal(self.width, other.width)
            and np.array_equal(self.integer, other.integer)
        )

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def of_text(cls, text: str) -> "Fixed | None":
        """A format from what ``str`` makes of one for a whole tensor, such as ``ufixed<12,10>``; None if it is none."""
        match = SPELLING.fullmatch(text.strip())
        return None if match is None else cls(not match[1], int(match[2]), int(match[3]))

    @property
    def fraction(self) -> Bits:
        """Bits right of the binary point: the least significant bit is worth ``2**-fraction``."""
        return _plain(np.asarray(self.width) - np.asarray(self.integer))

    @property
    def low(self) -> Bits:
        """Smallest code."""
        width = np.asarray(self.width)
        negative = np.asarray(self.signed) & (width > 0)
        return _plain(np.where(negative, -(np.int64(1) << np.maximum(width - 1, 0)), 0))

    @property
    def high(self) -> Bits:
        """Largest code."""
        width = np.asarray(self.width)
        magnitude = np.where(self.signed, np.maximum(width - 1, 0), width)
        return _plain((np.int64(1) << magnitude) - 1)

    def envelope(self) -> "Fixed":
        """The smallest per-tensor format that holds every value of this one: finest LSB, widest range."""
        signed = bool(np.any(self.signed))
        if not np.any(self.width):
            return Fixed(signed, 0, 0)
        signs, width, integer = np.broadcast_arrays(self.signed, np.asarray(self.width), np.asarray(self.integer))
        used = width > 0
        # A number without a sign needs one more bit among numbers that have one.
        top = int((integer + (signed & ~signs))[used].max())
        fraction = int((width - integer)[used].max())
        return Fixed(signed, top + fraction, top)

    def channel_widths(self, shape: tuple[int, ...]) -> IntArray:
        """Bits of the smallest format that holds every value of each channel, the tensor's first axis.

        Args:
            shape: The tensor's.
        """
        flat = (shape[0], prod(shape[1:]))
        width, integer = (np.broadcast_to(bits, shape).reshape(flat) for bits in (self.width, self.integer))
        lowest = int(min(np.min(self.integer), np.min(self.fraction)))
        top, fraction = (np.where(width > 0, bits, lowest).max(1) for bits in (integer, width - integer))
        return np.where(width.any(1), top + fraction, 0)

    def __str__(self) -> str:
        widths, integers = np.asarray(self.width), np.asarray(self.integer)
        if widths.ndim or integers.ndim:
            text = f"{widths.min()}..{widths.max()},{integers.min()}..{integers.max()}"
        else:
            text = f"{widths},{integers}"
        sign = "u" if not np.any(self.signed) else "" if np.all(self.signed) else "(u)"
        return f"{sign}fixed<{text}>"


@dataclass(frozen=True)
class Codes:
    """Integers with a binary point: value = ``values * 2**-fraction``.

    Args:
        values: int64 codes, of the tensor's shape (``[batch, ...]`` for activations).
        fraction: Fraction bits, one number or an array that broadcasts against the tensor.
    """

    values: IntArray
    fraction: Bits

    def align(self, fraction: int | None = None) -> "Codes":
        """The same values with one fraction for the whole tensor, at least as fine as the finest element."""
        finest = int(np.max(self.fraction)) if np.size(self.fraction) else 0
        target = finest if fraction is None else fraction
        if np.ndim(self.fraction) == 0 and int(np.max(self.fraction)) == target:
            return self
        return Codes(self.values << (target - np.asarray(self.fraction)), target)

    def real(self) -> npt.NDArray[np.float64]:
        """The real values, exact in float64."""
        return np.ldexp(self.values.astype(np.float64), -np.asarray(self.fraction))


def quantize(values: FloatArray, fixed: Fixed, rounding: Rounding) -> Codes:
    """Round real values to a format and saturate.

    Args:
        values: Finite real numbers, any shape that the format broadcasts against.
        fixed: The target format.
        rounding: ``"nearest_even"`` (weights, biases) or ``"floor"`` (activations, truncation).

    Raises:
        InputError: A value is NaN or infinite.
    """
    scaled = np.ldexp(np.asarray(values, np.float64), np.asarray(fixed.fraction))
    if not np.isfinite(scaled).all():
        raise InputError("quantize", f"{np.count_nonzero(~np.isfinite(scaled))} values that are NaN or infinite")
    rounded = np.floor(scaled) if rounding == "floor" else np.rint(scaled)
    # Bounds of at most 53 bits are exact in float64, so clipping before the cast loses nothing.
    codes = np.clip(rounded, np.asarray(fixed.low, np.float64), np.asarray(fixed.high, np.float64)).astype(np.int64)
    return Codes(codes, fixed.fraction)


def requantize(codes: Codes, fixed: Fixed) -> Codes:
    """Truncate (round towards minus infinity) and saturate integer codes to a format: the activation quantizer."""
    shift = np.asarray(codes.fraction) - np.asarray(fixed.fraction)
    low, high = np.asarray(fixed.low), np.asarray(fixed.high)
    down = codes.values >> np.clip(shift, 0, 63)
    # Shifting up by more than the width saturates all but zero, and so does starting out of range:
    # both limits keep the shifted codes within int64.
    up = np.clip(-shift, 0, np.asarray(fixed.width) + 1)
    moved = np.clip(down, (low >> up) - 1, (high >> up) + 1) << up if np.any(up) else down
    return Codes(np.clip(moved, low, high), fixed.fraction)


def smallest_format(low: int, high: int, fraction: int) -> Fixed:
    """The narrowest format with the given fraction that holds the codes ``low`` to ``high``.

    Raises:
        InputError: More than 53 bits would be needed.
    """
    if low < 0:
        width = max(max(high, 0).bit_length(), (-low - 1).bit_length()) + 1
        return Fixed(True, max(width, 2), max(width, 2) - fraction)
    width = high.bit_length()
    return Fixed(False, width, width - fraction)


def _plain(bits: IntArray) -> Bits:
    return int(bits) if bits.ndim == 0 else bits
