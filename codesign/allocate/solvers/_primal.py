"""Assignments within the bounds, from ones that are not, by changing one decision after another."""

import numpy as np

from codesign.allocate._problem import Float64
from codesign.allocate.solvers._clock import Clock
from codesign.allocate.solvers._linear import Ints, Linear

#: At most so many changes.
CHANGES = 1000


def effective(linear: Linear, table: Float64, own: Ints) -> Float64:
    """What each choice adds to each sum while all other decisions stay ``[sums, choices]``.

    Args:
        linear: The problem.
        table: Sums ``[sums, places]``.
        own: The choice of each decision ``[decisions]``.
    """
    found = table[:, : linear.count].copy()
    for side in (0, 1) if len(linear.pairs) else ():
        free, fixed = linear.pairs[:, side], linear.pairs[:, 1 - side]
        heights = linear.sizes[free]
        inside = np.arange(int(heights.sum())) - np.repeat(np.cumsum(heights) - heights, heights)
        # Entry [free choice, fixed choice], or the other way around.
        step = np.ones_like(heights) if side else linear.sizes[fixed]
        start = linear.pair_starts[:-1] + own[fixed] * (linear.sizes[free] if side else 1)
        entries = np.repeat(start, heights) + inside * np.repeat(step, heights)
        places = np.repeat(linear.starts[free], heights) + inside
        for row, numbers in zip(found, table, strict=True):
            row += np.bincount(places, numbers[entries], linear.count)
    return found


def repaired(linear: Linear, own: Ints, prices: Float64, clock: Clock) -> Ints | None:
    """An assignment within the bounds, then made better as long as one change can; None if the changes lead nowhere.

    Each change of the repair has the least priced cost for the excess that it takes away.

    Args:
        linear: The problem, with one objective.
        own: Where to start ``[decisions]``.
        prices: Of the bounded sums ``[bounds]``.
        clock: When to stop.
    """
    own = own.copy()
    table = np.concatenate([linear.objective, linear.rows])
    room = linear.limits - linear.rows[:, linear.places(own)].sum(axis=1)
    scale = np.where(linear.limits != 0, np.abs(linear.limits), 1.0)
    for _ in range(CHANGES):
        if clock.left <= 0:
            return None if (room < 0).any() else own
        added = effective(linear, table, own)
        added -= added[:, linear.starts[:-1] + own][:, linear.owner]
        loss, more = added[0], added[1:]
        if (room < 0).any():
            excess = np.maximum(-room, 0)[:, None]
            gain = ((excess - np.maximum(more - room[:, None], 0)) / scale[:, None]).sum(axis=0)
            price = np.maximum(loss + prices @ more, 0) + 1e-12 * np.abs(loss)
            ratio = np.where(gain > 0, price / np.where(gain > 0, gain, 1), np.inf)
            place = int(ratio.argmin())
            if not np.isfinite(ratio[place]):
                return None
        else:
            change = np.where((more <= room[:, None]).all(axis=0), loss, 0.0)
            place = int(change.argmin())
            if change[place] >= -1e-12 * abs(float(linear.objective[0, linear.places(own)].sum())):
                return own
        own[linear.owner[place]] = place - linear.starts[linear.owner[place]]
        room = linear.limits - linear.rows[:, linear.places(own)].sum(axis=1)
    return None if (room < 0).any() else own
