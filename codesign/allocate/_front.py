"""The Pareto front of loss against a cost: every point of it, or an even cover."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf, nextafter

import numpy as np

from codesign.allocate._enumerate import all_pareto, enumerable
from codesign.allocate._problem import Bound, Cost, Picks, Problem
from codesign.allocate.solvers._solver import Effort, Solution, Solver, answer


@dataclass(frozen=True)
class Found:
    """An assignment of the front, and how far its loss can be from the least at its cost (None: not known)."""

    picks: Picks
    gap: float | None


@dataclass(frozen=True)
class Search:
    """Finds the front of a problem.

    Args:
        problem: Least loss under the bounds on other costs.
        cost: The cost that the front is along.
        solver: Who solves.
        effort: How hard it tries at each point.
    """

    problem: Problem
    cost: Cost
    solver: Solver
    effort: Effort

    def every_point(self) -> list[Found]:
        """Every Pareto-optimal assignment, supported or not, cost rising.

        By enumeration where that is possible; else by epsilon constraint: the least loss under the cost of the point
        before, exclusive; then, of the assignments with that loss, the cheapest.
        """
        if enumerable(self.problem.bounded(Bound(self.cost, inf))):
            return [Found(picks, 0.0) for picks in all_pareto(self.problem, self.cost)]
        found: list[Found] = []
        most = inf
        exactly = replace(self.effort, gap=0.0)
        while (picks := self._under(most, exactly).picks) is not None:
            same_loss = Bound(self.problem.objective, self.problem.value(picks))
            cheapest = self.solver.solve(self.problem.bounded(same_loss).minimizing(self.cost), exactly).picks
            if cheapest is not None and self.cost.value(cheapest) < self.cost.value(picks):
                picks = cheapest
            found.append(Found(picks, 0.0))
            self.effort.progress(f"{len(found)} Pareto points", 0, 0)
            most = nextafter(self.cost.value(picks), -inf)
        return found[::-1]

    def cover(self, count: int, wanted: float | None) -> list[Found]:
        """About ``count`` points, evenly spread over the cost, cost rising.

        Args:
            count: Points, two or more.
            wanted: A cost under which the best is wanted exactly; None for none.
        """
        if (at_once := self.solver.front(self.problem, self.cost, self.effort)) is not None:
            return self.nondominated(at_once)
        # A gap is for losses: a cost that is only nearly the least would leave out budgets that can be met.
        cheapest = self.solver.solve(self.problem.minimizing(self.cost), replace(self.effort, gap=0.0)).picks
        best = self._under(inf, self.effort)
        if cheapest is None or best.picks is None:
            return []
        ends = self.cost.value(cheapest), self.cost.value(best.picks)
        budgets = [float(budget) for budget in np.linspace(*ends, count)[:-1]]
        budgets += [wanted] if wanted is not None and wanted < ends[1] else []
        solutions = [best]
        for done, budget in enumerate(sorted(budgets), 1):
            self.effort.progress(f"Pareto points, {self.cost.name} up to {budget:,.0f}", done, len(budgets) + 1)
            solutions.append(self._under(budget, self.effort))
        solutions.append(answer(self.problem, cheapest))  # a solver that proves nothing may not find it again
        return self.nondominated(solutions)

    def nondominated(self, solutions: Iterable[Solution]) -> list[Found]:
        """Those that no other beats in both loss and cost, cost rising."""
        found = [
            (self.cost.value(s.picks), s.value, tuple(s.picks), None if s.bound == -inf else s.gap)
            for s in solutions
            if s.picks is not None
        ]
        front: list[Found] = []
        least = inf
        for _, loss, picks, gap in sorted(found, key=lambda each: each[:3]):
            if loss < least:
                front.append(Found(picks, gap))
                least = loss
        return front

    def _under(self, most: float, effort: Effort) -> Solution:
        return self.solver.solve(self.problem.bounded(Bound(self.cost, most)), effort)
