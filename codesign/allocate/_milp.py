"""Exact solution by mixed-integer linear programming (HiGHS through scipy), and the whole Pareto front."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize
from scipy.optimize import LinearConstraint
from scipy.sparse import csr_array

from codesign.allocate._problem import Float64, Problem
from codesign.errors import ContractError

#: Objectives are scaled to this size, so that the solver's absolute gap (1e-6) is far below any difference that counts.
SCALE = 1e5
#: An optimum smaller than this share of the largest coefficient is looked for again on its own scale.
REFINE = 0.1
#: Added to bounds, as a share of them: more than the solver's own tolerance, so that it never loses an answer that
#: just meets one. What exceeds the true bound is recognized by an exact recount, and cut off.
SLACK = 5e-6


@dataclass(frozen=True)
class Solver:
    """The linear form of a problem.

    One 0/1 variable per choice, and one in [0, 1] per pair of choices of coupled variables, whose row and column
    sums are the choices' own variables: so each pair variable is exactly the product of its two choices.
    """

    problem: Problem
    loss: Float64
    cost: Float64
    equalities: csr_array
    right: Float64
    integral: Float64

    @classmethod
    def of(cls, problem: Problem) -> "Solver":
        """Set up the matrices."""
        sizes = [len(variable.loss) for variable in problem.variables]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        total = int(starts[-1]) + sum(table.size for table in problem.pairs.values())
        loss, cost, integral = np.zeros(total), np.zeros(total), np.zeros(total)
        rows: list[dict[int, float]] = []
        right: list[float] = []
        for index, variable in enumerate(problem.variables):
            own = range(starts[index], starts[index + 1])
            loss[own], cost[own], integral[own] = variable.loss, problem.unary[index], 1
            rows.append(dict.fromkeys(own, 1.0))
            right.append(1.0)
        offset = int(starts[-1])
        for (i, j), table in problem.pairs.items():
            places = offset + np.arange(table.size).reshape(table.shape)
            cost[places.reshape(-1)] = table.reshape(-1)
            rows += [dict.fromkeys(places[k], 1.0) | {starts[i] + k: -1.0} for k in range(sizes[i])]
            rows += [dict.fromkeys(places[:, k], 1.0) | {starts[j] + k: -1.0} for k in range(sizes[j])]
            right += [0.0] * (sizes[i] + sizes[j])
            offset += table.size
        entries = [(row, column, value) for row, line in enumerate(rows) for column, value in line.items()]
        where = np.array([entry[:2] for entry in entries]).T
        matrix = csr_array(([entry[2] for entry in entries], (where[0], where[1])), shape=(len(rows), total))
        return cls(problem, loss, cost, matrix, np.array(right), integral)

    def least_loss(self, budget: float) -> list[int] | None:
        """Choices with the least loss at a cost of at most ``budget``; None if there are none."""
        return self._minimize(self.loss, self.cost, budget)

    def least_cost(self, loss: float = np.inf) -> list[int] | None:
        """Choices with the least cost at a loss of at most ``loss``; None if there are none."""
        return self._minimize(self.cost, self.loss, loss)

    def _minimize(self, objective: Float64, bounded: Float64, limit: float) -> list[int] | None:
        """Solve, then again among the choices that can still be better, on their own scale.

        The solver knows numbers to about nine digits. An optimum far smaller than the largest coefficient is therefore
        looked for once more without the choices that alone exceed it.
        """
        picks = self._feasible(objective, bounded, limit, np.inf)
        while picks is not None:
            value = self._value(objective, picks)
            refined = self._feasible(objective, bounded, limit, value) if value < REFINE * objective.max() else None
            if refined is None or self._value(objective, refined) >= value:
                return picks
            picks = refined
        return None

    def _value(self, coefficients: Float64, picks: list[int]) -> float:
        return self.problem.cost(picks) if coefficients is self.cost else self.problem.loss(picks)

    def _feasible(self, objective: Float64, bounded: Float64, limit: float, most: float) -> list[int] | None:
        """Solve; an answer over the limit by rounding is cut off and the problem solved again.

        Args:
            objective: What to minimize.
            bounded: What must be at most ``limit``.
            limit: The bound.
            most: A known value of the objective; choices that alone exceed it are left out.
        """
        starts = np.concatenate([[0], np.cumsum([len(v.loss) for v in self.problem.variables])]).astype(int)
        open_ = (bounded <= limit) & (objective <= most)  # no coefficient is negative, so nothing else can be chosen
        cuts: list[Float64] = []
        while True:
            solution = self._solve(objective, bounded, limit, open_, cuts)
            if solution is None:
                return None
            picks = [int(np.argmax(solution[a:b])) for a, b in pairwise(starts)]
            if self._value(bounded, picks) <= limit:
                return picks
            cut = np.zeros(len(objective))
            cut[[start + pick for start, pick in zip(starts, picks, strict=False)]] = 1
            cuts.append(cut)

    def _solve(
        self, objective: Float64, bounded: Float64, limit: float, open_: npt.NDArray[np.bool_], cuts: list[Float64]
    ) -> Float64 | None:
        linear: Any = LinearConstraint  # its stubs know scalar bounds only
        constraints = [linear(self.equalities, self.right, self.right)]
        if np.isfinite(limit):
            scale = limit if limit > 0 else 1.0
            constraints.append(linear(np.where(open_, bounded, 0) / scale, -np.inf, limit / scale + SLACK))
        if cuts:
            constraints.append(linear(np.array(cuts), -np.inf, len(self.problem.variables) - 1))
        goal = np.where(open_, objective, 0)
        result: Any = optimize.milp(  # pyright: ignore[reportUnknownMemberType]
            goal * (SCALE / (float(goal.max()) or 1.0)),
            integrality=self.integral,
            bounds=optimize.Bounds(0, open_.astype(np.float64)),  # pyright: ignore[reportArgumentType]
            constraints=constraints,
            options={"mip_rel_gap": 0.0},
        )
        if result.status == 2:  # infeasible
            return None
        if result.status != 0 or result.x is None:
            raise ContractError("allocation", f"HiGHS stopped: {result.message}", "an optimal solution")
        return np.asarray(result.x, np.float64)


def pareto_front(problem: Problem) -> Iterator[list[int]]:
    """Every Pareto-optimal assignment, supported or not, from the least loss down to the least cost.

    Epsilon constraint: the least loss under the cost of the point before, exclusive; then, of the assignments with
    that loss, the cheapest.
    """
    problem = problem.nonnegative()
    solver = Solver.of(problem)
    budget = np.inf
    while (picks := solver.least_loss(budget)) is not None:
        cheapest = solver.least_cost(problem.loss(picks))
        if cheapest is not None and problem.cost(cheapest) < problem.cost(picks):
            picks = cheapest
        yield picks
        budget = float(np.nextafter(problem.cost(picks), -np.inf))
