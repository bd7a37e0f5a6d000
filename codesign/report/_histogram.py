"""How a layer's weights lie on the grid of their format."""

from typing import Any

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.fixed import Codes

#: Most bars; more levels than that are taken together.
BARS = 64


def histogram(rounded: Codes, before: FloatArray | None) -> dict[str, Any]:
    """Weights before rounding and after, counted.

    Args:
        rounded: The integers, of any shape.
        before: The fine-tuned weights that they are of, or None if those are not known.

    Returns:
        ``lsb``: distance of two levels. ``step``: width of a bar, a power of two times that. ``levels``: the middle of
        each bar. ``rounded``: weights in it. ``edges`` and ``before``: bars of the weights before rounding, up to four
        in one of the others, and how many weights they have.
    """
    aligned = rounded.align()
    codes, lsb = aligned.values, 2.0 ** -int(aligned.fraction)
    low, high = int(codes.min()), int(codes.max())
    together = 1
    while (high - low) // together >= BARS:
        together *= 2
    first = low // together
    bars = high // together - first + 1
    # With one level a bar, its middle is the level; with more, the middle of them.
    start, step = first * together * lsb - lsb / 2, together * lsb
    parts = max(1, min(4, BARS // bars))
    edges = start + np.arange(bars * parts + 1) * step / parts
    found: dict[str, Any] = {
        "lsb": lsb,
        "step": step,
        "levels": [start + (bar + 0.5) * step for bar in range(bars)],
        "rounded": _counts(codes // together - first, bars),
        "edges": edges.tolist(),
        "before": None,
    }
    if before is not None:  # what saturates lies beyond the ends, and is counted at them
        inside = np.clip(np.asarray(before, np.float64), edges[0], edges[-1])
        found["before"] = np.histogram(inside, edges)[0].tolist()
    return found


def _counts(places: IntArray, bars: int) -> list[int]:
    return np.bincount(places.ravel(), minlength=bars).tolist()
