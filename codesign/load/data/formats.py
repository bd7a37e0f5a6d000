"""The formats in which the trigger sends the inputs: read from text, and what the data must keep to."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import SPELLING, Fixed

#: Most bits of a word: float32 holds every number of it.
WIDEST = 24

Array = npt.NDArray[Any]


def input_formats(where: str, texts: Sequence[str], inputs: Mapping[str, Array]) -> tuple[Fixed, ...]:
    """The format of every input, its arrays ``[features]`` along the last axis.

    Args:
        where: The data's name, for messages.
        texts: ``ufixed<12,10>`` or ``fixed<8,1>`` for each feature of the last axis, inputs one after another; or one
            for all.
        inputs: Input arrays ``[samples, ..., features]`` by name.

    Raises:
        InputError: A text is no format, or there are not as many as features.
    """
    formats = [_format(where, text) for text in texts]
    counts = [array.shape[-1] for array in inputs.values()]
    if len(formats) == 1:
        return tuple(formats * len(counts))
    if len(formats) != sum(counts):
        features = " + ".join(str(count) for count in counts)
        wanted = f"one for all, or one for each of the {features} features of the last axis"
        raise InputError(f"{where}, formats", f"{len(formats)} formats", wanted)
    ends = accumulate(counts, initial=0)
    return tuple(_beside(formats[start:stop]) for start, stop in pairwise(ends))


def on_grid(where: str, array: Array, fixed: Fixed) -> FloatArray:
    """The real numbers of an input.

    Args:
        where: The array's name, for messages.
        array: Words ``[samples, ..., features]``, if they are integers; else numbers that the format holds.
        fixed: The format.

    Raises:
        InputError: A word or number is none of the format's; says how many are not, and the first.
    """
    real = np.asarray(array, np.float64)
    if np.issubdtype(array.dtype, np.integer):
        codes, what = real, "words"
        real = np.ldexp(real, -np.asarray(fixed.fraction))
    else:
        codes, what = np.ldexp(real, np.asarray(fixed.fraction)), "numbers"
    fits = (codes == np.floor(codes)) & (codes >= fixed.low) & (codes <= fixed.high)
    if bad := int(np.count_nonzero(~fits)):
        place = tuple(int(index) for index in np.argwhere(~fits)[0])
        own = _at(fixed, place[-1])
        found = f"{bad} of {array.size} {what} are not of the format, the first {array[place]} at {list(place)}"
        low, high = (float(np.ldexp(float(end), -int(own.fraction))) for end in (own.low, own.high))
        wanted = f"{own}: steps of {2.0 ** -int(own.fraction):g} from {low:g} to {high:g}"
        if what == "words":
            wanted = f"{own}: words from {own.low} to {own.high}"
        raise InputError(where, found, wanted, "round and clip the data as the trigger does")
    return real.astype(np.float32)


def _format(where: str, text: str) -> Fixed:
    match = SPELLING.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{where}, formats", repr(text), "such as 'ufixed<12,10>' or 'fixed<8,1>'")
    signed, width, integer = not match[1], int(match[2]), int(match[3])
    if not 1 + signed <= width <= WIDEST or not -WIDEST <= width - integer <= 2 * WIDEST:
        found, wanted = f"{text!r}", f"{1 + signed} to {WIDEST} bits, with {-WIDEST} to {2 * WIDEST} behind the point"
        raise InputError(f"{where}, formats", found, wanted)
    return Fixed(signed, width, integer)


def _beside(formats: Sequence[Fixed]) -> Fixed:
    """Formats of features side by side."""
    signed, width, integer = (
        np.array([getattr(fixed, name) for fixed in formats]) for name in ("signed", "width", "integer")
    )
    return Fixed(signed, width, integer)


def _at(fixed: Fixed, feature: int) -> Fixed:
    """The format of one feature."""
    if not np.ndim(fixed.width):
        return fixed
    return Fixed(*(np.asarray(own)[feature].item() for own in (fixed.signed, fixed.width, fixed.integer)))
