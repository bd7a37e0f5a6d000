"""The Lagrangian dual: prices of the bounds that make the least priced sum as large as possible."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codesign.allocate._problem import Float64
from codesign.allocate.solvers._clock import Clock
from codesign.allocate.solvers._elimination import Elimination
from codesign.allocate.solvers._linear import Ints, Linear

#: Prices are searched until a step promises less than this share of what is known.
PROMISE = 1e-7
#: At most so many steps.
STEPS = 400
#: Beyond so many planes, old ones that do not matter are dropped.
PLANES = 60
#: How much the region of the next step grows and shrinks.
GROW, SHRINK = 4.0, 0.25


@dataclass
class Dual:
    """The dual function of a problem with one objective, and its largest value so far.

    For prices p of the bounded sums, none of them negative,

        D(p) = min over x of  (objective + p @ rows) @ x - p @ limits

    is at most the objective of every assignment x within the bounds. D is concave, and at every p its minimizer x gives
    a slope: rows @ x - limits (Geoffrion 1974).

    Args:
        linear: The problem.
        elimination: For its minima.
    """

    linear: Linear
    elimination: Elimination
    prices: Float64 = field(init=False)
    value: float = -np.inf
    #: No assignment has a larger objective.
    top: float = np.inf
    own: Ints = field(init=False)
    #: Of every point: prices, value, slope.
    points: list[tuple[Float64, float, Float64]] = field(default_factory=list[tuple[Float64, float, Float64]])
    #: Its minimizer.
    minimizers: list[Ints] = field(default_factory=list[Ints])

    def at(self, prices: Float64) -> float:
        """The dual function, remembered."""
        linear = self.linear
        least, own = self.elimination.minimum(linear.objective[0] + prices @ linear.rows)
        value = float(linear.offsets[0] + least - prices @ linear.limits)
        slope = linear.rows[:, linear.places(own)].sum(axis=1) - linear.limits
        self.points.append((prices, value, slope))
        self.minimizers.append(own)
        if value > self.value:
            self.prices, self.value, self.own = prices, value, own
        return value

    def marginals(self) -> Float64:
        """For each choice, what the objective is at least with it within the bounds ``[choices]``."""
        linear, prices = self.linear, self.prices
        least = self.elimination.marginals(linear.objective[0] + prices @ linear.rows)
        return least + (linear.offsets[0] - prices @ linear.limits)

    @property
    def infeasible(self) -> bool:
        """Whether the bound is above the objective of every assignment, so that none is within the bounds."""
        return self.value - self.rounding > self.top + 1e-9 * abs(self.top)

    @property
    def rounding(self) -> float:
        """Largest error of its values."""
        rows = np.abs(self.linear.objective[0]) + self.prices @ np.abs(self.linear.rows)
        return 1e-15 * float(np.maximum.reduceat(rows, self.linear.heads).sum() + abs(self.linear.offsets[0]))

    def maximize(self, clock: Clock) -> None:
        """Cutting planes (Kelley 1960) in a box around the best prices (Marsten, Hogan and Blankenship 1975).

        Each point bounds the function from above by its slope; the next point is where the least of these is largest,
        in a box that grows after a step that reached its side and shrinks after one that led nowhere.
        """
        linear = self.linear
        self.at(np.zeros(len(linear.rows)))
        start = self.points[0]
        if not len(linear.rows) or (start[2] <= 0).all():
            return
        spread = _spread(linear, linear.rows)
        self.top = self.value + float(_spread(linear, linear.objective)[0])
        box = 0.01 * (self.top - self.value) / np.where(spread > 0, spread, 1.0)
        if not box.any():
            box = 1 / np.where(spread > 0, spread, 1.0)
        for _ in range(STEPS):
            if clock.left <= 0 or self.value > self.top + abs(self.top):
                return
            prices, promise, weights = self._next(box)
            at_side = bool(((np.abs(prices - self.prices) > 0.99 * box) & (prices > 0)).any())
            if promise <= PROMISE * (abs(self.value) + 1e-300) and not at_side:
                return
            self._forget(weights)
            before = self.value
            gained = self.at(prices) - before
            if gained > 0.1 * promise and at_side:
                box = box * GROW
            elif gained <= 0.1 * promise:
                box = box * SHRINK

    def _next(self, box: Float64) -> tuple[Float64, float, Float64]:
        """The best prices in the box by what is known; how much they promise; and the points' weights there."""
        from scipy import optimize

        prices = np.array([point[0] for point in self.points])
        values = np.array([point[1] for point in self.points])
        slopes = np.array([point[2] for point in self.points])
        height = values - self.value + (slopes * (self.prices - prices)).sum(axis=1)  # of each plane, above the best
        steps = slopes * box
        scale = float(np.abs(steps).max()) or 1.0
        low = np.maximum(-1.0, -self.prices / np.where(box > 0, box, 1.0))
        result: Any = optimize.linprog(  # pyright: ignore[reportUnknownMemberType]
            np.concatenate([np.zeros(len(box)), [-1.0]]),
            A_ub=np.concatenate([-steps / scale, np.ones((len(height), 1))], axis=1),
            b_ub=height / scale,
            bounds=np.concatenate([np.stack([low, np.ones(len(box))], axis=1), [[0.0, np.inf]]]),
        )
        if result.x is None:
            return self.prices, 0.0, np.ones(len(height))
        return self.prices + result.x[:-1] * box, float(result.x[-1]) * scale, -np.asarray(result.ineqlin.marginals)

    def _forget(self, weights: Float64) -> None:
        """Keep few planes: those that matter for the next point (their weights are positive), and the latest."""
        count = len(self.points)
        if count <= PLANES:
            return
        keep = [i for i in range(count) if i >= count - PLANES // 2 or weights[i] > 0]
        self.points, self.minimizers = [self.points[i] for i in keep], [self.minimizers[i] for i in keep]

    def nearest(self, count: int) -> list[Ints]:
        """The minimizers of the points whose planes are lowest at the best prices: what the optimum is mixed of."""
        height = [value + slope @ (self.prices - prices) for prices, value, slope in self.points]
        order = sorted(range(len(height)), key=lambda i: height[i])
        return [self.minimizers[i] for i in order[:count]]


def _spread(linear: Linear, table: Float64) -> Float64:
    """How far apart the largest and the least sum can be at most ``[sums]``."""
    heads = linear.heads
    return (np.maximum.reduceat(table, heads, axis=1) - np.minimum.reduceat(table, heads, axis=1)).sum(axis=1)
