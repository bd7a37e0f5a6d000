"""Quantizers of an ONNX file as number formats: QONNX's Quant, and QuantizeLinear with DequantizeLinear (QCDQ)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.arrays import Bits
from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.load._onnx_file import Array

Float64 = npt.NDArray[np.float64]
#: Operators that quantize a tensor in one node; and those that do it in two, with integers in between.
QUANT = ("Quant", "IntQuant")
LINEAR = ("QuantizeLinear", "DequantizeLinear")
REFUSED = {
    "BipolarQuant": "two levels without a zero are no fixed-point format: use Quant with 2 bits",
    "Trunc": "put a Quant after the pooling instead",
    "FloatQuant": "use Quant: minifloats are no fixed-point format",
    "MultiThreshold": "export before FINN's streamlining",
}
ROUNDINGS = {"ROUND": "nearest", "HALF_EVEN": "nearest", "HALF_UP": "nearest", "FLOOR": "floor"}


@dataclass(frozen=True)
class Quantizer:
    """What a file says of a tensor's quantizer.

    Args:
        where: The node, for messages.
        scale: The step, one number or an array that broadcasts against the tensor.
        width: Bits, likewise.
        signed: Whether negative codes are there.
        narrow: Whether the outermost code is left out.
        rounding: QONNX's word.
        axis: Of channels, where scale is a vector of them; None where it broadcasts as it is.
    """

    where: str
    scale: Float64
    width: npt.NDArray[np.int64]
    signed: bool
    narrow: bool
    rounding: str
    axis: int | None = None

    @classmethod
    def quant(cls, where: str, inputs: Sequence[Array | None], options: Mapping[str, Any]) -> "Quantizer":
        """From ``Quant(x, scale, zero_point, bit_width)``; the last three are constants.

        Raises:
            InputError: They are not, or are no fixed-point format.
        """
        scale, zero, bits = (np.asarray(value, np.float64) for value in _constants(where, inputs, 4))
        if not np.isfinite(bits).all() or (bits != np.rint(bits)).any() or (bits < 1).any() or (bits > 53).any():
            raise InputError(where, f"bit_width {_shown(bits)}", "whole numbers from 1 to 53")
        rounding = str(options.get("rounding_mode", "ROUND")).upper()
        signed, narrow = bool(options.get("signed", 1)), bool(options.get("narrow", 0))
        return cls(where, _positive(where, scale, zero), bits.astype(np.int64), signed, narrow, rounding)

    @classmethod
    def linear(cls, where: str, inputs: Sequence[Array | None], options: Mapping[str, Any]) -> "Quantizer":
        """From ``QuantizeLinear`` or ``DequantizeLinear(x, scale, zero_point)``; the type is the zero point's.

        Raises:
            InputError: As for ``quant``.
        """
        (scale,) = (np.asarray(value, np.float64) for value in _constants(where, inputs, 2))
        zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros((), np.uint8)
        if options.get("block_size", 0) or options.get("output_dtype", 0):
            raise InputError(where, "block_size or output_dtype", "a type given by the zero point, scales per channel")
        if zero.dtype.kind not in "iu":
            raise InputError(where, f"a zero point of type {zero.dtype}", "an integer")
        width = np.array(np.iinfo(zero.dtype).bits)
        positive = _positive(where, scale, np.asarray(zero, np.float64))
        axis = int(options.get("axis", 1)) if positive.size > 1 else None
        return cls(where, positive, width, zero.dtype.kind == "i", False, "ROUND", axis)

    def clipped(self, low: float, high: float) -> "Quantizer":
        """With fewer bits, by the smallest and largest code that a Clip leaves.

        Raises:
            InputError: They are not those of a width.
        """
        signed = low < 0
        width = int(high).bit_length() + signed if high >= 1 else 0
        full, least = 2 ** (width - signed) - 1, -(2 ** (width - 1)) if signed else 0
        if width < 1 + signed or high not in (full, full - 1) or low not in (least, least + signed):
            raise InputError(self.where, f"codes clipped to {low:g} ... {high:g}", "the range of a width, as -8 ... 7")
        return replace(self, width=np.array(width), signed=signed, narrow=high < full or low > least)

    def fixed(self, shape: Sequence[int]) -> tuple[Fixed, float]:
        """The number format for a tensor of that shape, and the largest relative change of a scale on the way.

        A scale that is no power of two is moved to the nearest one.

        Raises:
            InputError: Scales that don't broadcast, or a format that there is not.
        """
        scale = self._shaped(self.scale, shape)
        power = np.rint(np.log2(scale)).astype(np.int64)
        change = float(np.max(np.abs(2.0**power / scale - 1)))
        width, power = _one(self._shaped(self.width, shape)), _one(power)
        if self.signed and np.any(np.asarray(width) < 2):
            raise InputError(self.where, "1 bit with a sign", "2 bits or more: a format of 1 bit has no sign")
        if np.any(np.abs(power) > 512):
            raise InputError(self.where, f"a scale of 2**{power}", "scales from 2**-512 to 2**512")
        return Fixed(self.signed, width, width + power), change

    def applied(self, values: Array) -> Float64:
        """Constants after the file's own quantizer, scale and rounding as they are there."""
        scale, width = self._shaped(self.scale, values.shape), self._shaped(self.width, values.shape)
        high = 2.0 ** (width - self.signed) - 1 - (self.narrow and not self.signed)
        low = -(2.0 ** (width - 1)) + self.narrow if self.signed else 0.0
        rounded = np.asarray(values, np.float64) / scale
        rounded = np.floor(rounded) if ROUNDINGS[self.rounding] == "floor" else np.rint(rounded)
        return np.clip(rounded, low, high) * scale

    def checked(self) -> "Quantizer":
        """Itself, if its rounding is one that has a counterpart here.

        Raises:
            InputError: It has not.
        """
        if self.rounding not in ROUNDINGS:
            raise InputError(self.where, f"rounding_mode {self.rounding!r}", f"one of {', '.join(ROUNDINGS)}")
        return self

    def _shaped(self, values: Any, shape: Sequence[int]) -> Any:
        """Against the tensor, as many axes as it has (or none, for one number)."""
        if np.size(values) == 1:
            return np.asarray(values).reshape(())
        if self.axis is not None and np.ndim(values) == 1 and -len(shape) <= self.axis < len(shape):
            beside = [1] * len(shape)
            beside[self.axis] = len(values)
            values = np.reshape(values, beside)
        try:
            if np.broadcast_shapes(np.shape(values), tuple(shape)) == tuple(shape):
                return np.reshape(values, (1,) * (len(shape) - np.ndim(values)) + np.shape(values))
        except ValueError:
            pass
        found = f"scales or widths of shape {list(np.shape(values))}"
        raise InputError(self.where, found, f"one, or some that fit a tensor of shape {list(shape)}")


def _constants(where: str, inputs: Sequence[Array | None], count: int) -> list[Array]:
    found = [value for value in inputs[1:count] if value is not None]
    if len(found) < count - 1:
        raise InputError(where, "a scale, zero point or width that is computed or missing", "constants")
    return found


def _positive(where: str, scale: Float64, zero: Float64) -> Float64:
    if np.any(zero != 0):
        hint = "quantize symmetrically: our integers have no offset"
        raise InputError(where, f"zero point {_shown(zero)}", "0", hint)
    if not scale.size or not np.isfinite(scale).all() or (scale <= 0).any():
        raise InputError(where, f"scale {_shown(scale)}", "positive numbers")
    return scale


def _one(values: Any) -> Bits:
    """One number where all are the same."""
    flat = np.reshape(values, -1)
    return int(flat[0]) if (flat == flat[0]).all() else np.asarray(values, np.int64)


def _shown(values: Float64) -> str:
    return f"{values.reshape(-1)[:4].tolist()}{'...' if values.size > 4 else ''}"
