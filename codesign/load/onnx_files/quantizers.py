"""Quantizing nodes of an ONNX file, read: QONNX's own, and QuantizeLinear with DequantizeLinear (QDQ, QCDQ)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import InputError
from codesign.fixed import MAX_WIDTH
from codesign.given import ROUNDINGS, Quantizer
from codesign.load.onnx_files.tensors import Array
from codesign.ops.op import Shape

Float64 = npt.NDArray[np.float64]
#: Operators that quantize a tensor in one node; and those that do it in two, with integers in between.
QUANT = ("Quant", "IntQuant", "BipolarQuant", "Trunc")
LINEAR = ("QuantizeLinear", "DequantizeLinear")
REFUSED = {
    "FloatQuant": "use Quant: minifloats are no fixed-point format",
    "MultiThreshold": "export before FINN's streamlining",
}


@dataclass(frozen=True)
class QuantizerCall:
    """A quantizing node, as it is read.

    Args:
        where: The node, for messages.
        op_type: Its operator.
        inputs: Its inputs' values, where they are constant.
        options: Its attributes.
        shape: Of the tensor that it quantizes.
        constant: Whether that is a constant; if not, its first axis is the batch.
    """

    where: str
    op_type: str
    inputs: Sequence[Array | None]
    options: Mapping[str, Any]
    shape: Shape
    constant: bool

    def read(self) -> Quantizer:
        """The quantizer.

        Raises:
            InputError: It is no fixed-point format, or its scale or width is computed.
        """
        if self.op_type in LINEAR:
            return self._linear()
        if self.op_type == "BipolarQuant":
            return self._bipolar()
        return self._trunc() if self.op_type == "Trunc" else self._quant()

    def shift(self) -> int:
        """By how many bits a Trunc without an output scale, qonnx's older kind, divides before it rounds.

        Raises:
            InputError: Not by one number of bits, or it is computed.
        """
        if self.op_type != "Trunc" or len(self.inputs) > 5:
            return 0
        scale, zero, before, after = self._constants(5)
        if before.size != 1 or after.size != 1 or not np.isin(before, np.arange(1, MAX_WIDTH + 1)).all():
            found = f"{_shown(before)} bits cut to {_shown(after)}"
            raise InputError(self.where, found, f"one width, 1 to {MAX_WIDTH}, cut to another")
        return int(before.item()) - int(self._made(scale, zero, after, True, "FLOOR").width)

    def _quant(self) -> Quantizer:
        """``Quant(x, scale, zero_point, bit_width)``; of one signed bit it is bipolar."""
        scale, zero, bits = self._constants(4)
        signed = bool(self.options.get("signed", 1))
        found = self._made(scale, zero, bits, signed, str(self.options.get("rounding_mode", "ROUND")))
        if signed and (np.asarray(found.width) == 1).all():
            return self._two_levels(found)
        return replace(found, narrow=bool(self.options.get("narrow", 0)))

    def _bipolar(self) -> Quantizer:
        """``BipolarQuant(x, scale)``: minus or plus the scale."""
        (scale,) = self._constants(2)
        return self._two_levels(self._made(scale, np.zeros(()), np.ones(()), True, "ROUND"))

    def _two_levels(self, found: Quantizer) -> Quantizer:
        if not self.constant:
            hint = "use Quant with 2 bits or more"
            raise InputError(self.where, "an activation of two levels without a zero", "a fixed-point format", hint)
        return replace(found, bipolar=True)

    def _trunc(self) -> Quantizer:
        """``Trunc(x, scale, zero_point, in_bits, out_scale, out_bits)``; or older, without out_scale: the input's.

        The older one is what is left once ``shift`` is done: ``floor(x / 2**(in_bits - out_bits) / scale) * scale``.
        """
        if len(self.inputs) > 5:
            _, zero, _, scale, bits = self._constants(6)
        else:
            scale, zero, _, bits = self._constants(5)
        signed, rounding = bool(self.options.get("signed", 1)), str(self.options.get("rounding_mode", "FLOOR"))
        return replace(self._made(scale, zero, bits, signed, rounding), narrow=bool(self.options.get("narrow", 0)))

    def _linear(self) -> Quantizer:
        """``QuantizeLinear`` or ``DequantizeLinear(x, scale, zero_point)``; the type is the zero point's."""
        (scale,) = self._constants(2)
        zero = self.inputs[2] if len(self.inputs) > 2 else None
        if self.options.get("block_size", 0) or self.options.get("output_dtype", 0):
            wanted = "a type given by the zero point, scales per channel"
            raise InputError(self.where, "block_size or output_dtype", wanted)
        kind = np.dtype(np.uint8) if zero is None else zero.dtype
        if kind.kind not in "iu":
            raise InputError(self.where, f"a zero point of type {kind}", "an integer")
        if scale.ndim == 1 and scale.size > 1:
            rank = len(self.shape)
            axis = int(self.options.get("axis", 1))
            if not -rank <= axis < rank:
                raise InputError(self.where, f"axis {axis} of a tensor of {rank}", "one of its axes")
            scale = scale.reshape([-1 if place == axis % rank else 1 for place in range(rank)])
        bits = np.array(np.iinfo(kind).bits)
        return self._made(scale, np.zeros(()) if zero is None else zero, bits, kind.kind == "i", "ROUND")

    def _made(self, scale: Array, zero: Array, bits: Array, signed: bool, rounding: str) -> Quantizer:
        if np.any(zero != 0):
            hint = "quantize symmetrically: our integers have no offset"
            raise InputError(self.where, f"zero point {_shown(zero)}", "0", hint)
        if not scale.size or not np.isfinite(scale).all() or (scale <= 0).any():
            raise InputError(self.where, f"scale {_shown(scale)}", "positive numbers")
        if (
            not bits.size
            or not np.isfinite(bits).all()
            or ((bits != np.rint(bits)) | (bits < 1) | (bits > MAX_WIDTH)).any()
        ):
            raise InputError(self.where, f"bit_width {_shown(bits)}", f"whole numbers from 1 to {MAX_WIDTH}")
        if rounding.upper() not in ROUNDINGS:
            raise InputError(self.where, f"rounding_mode {rounding!r}", f"one of {', '.join(ROUNDINGS)}")
        widths = self._shaped(bits).astype(np.int64)
        return Quantizer(self.where, self._shaped(scale), widths, signed, rounding=rounding.upper())

    def _shaped(self, values: Array) -> Array:
        """One number, or as many axes as the tensor has, the batch left out."""
        if values.size == 1:
            return values.reshape(())
        try:
            whole = np.broadcast_to(values, np.broadcast_shapes(values.shape, self.shape))
            if whole.shape == self.shape:
                beside = values.reshape((1,) * (len(self.shape) - values.ndim) + values.shape)
                if self.constant:
                    return beside
                if beside.shape[0] == 1:
                    return beside[0]
        except ValueError:
            pass
        found = f"scales or widths of shape {list(values.shape)}"
        raise InputError(self.where, found, f"one, or some that fit a tensor of shape {list(self.shape)}")

    def _constants(self, count: int) -> list[Float64]:
        found = [np.asarray(value, np.float64) for value in self.inputs[1:count] if value is not None]
        if len(found) < count - 1:
            raise InputError(self.where, "a scale, zero point or width that is computed or missing", "constants")
        return found


def clipped(quantizer: Quantizer, low: float, high: float) -> Quantizer:
    """With fewer bits, by the smallest and largest code that a Clip between the two nodes of a quantizer leaves.

    Raises:
        InputError: They are not those of a width.
    """
    signed = low < 0
    width = int(high).bit_length() + signed if np.isfinite(high) and high >= 1 else 0
    full, least = 2 ** (width - signed) - 1 if width else 0, -(2 ** (width - 1)) if signed and width else 0
    if width < 1 + signed or width > MAX_WIDTH or high not in (full, full - 1) or low not in (least, least + signed):
        found = f"codes clipped to {low:g} ... {high:g}"
        raise InputError(quantizer.where, found, "the range of a width, as -8 ... 7")
    return replace(quantizer, width=np.array(width), signed=signed, narrow=high < full or low > least)


def _shown(values: Array) -> str:
    return f"{values.reshape(-1)[:4].tolist()}{'...' if values.size > 4 else ''}"
