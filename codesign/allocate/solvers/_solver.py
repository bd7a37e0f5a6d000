"""What a solver is: a problem in, an assignment and what is proven about it out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import inf
from typing import ClassVar

from codesign.allocate._problem import Cost, Problem
from codesign.passes import Progress, silent


@dataclass(frozen=True)
class Effort:
    """How hard to try.

    Args:
        gap: Distance to the proven bound, as a share of the answer, at which it is good enough; 0 for the optimum
            itself.
        seconds: Longest time; the best answer until then is returned with its bound.
        seed: For solvers that draw numbers.
        progress: Told how far a solver is.
    """

    gap: float = 0.0
    seconds: float = inf
    seed: int = 0
    progress: Progress = silent


@dataclass(frozen=True)
class Solution:
    """An answer.

    Args:
        picks: One choice index per decision; None if no assignment was found.
        value: The objective of the picks; infinite without.
        bound: No assignment that meets the bounds has a smaller objective; infinite where none meets them,
            minus infinity where nothing is proven.
    """

    picks: tuple[int, ...] | None
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """``(value - bound) / |value|``: how far the answer can be from the optimum, as a share of the answer.

        0 for an optimum; infinite where nothing is proven, and for an answer of 0 that is not proven.
        """
        if self.value <= self.bound:
            return 0.0
        return (self.value - self.bound) / abs(self.value) if self.value else inf


def answer(problem: Problem, picks: tuple[int, ...] | None, bound: float = -inf) -> Solution:
    """The solution of some picks, their objective recounted."""
    return Solution(picks, inf if picks is None else problem.value(picks), bound)


class Solver(ABC):
    """A way to solve the problem."""

    #: Whether it proves its answers.
    exact: ClassVar[bool] = False
    #: Whether it takes costs that are no sums.
    black_boxes: ClassVar[bool] = False

    @abstractmethod
    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """The best assignment that it finds; every bound is met, by exact recount.

        Raises:
            InputError: A cost is of a kind that the solver does not take.
        """

    def front(self, problem: Problem, cost: Cost, effort: Effort) -> list[Solution] | None:
        """The Pareto front of objective against cost in one go; None from a solver that finds one point at a time."""
        return None
