"""`lagrangian`: bounds by prices, and a small core for HiGHS. Exact, and the fastest for many decisions."""

from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import ClassVar

import numpy as np

from codesign.allocate._problem import Float64, Problem
from codesign.allocate.solvers._clock import Clock
from codesign.allocate.solvers._dual import Dual
from codesign.allocate.solvers._elimination import Elimination
from codesign.allocate.solvers._form import fitting, linear_form, restricted
from codesign.allocate.solvers._highs import Model
from codesign.allocate.solvers._linear import Linear
from codesign.allocate.solvers._plan import plan
from codesign.allocate.solvers._primal import repaired
from codesign.allocate.solvers._solver import Effort, Solution, Solver
from codesign.allocate.solvers.milp import minimize
from codesign.errors import ContractError

#: Choices beside the best one per decision in the first core, and how much more there are in the next.
CORE, MORE = 150, 4


class Lagrangian(Solver):
    """Lagrangian relaxation with reduced-cost fixing, and an expanding core (Balas and Zemel 1980; Pisinger 1995).

    Prices of the bounds give a bound on the objective, and one on the objective with every single choice. Choices for
    which that is more than a threshold are left out, and the rest, the core, is solved by HiGHS: nothing is better
    than the lesser of the core's bound and the threshold. The threshold rises until that proves the answer.
    """

    exact: ClassVar[bool] = True

    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """The optimum, or an answer that is proven to be within the gap of it.

        Raises:
            InputError: A cost is no sum.
        """
        clock = Clock.of(effort.seconds)
        linear = linear_form(problem, "lagrangian")
        fits = fitting(linear)
        if fits is None:
            return Solution(None, inf, inf)
        order = plan(fits) if len(fits.objective) == 1 and len(fits.sizes) else None
        if order is None:
            return minimize(problem, fits, effort.gap, clock)
        return _Search(problem, fits, effort, clock).run(Dual(fits, Elimination(fits, order)))


@dataclass
class _Search:
    """What is known so far: the best answer, the proven bound, and the bound with each choice ``[choices]``."""

    problem: Problem
    linear: Linear
    effort: Effort
    clock: Clock
    picks: tuple[int, ...] | None = None
    value: float = inf
    bound: float = -inf
    margins: Float64 = field(default_factory=lambda: np.zeros(0))

    def run(self, dual: Dual) -> Solution:
        """Bound, first answers, then cores until they prove the best."""
        dual.maximize(self.clock)
        self._prove(inf if dual.infeasible else dual.value - dual.rounding)
        for own in [] if dual.infeasible else dual.nearest(len(self.linear.rows) + 2):
            if (found := repaired(self.linear, own, dual.prices, self.clock)) is not None:
                self._offer(self.linear.picks(found))
        if self.bound == inf or self._good_enough or self.clock.left <= 0:
            return self._answer()
        self.margins = dual.marginals() - dual.rounding
        # Of every decision one choice stays, whatever rounding says.
        self.margins[self.linear.starts[:-1] + dual.own] = -inf
        count, more = CORE, True
        while more and not self._good_enough and self.clock.left > 0:
            more = self._core(count)
            count *= MORE
        return self._answer()

    def _core(self, count: int) -> bool:
        """Solve the core of about so many choices; of all that matter, if these are not many more.

        Returns:
            Whether another core may prove more.
        """
        aim, beside = self._aim, np.sort(self.margins[self.margins > -inf])
        threshold = float(beside[count]) if count * MORE < (beside < aim).sum() else aim
        threshold = min(threshold, aim)
        core = restricted(self.linear, self.margins < threshold)
        if core is None:
            raise ContractError("solver lagrangian", "a decision without choices", "one choice at least")
        gap = 0.99 * self.effort.gap
        if threshold < aim and self.picks is not None:
            gap = max(gap, 0.1 * self._answer().gap)  # it is for a better answer; the proof comes later
        found = minimize(self.problem, core, gap, self.clock, Solution(self.picks, self.value, -inf))
        if found.picks is not None:
            self._offer(found.picks)
        self._prove(min(threshold, found.bound))
        return threshold < aim or self._aim < aim

    @cached_property
    def model(self) -> Model:
        """Knows how far apart values of the objective are at least."""
        return Model(self.linear)

    @property
    def _aim(self) -> float:
        """A bound that would prove the answer."""
        if self.picks is None:
            return inf
        return self.value - max(0.999 * self.effort.gap * abs(self.value), self.model.unit * (1 - 1e-3))

    @property
    def _good_enough(self) -> bool:
        return self.bound >= self._aim

    def _offer(self, picks: tuple[int, ...]) -> None:
        if picks != self.picks and self.problem.feasible(picks) and (value := self.problem.value(picks)) < self.value:
            self.picks, self.value = picks, value
            self._report()

    def _prove(self, bound: float) -> None:
        if bound > self.bound:
            self.bound = bound
            self._report()

    def _report(self) -> None:
        if self.picks is not None:
            found = self._answer()
            text = f"best {found.value:.4g}, bound {found.bound:.4g}, gap {found.gap:.1e}"
            total = self.linear.count  # choices; done are those that cannot be part of a better answer
            done = total if self._good_enough else int((self.margins >= self._aim).sum())
            self.effort.progress(text, done, total)

    def _answer(self) -> Solution:
        bound = self.model.rounded_up(self.bound)
        return Solution(self.picks, self.value, min(bound, self.value))
