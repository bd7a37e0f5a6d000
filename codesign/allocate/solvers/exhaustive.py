"""`exhaustive`: every assignment. The fastest for a few decisions, and the oracle of the others."""

from itertools import product
from math import inf
from typing import ClassVar

from codesign.allocate._enumerate import MOST, enumerable, least
from codesign.allocate._problem import Problem
from codesign.allocate.solvers._clock import Clock
from codesign.allocate.solvers._solver import Effort, Solution, Solver, answer
from codesign.errors import InputError


class Exhaustive(Solver):
    """Look at every assignment; the first of the best."""

    exact: ClassVar[bool] = True
    black_boxes: ClassVar[bool] = True

    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """The optimum; of costs that are no sums, the best that the time allows to look at.

        Raises:
            InputError: There are too many assignments.
        """
        if problem.assignments > MOST:
            found = f"{problem.assignments:.3g} assignments"
            raise InputError("solver exhaustive", found, f"at most {MOST:,}", "use the solver milp or lagrangian")
        if not enumerable(problem):
            return _one_by_one(problem, Clock.of(effort.seconds))
        picks = least(problem)
        return answer(problem, None, inf) if picks is None else answer(problem, tuple(picks), problem.value(picks))


def _one_by_one(problem: Problem, clock: Clock) -> Solution:
    """For costs that only tell one assignment at a time; without a proof when the time is over."""
    best: tuple[int, ...] | None = None
    value = inf
    for picks in product(*map(range, problem.sizes)):
        if clock.left <= 0:
            return Solution(best, value, -inf)
        if problem.feasible(picks) and ((found := problem.value(picks)) < value or best is None):
            best, value = picks, found
    return Solution(best, value, value)
