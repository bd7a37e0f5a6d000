"""Quantizers that a file brings along, as they are there: any scale, any rounding."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.arrays import Bits, FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import MAX_WIDTH, Fixed

Float64 = npt.NDArray[np.float64]

#: QONNX's words for roundings, and what they do to a real number of steps.
ROUNDINGS: dict[str, Callable[[Float64], Float64]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "FLOOR": np.floor,
    "CEIL": np.ceil,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.trunc,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}


@dataclass(frozen=True)
class Quantizer:
    """A tensor's quantizer in a file; its zero point is 0.

    Args:
        where: The node, for messages.
        scale: The step: one number ``[]``, or an array with as many axes as the tensor (batch left out).
        width: Bits, likewise.
        signed: Whether negative codes are there.
        narrow: Whether the outermost code is left out.
        rounding: One of ``ROUNDINGS``.
        bipolar: Whether the only codes are -1 and 1.
    """

    where: str
    scale: FloatArray
    width: IntArray
    signed: bool
    narrow: bool = False
    rounding: str = "ROUND"
    bipolar: bool = False

    def fixed(self) -> Fixed:
        """The number format, every scale moved to the nearest power of two (by its logarithm).

        Raises:
            InputError: There is no such format.
        """
        power = np.rint(np.log2(self.scale)).astype(np.int64)
        width = np.maximum(self.width, 2) if self.bipolar else np.asarray(self.width)
        if np.any(np.abs(power) > 512) or np.any(width > MAX_WIDTH) or (self.signed and np.any(width == 1)):
            found = (
                f"{_shown(width)} bits of {_shown(np.asarray(self.scale))}, {'signed' if self.signed else 'unsigned'}"
            )
            raise InputError(
                self.where, found, f"2 to {MAX_WIDTH} bits (unsigned: from 1), scales from 2**-512 to 2**512"
            )
        return Fixed(self.signed, _bits(width), _bits(width + power))

    def moved(self) -> tuple[float, float]:
        """The scale that changes most when it is moved to a power of two, and that power of two."""
        scales = np.asarray(self.scale, np.float64).reshape(-1)
        nearest = 2.0 ** np.rint(np.log2(scales))
        worst = int(np.argmax(np.abs(np.log2(scales) - np.log2(nearest))))
        return float(scales[worst]), float(nearest[worst])

    def applied(self, values: npt.NDArray[Any]) -> Float64:
        """Values after the file's own quantizer.

        Args:
            values: The tensor, or a batch of it.
        """
        steps = np.asarray(values, np.float64) / self.scale
        if self.bipolar:
            return np.where(steps >= 0, 1.0, -1.0) * np.asarray(self.scale, np.float64)
        width = np.asarray(self.width)
        high = 2.0 ** (width - self.signed) - 1 - (self.narrow and not self.signed)
        low = -(2.0 ** (width - 1)) + self.narrow if self.signed else np.zeros(())
        return ROUNDINGS[self.rounding](np.clip(steps, low, high)) * np.asarray(self.scale, np.float64)

    def reshaped(self, change: Any) -> "Quantizer":
        """With its arrays changed as the tensor is, by transposing for instance; single numbers stay."""
        scale, width = (value if np.ndim(value) == 0 else change(value) for value in (self.scale, self.width))
        return replace(self, scale=scale, width=width)

    def compact(self) -> "Quantizer":
        """With one number where all are equal, along each axis."""
        return self.reshaped(_compact)

    def like(self, other: "Quantizer") -> bool:
        """Whether it does the same."""
        same = np.array_equal(self.scale, other.scale) and np.array_equal(self.width, other.width)
        return same and all(
            getattr(self, name) == getattr(other, name) for name in ("signed", "narrow", "rounding", "bipolar")
        )


def _compact(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    for axis in range(values.ndim):
        first = np.take(values, [0], axis)
        values = first if np.array_equal(np.broadcast_to(first, values.shape), values) else values
    return values.reshape(()) if values.size == 1 else values


def _bits(values: npt.NDArray[Any]) -> Bits:
    return int(values) if np.ndim(values) == 0 else values


def _shown(values: npt.NDArray[Any] | Sequence[float]) -> str:
    flat = np.reshape(values, -1)
    return f"{flat[0]:g}" if flat.size == 1 else f"{flat.min():g} to {flat.max():g}"
