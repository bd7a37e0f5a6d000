"""`exhaustive`: every assignment, one after another. The oracle of the tests, and the fastest for a few decisions."""

from itertools import product
from math import inf
from typing import ClassVar

from codesign.allocate._problem import Problem
from codesign.allocate.solvers._solver import Effort, Solution, Solver, answer
from codesign.errors import InputError

#: More assignments than this are refused.
MOST = 2_000_000


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
        best: tuple[float, tuple[int, ...]] | None = None
        for picks in product(*map(range, problem.sizes)):
            if problem.feasible(picks) and (best is None or problem.value(picks) < best[0]):
                best = problem.value(picks), picks
        return answer(problem, None, inf) if best is None else answer(problem, best[1], best[0])
