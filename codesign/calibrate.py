"""Where the binary point goes: the one rule that allocation judges by and fine-tuning starts from."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from codesign.arrays import FloatArray, IntArray
from codesign.errors import ContractError, InputError
from codesign.fixed import Fixed, quantize

Float64 = npt.NDArray[np.float64]

#: Binary points tried below the one that holds the largest value: saturating a few outliers can pay.
CANDIDATES = 5
#: About the most values looked at; of a larger tensor, every so many rows.
SAMPLE = 200_000
#: How much finer a channel's binary point may start than the tensor's: sums are as wide as the finest needs.
SPREAD = 8


def stride(size: int) -> int:
    """Of how many rows of a tensor with ``size`` elements one is looked at."""
    # Thinned by samples, never within one: every feature is looked at.
    return max(1, size // SAMPLE)


def best_format(values: FloatArray, width: int, signed: bool) -> tuple[Fixed, float]:
    """The format of a given width with the least squared error on the values.

    Args:
        values: Weights of a tensor, or activations ``[samples, ...]`` seen in calibration.
        width: Total bits; 0 means the tensor is zero.
        signed: Whether the format has a sign.

    Returns:
        The format, and the mean squared rounding and saturation error per element.
    """
    whole = np.asarray(values, np.float64)
    seen = whole[:: stride(whole.size)] if whole.ndim else whole
    return format_for(seen, float(np.abs(whole).max()), width, signed)


def format_for(seen: FloatArray, largest: float, width: int, signed: bool) -> tuple[Fixed, float]:
    """As ``best_format``, from what is left of a tensor after thinning.

    Args:
        seen: The values looked at, any shape.
        largest: The largest magnitude of all values.
        width: Total bits; 0 means the tensor is zero.
        signed: Whether the format has a sign.
    """
    flat = np.asarray(seen, np.float64).reshape(-1)
    if width == 0:
        return Fixed(signed, 0, 0), float(np.mean(flat**2))
    top = _top(largest, signed)
    tried: list[tuple[float, int, Fixed]] = []
    # One more bit than the largest magnitude: a power of two is itself just out of range.
    for integer in range(top + 1, top - CANDIDATES, -1):
        fixed = Fixed(signed, width, integer)
        # Activations truncate, but half an LSB in the bias before them makes that round to nearest.
        error = quantize(flat, fixed, "nearest_even").real() - flat
        tried.append((float(np.mean(error**2)), -integer, fixed))
    error, _, fixed = min(tried, key=lambda entry: entry[:2])
    return fixed, error


def channel_formats(values: FloatArray, widths: Sequence[int]) -> tuple[Fixed, Float64]:
    """A signed format with a width and a binary point per output channel, each chosen as if it were a tensor.

    A channel whose largest weight is more than ``2**SPREAD`` times smaller than the tensor's starts from
    ``2**-SPREAD`` of that: all sums of the layer have to be as fine as its finest channel.

    Args:
        values: Weights ``[channels, ...]``.
        widths: Total bits of each channel ``[channels]``; 0 means that it is zero.

    Returns:
        The format, its arrays ``[channels, 1, ...]``, and the mean squared error per element of each channel
        ``[channels]``.

    Raises:
        ContractError: There is not one width per channel.
    """
    if not np.ndim(values) or len(values) != len(widths):
        raise ContractError("channel formats", f"{len(widths)} widths", f"one for each channel of {np.shape(values)}")
    flat = np.asarray(values, np.float64).reshape(len(values), -1)
    width = np.array(widths, np.int64)
    largest = np.abs(flat).max(1)
    overall = float(largest.max())
    # A channel of zeros goes where the others are, so that it makes nothing finer or wider.
    tops = [_top(float(each) if each > 0 else overall, True) for each in largest]
    top = np.maximum(tops, _top(overall, True) - SPREAD)
    best, error = np.zeros_like(width), np.where(width == 0, np.mean(flat**2, axis=1), np.inf)
    for step in range(1, -CANDIDATES, -1):
        integer = np.where(width > 0, top + step, 0)
        codes = quantize(flat, Fixed(True, width[:, np.newaxis], integer[:, np.newaxis]), "nearest_even")
        found = np.mean((codes.real() - flat) ** 2, axis=1)
        better = (width > 0) & (found < error)
        best, error = np.where(better, integer, best), np.where(better, found, error)
    shape = (len(flat), *[1] * (np.ndim(values) - 1))
    return Fixed(True, width.reshape(shape), best.reshape(shape)), error


def even_rows(total: int, count: int) -> IntArray:
    """At most ``count`` row numbers, spread evenly over ``total`` samples.

    Raises:
        InputError: There is no sample.
    """
    if total == 0 or count < 1:
        raise InputError("calibration data", f"{total} samples, {count} asked for", "at least one of each")
    return np.linspace(0, total - 1, min(count, total)).astype(np.int64)


def _top(largest: float, signed: bool) -> int:
    """Integer bits of a format that holds the largest magnitude."""
    return (int(np.ceil(np.log2(largest))) if largest > 0 else 0) + int(signed)
