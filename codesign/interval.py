"""Interval arithmetic on integer codes: proves ranges, so that accumulators are exactly as wide as needed."""

from dataclasses import dataclass

import numpy as np

from codesign.arrays import IntArray
from codesign.errors import InputError
from codesign.fixed import Codes, Fixed, requantize, smallest_format

#: What int64 holds, with room for a sum of two.
MOST_BITS = 61


@dataclass(frozen=True)
class Interval:
    """Every element's smallest and largest code.

    Args:
        low: int64, of the tensor's shape without the batch axis.
        high: The same shape.
        fraction: Fraction bits of both, one number for the tensor.
    """

    low: IntArray
    high: IntArray
    fraction: int

    @classmethod
    def of(cls, fixed: Fixed, shape: tuple[int, ...]) -> "Interval":
        """The range of a format, over a tensor of that shape.

        Raises:
            InputError: Elements' formats lie so far apart that no int64 holds all of them at the finest fraction.
        """
        finest = int(np.max(fixed.fraction))
        if (bits := float(np.max(np.asarray(fixed.width) + finest - np.asarray(fixed.fraction)))) > MOST_BITS:
            found = f"formats of one tensor that need {bits:.0f} bits with the finest one's binary point"
            raise InputError("formats", found, f"at most {MOST_BITS}", "send features in closer formats")
        low = np.broadcast_to(np.asarray(fixed.low, np.int64), shape)
        high = np.broadcast_to(np.asarray(fixed.high, np.int64), shape)
        fraction = np.broadcast_to(fixed.fraction, shape)
        ends = [Codes(end, fraction).align() for end in (low, high)]
        finest = max(int(np.max(end.fraction)) for end in ends)
        return cls(ends[0].align(finest).values, ends[1].align(finest).values, finest)

    def align(self, fraction: int) -> "Interval":
        """The same interval with a finer binary point."""
        shift = fraction - self.fraction
        return Interval(self.low << shift, self.high << shift, fraction)

    def requantize(self, fixed: Fixed) -> "Interval":
        """The interval after truncation and saturation; both are monotone, so the ends map to the ends."""
        low, high = (requantize(Codes(end, self.fraction), fixed).align() for end in (self.low, self.high))
        finest = max(int(np.max(low.fraction)), int(np.max(high.fraction)))
        return Interval(low.align(finest).values, high.align(finest).values, finest)

    def smallest_format(self) -> Fixed:
        """The narrowest per-tensor format that holds the interval exactly: the accumulator's width."""
        return smallest_format(int(self.low.min()), int(self.high.max()), self.fraction)
