"""Exact solution by mixed-integer linear programming (HiGHS through scipy), and the whole Pareto front."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import optimize
from scipy.optimize import LinearConstraint
from scipy.sparse import csr_array

from codesign.allocate._problem import Float64, Problem
from codesign.errors import ContractError

#: Objectives are scaled to this size, so that the solver's absolute gap (1e-6) is far below any difference that counts.
SCALE = 1e3
#: Feasibility tolerance asked of the bounds; answers are recounted exactly afterwards.
SLACK = 1e-7


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
        """Solve; an answer over the limit by rounding is cut off and the problem solved again."""
        cuts: list[Float64] = []
        starts = np.concatenate([[0], np.cumsum([len(v.loss) for v in self.problem.variables])]).astype(int)
        while True:
            solution = self._solve(objective, bounded, limit, cuts)
            if solution is None:
                return None
            picks = [int(np.argmax(solution[a:b])) for a, b in pairwise(starts)]
            value = self.problem.cost(picks) if bounded is self.cost else self.problem.loss(picks)
            if value <= limit:
                return picks
            cut = np.zeros(len(objective))
            cut[[start + pick for start, pick in zip(starts, picks, strict=False)]] = 1
            cuts.append(cut)

    def _solve(self, objective: Float64, bounded: Float64, limit: float, cuts: list[Float64]) -> Float64 | None:
        linear: Any = LinearConstraint  # its stubs know scalar bounds only
        constraints = [linear(self.equalities, self.right, self.right)]
        if np.isfinite(limit):
            scale = max(abs(limit), float(np.abs(bounded).max()), 1e-300)
            constraints.append(linear(bounded / scale, -np.inf, limit / scale + SLACK))
        if cuts:
            constraints.append(linear(np.array(cuts), -np.inf, len(self.problem.variables) - 1))
        size = float(np.abs(objective).max()) or 1.0
        result: Any = optimize.milp(  # pyright: ignore[reportUnknownMemberType]
            objective * (SCALE / size),
            integrality=self.integral,
            bounds=optimize.Bounds(0, 1),
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
    solver = Solver.of(problem)
    budget = np.inf
    while (picks := solver.least_loss(budget)) is not None:
        cheapest = solver.least_cost(problem.loss(picks))
        picks = picks if cheapest is None else cheapest
        yield picks
        budget = float(np.nextafter(problem.cost(picks), -np.inf))
