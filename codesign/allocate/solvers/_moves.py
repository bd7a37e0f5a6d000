"""Changing one decision of an assignment at a time, with what that does to every sum kept at hand."""

from collections import defaultdict

import numpy as np

from codesign.allocate._problem import Float64, Problem, Quantity, Sum
from codesign.errors import InputError


class Moves:
    """An assignment, and the change of every sum for every change of one decision.

    Args:
        problem: Objective and bounds; all are sums.
        where: Who asks, for messages.

    Attributes:
        picks: The assignment, at first the first choices.
        values: The sums ``[sums]``: those of the objective, then those of the bounds.
        changes: What changing a decision adds to each sum, ``[sums, decisions, choices]``; NaN where there is no such
            choice.

    Raises:
        InputError: A cost is no sum.
    """

    def __init__(self, problem: Problem, where: str) -> None:
        self.sizes = np.array(problem.sizes)
        self.sums: list[Sum] = []
        for cost in (problem.objective, *(bound.cost for bound in problem.bounds)):
            if not isinstance(cost, Quantity):
                hint = "use the solver evolutionary, or exhaustive"
                raise InputError(where, f"cost {cost.name!r}, which is no sum over layers", "sums", hint)
            self.sums += cost.sums
        self.objectives = len(problem.objective.sums) if isinstance(problem.objective, Quantity) else 0
        most = [bound.most for bound in problem.bounds if isinstance(bound.cost, Quantity) for _ in bound.cost.sums]
        self.most = np.array(most, np.float64)
        self.picks = [0] * len(problem.sizes)
        shape = (len(self.sums), len(problem.sizes), int(self.sizes.max(initial=1)))
        self.changes: Float64 = np.full(shape, np.nan)
        self._pairs = [self._sides(each) for each in self.sums]
        self.values = np.array([each.value(self.picks) for each in self.sums])
        for index in range(len(problem.sizes)):
            self._refresh(index)

    def take(self, index: int, choice: int) -> None:
        """Change one decision."""
        self.values = self.values + self.changes[:, index, choice]
        self.picks[index] = int(choice)
        neighbours = {other for sides in self._pairs for other, _ in sides[index]}
        for touched in (index, *neighbours):
            self._refresh(touched)

    def objective(self) -> Float64:
        """The objective after each change ``[decisions, choices]``; NaN where there is no such choice."""
        return (self.values[: self.objectives, None, None] + self.changes[: self.objectives]).max(axis=0)

    def excess(self) -> Float64:
        """By how much the bounds are exceeded after each change, summed as shares of them ``[decisions, choices]``."""
        over = self.values[self.objectives :, None, None] + self.changes[self.objectives :] - self.most[:, None, None]
        return (np.maximum(over, 0) / np.maximum(np.abs(self.most), 1e-300)[:, None, None]).sum(axis=0)

    @staticmethod
    def _sides(each: Sum) -> dict[int, list[tuple[int, Float64]]]:
        """Per decision, those it is coupled with and the tables ``[own, other]``."""
        sides: dict[int, list[tuple[int, Float64]]] = defaultdict(list)
        for (i, j), table in each.pairs.items():
            sides[i].append((j, table))
            sides[j].append((i, table.T))
        return sides

    def _refresh(self, index: int) -> None:
        size = self.sizes[index]
        for number, each in enumerate(self.sums):
            tables = [each.unary[index]] if index in each.unary else [np.zeros(size)]
            tables += [table[:, self.picks[other]] for other, table in self._pairs[number][index]]
            own = np.sum(np.array(tables, np.float64), axis=0)
            self.changes[number, index, :size] = own - own[self.picks[index]]
