"""`uniform`: every width at one place of its range. A baseline."""

from typing import ClassVar

from codesign.allocate._problem import Picks, Problem
from codesign.allocate.solvers._solver import Effort, Solution, Solver, answer


class Uniform(Solver):
    """The best assignment in which every decision takes the choice at the same place of its range.

    That is one width for all where all ranges are equal; of unequal ones, as large a part of each.
    """

    black_boxes: ClassVar[bool] = True

    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """The best of them that meets the bounds."""
        fine = [picks for picks in diagonal(problem.sizes) if problem.feasible(picks)]
        return answer(problem, tuple(min(fine, key=problem.value)) if fine else None)


def diagonal(sizes: tuple[int, ...]) -> list[Picks]:
    """Assignments at one place of every range, from the first choices to the last."""
    most = max(sizes, default=1) - 1
    return [tuple(round(place * (size - 1) / max(most, 1)) for size in sizes) for place in range(most + 1)]
