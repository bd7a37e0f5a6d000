"""`exhaustive`: every assignment. The fastest for a few decisions, and the oracle of the others."""

from itertools import product
from math import inf
from typing import ClassVar

from codesign.allocate._enumerate import MOST, enumerable, least
from codesign.allocate._problem import Picks, Problem
from codesign.allocate.solvers._solver import Effort, Solution, Solver, answer
from codesign.errors import InputError


class Exhaustive(Solver):
    """Look at every assignment; the first of the best."""

    exact: ClassVar[bool] = True
    black_boxes: ClassVar[bool] = True

    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """The optimum.

        Raises:
            InputError: There are too many assignments.
        """
        if problem.assignments > MOST:
            found = f"{problem.assignments:.3g} assignments"
            raise InputError("solver exhaustive", found, f"at most {MOST:,}", "use the solver milp or lagrangian")
        picks = least(problem) if enumerable(problem) else _one_by_one(problem)
        return answer(problem, None, inf) if picks is None else answer(problem, tuple(picks), problem.value(picks))


def _one_by_one(problem: Problem) -> Picks | None:
    """For costs that only tell one assignment at a time."""
    best: tuple[float, Picks] | None = None
    for picks in product(*map(range, problem.sizes)):
        if problem.feasible(picks) and (best is None or problem.value(picks) < best[0]):
            best = problem.value(picks), picks
    return None if best is None else best[1]
