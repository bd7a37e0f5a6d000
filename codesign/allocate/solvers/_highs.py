"""One call of HiGHS: the matrices of a problem in linear form, scaled so that its tolerances do not matter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.allocate._problem import Float64
from codesign.allocate.solvers._linear import Bools, Ints, Linear, every
from codesign.allocate.solvers._units import LARGE, unit
from codesign.errors import ContractError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: The objective's largest number becomes this, so that HiGHS's absolute gap (1e-6) is far below what counts.
OBJECTIVE = 1e5
#: By this much less its bound is taken, on that scale: ten times its absolute gap.
MARGIN = 1e-5
#: What is smaller, on that scale, is left out of an objective of several sums: its rows, with numbers over ten orders
#: of magnitude and more, made HiGHS's presolve lose answers. The bound stays one, as no number is negative.
FINE = 1e-5
#: A bounded sum's largest number becomes this.
ROW = 1e3
#: Added to scaled bounds: more than HiGHS's own tolerance (1e-6), so that it never loses an answer that just meets one.
#: What exceeds the true bound is recognized by an exact recount, and cut off.
SLACK = 2e-6


@dataclass(frozen=True)
class Outcome:
    """What HiGHS found.

    Args:
        own: Choice of each open decision; None without an answer.
        bound: No assignment is better, up to rounding; infinite if there is none.
        stopped: Whether the time was over.
    """

    own: Ints | None
    bound: float
    stopped: bool


@dataclass(frozen=True, eq=False)
class Model:
    """A problem as HiGHS gets it.

    Variables: one in {0, 1} per choice; one in [0, 1] per entry of a pair's table, whose row and column sums are the
    choices' own variables, so that it is exactly the product of its two choices (the local polytope; Wainwright and
    Jordan 2008, section 4.1); and, for an objective of several sums, one that is at least each of them.
    """

    linear: Linear

    @cached_property
    def shifted(self) -> tuple[Float64, Float64]:
        """The objective's sums without negative numbers ``[sums, places]``, and what they have beside ``[sums]``."""
        rest, low = self.linear.shifted(self.linear.objective)
        return rest, low + self.linear.offsets

    @cached_property
    def base(self) -> float:
        """What the objective is at least."""
        return float(self.shifted[1].max())

    @cached_property
    def scale(self) -> float:
        """The largest number of the objective."""
        return float(self.shifted[0].max(initial=0)) or 1.0

    @property
    def tolerance(self) -> float:
        """How far the bound stays below an optimum, HiGHS's absolute gap and rounding included."""
        dropped = FINE * len(self.linear.heads) if len(self.shifted[0]) > 1 else 0.0
        return 2 * ((MARGIN + dropped) / OBJECTIVE * self.scale + self.rounding)

    @property
    def blur(self) -> float:
        """How far the bound may be too high for an objective of several sums, which choices nearly taken make smaller.

        What counts as taken differs from one by up to 1e-6. It is nothing beside an objective on the scale of its
        largest number.
        """
        return 1e-6 * self.scale if len(self.shifted[0]) > 1 and len(self.linear.sizes) else 0.0

    @cached_property
    def rounding(self) -> float:
        """Largest error of the base."""
        linear = self.linear
        least = np.minimum.reduceat(linear.objective, linear.heads, axis=1) if len(linear.sizes) else linear.objective
        return 1e-14 * float((np.abs(least).sum(axis=1) + np.abs(linear.offsets)).max(initial=0))

    @cached_property
    def unit(self) -> float:
        """Values of the objective differ by multiples of this; 0 if that is unknown."""
        return unit(self.shifted[0][0]) if len(self.shifted[0]) == 1 else 0.0

    def rounded_up(self, bound: float) -> float:
        """The least value of the objective that is not below a bound."""
        if not self.unit or not isfinite(bound):
            return bound
        return self.base + float(np.ceil((bound - self.base) / self.unit - 1e-4)) * self.unit

    @cached_property
    def equalities(self) -> tuple[csr_array, Float64]:
        """One choice per decision; sums of entries are their choices' variables: matrix, right side."""
        from scipy.sparse import csr_array

        linear = self.linear
        decisions, choices, columns = len(linear.sizes), linear.count, linear.pair_starts[-1] + 1
        # Of each pair, a row per choice of the first decision, then one per choice of the second.
        heights = linear.sizes[linear.pairs]
        heads = decisions + np.cumsum(heights.sum(axis=1)) - heights.sum(axis=1)
        rows, at, values = [linear.owner], [np.arange(choices)], [np.ones(choices)]
        entries = choices + np.arange(len(linear.entry_pair))
        for side, places in enumerate(linear.entry_places):
            start = heads + (heights[:, 0] if side else 0)
            height = heights[:, side]
            inside = np.arange(int(height.sum())) - np.repeat(np.cumsum(height) - height, height)
            rows += [(start - linear.starts[linear.pairs[:, side]])[linear.entry_pair] + places]
            rows += [np.repeat(start, height) + inside]
            at += [entries, np.repeat(linear.starts[linear.pairs[:, side]], height) + inside]
            values += [np.ones(len(entries)), -np.ones(int(height.sum()))]
        count = decisions + int(heights.sum())
        index = (np.concatenate(rows), np.concatenate(at))
        matrix = csr_array((np.concatenate(values), index), shape=(count, columns))
        return matrix, np.concatenate([np.ones(decisions), np.zeros(count - decisions)])

    @cached_property
    def inequalities(self) -> tuple[csr_array, Float64, Float64, Bools]:
        """The bounds, scaled: matrix, right side, slack, and which places are open at all."""
        from scipy.sparse import csr_array

        linear = self.linear
        rest, low = linear.shifted(linear.rows)
        limits, rounding = linear.limits - low, linear.rounding + 1e-14 * np.abs(low)
        open_ = every(rest <= (limits * (1 + 1e-9) + rounding)[:, None])
        rest = np.where(open_, rest, 0)
        right, slack = np.zeros(len(rest)), np.zeros(len(rest))
        for index, row in enumerate(rest):
            scale = ROW / (float(row.max(initial=0)) or 1.0)
            step = unit(row) if abs(limits[index]) < LARGE else 0.0
            limit = np.floor((limits[index] + rounding[index]) / step) * step if step else limits[index]
            rest[index], right[index] = row * scale, limit * scale
            # Between a whole number and the next there is nothing to lose.
            slack[index] = max(SLACK + rounding[index] * scale, 0.25 * step * scale)
        matrix = csr_array(np.concatenate([rest, np.zeros((len(rest), 1))], axis=1))
        return matrix, right, slack, open_

    def solve(self, cuts: list[Ints], gap: float, seconds: float, strict: bool = False) -> Outcome:
        """Solve.

        Args:
            cuts: Assignments that are no answers: choices of the open decisions.
            gap: Relative gap, of the objective less its base.
            seconds: Longest time.
            strict: Whether to keep away from the bounds, so that answers meet them in spite of tolerances.
        """
        from scipy import optimize
        from scipy.sparse import csr_array

        linear: Any = optimize.LinearConstraint  # its stubs know scalar bounds only
        matrix, right, slack, open_ = self.inequalities
        constraints = [linear(self.equalities[0], self.equalities[1], self.equalities[1])]
        if len(right):
            constraints.append(linear(matrix, -np.inf, right + (-slack if strict else slack)))
        if cuts:
            taken = np.array(cuts) + self.linear.starts[:-1]
            rows = np.repeat(np.arange(len(cuts)), taken.shape[1])
            shape = (len(cuts), len(open_) + 1)
            constraints.append(
                linear(
                    csr_array((np.ones(taken.size), (rows, taken.reshape(-1))), shape=shape), -inf, len(taken[0]) - 1
                )
            )
        factor, (rest, beside) = OBJECTIVE / self.scale, self.shifted
        goal = np.zeros(len(open_) + 1)
        if len(rest) == 1:
            goal[:-1] = rest[0] * factor
        else:
            goal[-1] = 1
            numbers = np.where(rest * factor < FINE, 0, rest * factor)
            epigraph = csr_array(np.concatenate([numbers, -np.ones((len(rest), 1))], axis=1))
            constraints.append(linear(epigraph, -np.inf, (self.base - beside) * factor))
        integral = np.zeros(len(goal))
        integral[: self.linear.count] = 1
        most = np.concatenate([open_.astype(np.float64), [np.inf if len(rest) > 1 else 0.0]])
        options = {"mip_rel_gap": gap} | ({"time_limit": max(seconds, 0.0)} if seconds < inf else {})
        result: Any = None
        # Presolve loses optima where continuous variables go with integer ones (seen with HiGHS 1.12 and 1.15).
        mixed = len(self.linear.pairs) > 0 or len(rest) > 1
        for presolve in (not mixed, mixed):
            result = optimize.milp(  # pyright: ignore[reportUnknownMemberType]
                goal,
                integrality=integral,
                bounds=optimize.Bounds(0, most),  # pyright: ignore[reportArgumentType]
                constraints=constraints,
                options=options | {"presolve": presolve},
            )
            if result.status in (0, 1, 2):
                break
        else:
            raise ContractError("allocation", f"HiGHS stopped: {result.message}", "an optimal solution")
        if result.status == 2:
            return Outcome(None, inf, stopped=False)
        dual = result.mip_dual_bound
        above = 0.0 if dual is None or not isfinite(dual) else max(float(dual) - MARGIN, 0) / factor
        bound = self.base + above - self.rounding
        own = None if result.x is None else self._rounded(np.asarray(result.x, np.float64))
        return Outcome(own, bound, stopped=result.status == 1)

    def _rounded(self, x: Float64) -> Ints:
        """The choice of each decision with the largest variable."""
        linear, x = self.linear, x[: self.linear.count]
        largest = np.nonzero(x == np.maximum.reduceat(x, linear.starts[:-1])[linear.owner])[0]
        _, heads = np.unique(linear.owner[largest], return_index=True)
        return largest[heads] - linear.starts[:-1]
