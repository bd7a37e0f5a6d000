"""Where the binary point goes: the one rule that allocation judges by and fine-tuning starts from."""

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Fixed, quantize

#: Binary points tried below the one that holds the largest value: saturating a few outliers can pay.
CANDIDATES = 5
#: About the most values looked at; of a larger tensor, every so many rows.
SAMPLE = 200_000


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
    # Thinned by samples, never within one: every feature is looked at.
    flat = whole[:: max(1, whole.size // SAMPLE)].reshape(-1) if whole.ndim else whole.reshape(-1)
    if width == 0:
        return Fixed(signed, 0, 0), float(np.mean(flat**2))
    largest = float(np.abs(whole).max())
    top = (int(np.ceil(np.log2(largest))) if largest > 0 else 0) + int(signed)
    tried: list[tuple[float, int, Fixed]] = []
    # One more bit than the largest magnitude: a power of two is itself just out of range.
    for integer in range(top + 1, top - CANDIDATES, -1):
        fixed = Fixed(signed, width, integer)
        # Activations truncate, but half an LSB in the bias before them makes that round to nearest.
        error = quantize(flat, fixed, "nearest_even").real() - flat
        tried.append((float(np.mean(error**2)), -integer, fixed))
    error, _, fixed = min(tried, key=lambda entry: entry[:2])
    return fixed, error


def even_rows(total: int, count: int) -> IntArray:
    """At most ``count`` row numbers, spread evenly over ``total`` samples.

    Raises:
        InputError: There is no sample.
    """
    if total == 0 or count < 1:
        raise InputError("calibration data", f"{total} samples, {count} asked for", "at least one of each")
    return np.linspace(0, total - 1, min(count, total)).astype(np.int64)
