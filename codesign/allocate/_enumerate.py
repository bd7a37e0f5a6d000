"""Looking at every assignment at once, as arrays, where there are few."""

from itertools import accumulate

import numpy as np

from codesign.allocate._problem import Cost, Float64, Picks, Problem, Quantity, Sum
from codesign.errors import ContractError

#: More assignments than this are not enumerated.
MOST = 2_000_000
#: Relative error that a plain float sum can have; closer calls are settled by exact recounts.
ROUNDING = 1e-9


def enumerable(problem: Problem) -> bool:
    """Whether there are few enough assignments, all costs being sums."""
    costs = (problem.objective, *(bound.cost for bound in problem.bounds))
    return problem.assignments <= MOST and all(isinstance(cost, Quantity) for cost in costs)


class Assignments:
    """Every assignment of a problem, in lexicographic order; a number stands for each.

    Args:
        sizes: Number of choices per decision.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes
        self.count = int(np.prod(np.array(sizes, np.int64)))
        strides = list(accumulate(reversed(sizes[1:]), lambda a, b: a * b, initial=1))[::-1]
        numbers = np.arange(self.count)
        #: Of decisions with a choice, in small numbers: assignments are millions, and pinned decisions may be many.
        self._columns = {
            index: (numbers // stride % size).astype(np.min_scalar_type(size - 1))
            for index, (stride, size) in enumerate(zip(strides, sizes, strict=True))
            if size > 1
        }

    def picks(self, number: int) -> tuple[int, ...]:
        """The choices of an assignment."""
        return tuple(int(self._columns[i][number]) if i in self._columns else 0 for i in range(len(self.sizes)))

    def values(self, cost: Cost) -> Float64:
        """A quantity of all assignments, in plain floats.

        Raises:
            ContractError: It is no sum.
        """
        if not isinstance(cost, Quantity):
            raise ContractError(f"cost {cost.name!r}", "no sum", "sums: ask enumerable() first")
        return np.max([self._sum(each) for each in cost.sums], axis=0)

    def _sum(self, each: Sum) -> Float64:
        total = np.zeros(self.count)
        for index, table in each.unary.items():
            total += table[self._columns.get(index, 0)]
        for (i, j), table in each.pairs.items():
            total += table[self._columns.get(i, 0), self._columns.get(j, 0)]
        return total


def slack(values: Float64) -> float:
    """By how much plain sums may be wrong."""
    return ROUNDING * (float(np.abs(values).max(initial=0.0)) + 1e-300)


def all_pareto(problem: Problem, cost: Cost) -> list[tuple[int, ...]]:
    """Every Pareto-optimal assignment of objective against cost, cost rising; one of those that are equal in both."""
    every = Assignments(problem.sizes)
    losses, costs = every.values(problem.objective), every.values(cost)
    open_ = np.ones(every.count, bool)
    for bound in problem.bounds:
        values = every.values(bound.cost)
        open_ &= values <= bound.most + slack(values)
    numbers = np.flatnonzero(open_)
    numbers = numbers[np.lexsort((losses[numbers], costs[numbers]))]
    # An assignment can be Pareto-optimal only if no cheaper one loses clearly less.
    best = np.minimum.accumulate(losses[numbers]) if numbers.size else losses[numbers]
    near = [every.picks(int(number)) for number in numbers[losses[numbers] <= best + 2 * slack(losses)]]
    exact = sorted((cost.value(picks), problem.value(picks), picks) for picks in near if problem.feasible(picks))
    return _staircase(exact)


def _staircase(exact: list[tuple[float, float, tuple[int, ...]]]) -> list[tuple[int, ...]]:
    """Of assignments sorted by cost, then loss: those with less loss than every one before."""
    front: list[tuple[int, ...]] = []
    least = np.inf
    for _, loss, picks in exact:
        if loss < least:
            front.append(picks)
            least = loss
    return front


def least(problem: Problem) -> Picks | None:
    """An assignment with the least objective among those that meet the bounds; None if none does."""
    every = Assignments(problem.sizes)
    values = every.values(problem.objective)
    open_ = np.ones(every.count, bool)
    for bound in problem.bounds:
        costs = every.values(bound.cost)
        open_ &= costs <= bound.most + slack(costs)
    numbers = np.flatnonzero(open_)
    best: tuple[float, Picks] | None = None
    for number in numbers[np.argsort(values[numbers], kind="stable")]:
        if best is not None and values[number] > best[0] + 2 * slack(values):
            break
        picks = every.picks(int(number))
        if problem.feasible(picks) and (best is None or problem.value(picks) < best[0]):
            best = problem.value(picks), picks
    return None if best is None else best[1]
