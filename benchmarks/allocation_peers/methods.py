"""The ways to solve a problem. Each takes a problem, a gap and a time limit; what it does in between is timed.

Packages are imported by the method that needs them, so that one that is missing costs only its own row.
"""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from codesign.allocate._problem import Problem
from codesign.allocate.solvers import make_solver
from codesign.allocate.solvers._solver import Effort


@dataclass(frozen=True)
class Found:
    """Choice per layer (None for no answer), and the lower bound that the method states itself."""

    picks: tuple[int, ...] | None
    bound: float


Method = Callable[[Problem, float, float], Found]


def ours(name: str) -> Method:
    """A solver of codesign."""

    def solve(problem: Problem, gap: float, seconds: float) -> Found:
        solution = make_solver(name, "benchmark").solve(problem, Effort(gap=gap, seconds=seconds))
        return Found(solution.picks, solution.bound)

    return solve


def scipy_milp(problem: Problem, gap: float, seconds: float) -> Found:
    """`scipy.optimize.milp` as its documentation shows it: the numbers as they are."""
    layers, choices = len(problem.sizes), problem.sizes[0]
    count = layers * choices
    index = (np.repeat(np.arange(layers), choices), np.arange(count))
    one = csr_array((np.ones(count), index), shape=(layers, count))
    rows = np.array([[term.table for term in bound.cost.sums[0].terms] for bound in problem.bounds])
    most = [bound.most for bound in problem.bounds]
    result = milp(
        np.concatenate([term.table for term in problem.objective.sums[0].terms]),
        integrality=np.ones(layers * choices),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(one, 1, 1), LinearConstraint(rows.reshape(len(rows), -1), -np.inf, most)],
        options={"mip_rel_gap": gap, "time_limit": seconds},
    )
    if result.x is None:
        return Found(None, -inf if result.mip_dual_bound is None else float(result.mip_dual_bound))
    picks = result.x.reshape(layers, choices).argmax(axis=1)
    return Found(tuple(picks.tolist()), float(result.mip_dual_bound))


def pulp_cbc(problem: Problem, gap: float, seconds: float) -> Found:
    """PuLP with its CBC, one binary variable per layer and width, as HAWQ-V3 writes it (Yao et al. 2021)."""
    import pulp

    layers, choices = len(problem.sizes), problem.sizes[0]
    model = pulp.LpProblem("bits", pulp.LpMinimize)
    x = [[pulp.LpVariable(f"x_{i}_{k}", cat="Binary") for k in range(choices)] for i in range(layers)]

    def total(terms: tuple) -> pulp.LpAffineExpression:
        return pulp.LpAffineExpression(
            [(x[t.decisions[0]][k], float(t.table[k])) for t in terms for k in range(choices)]
        )

    model += total(problem.objective.sums[0].terms)
    for bound in problem.bounds:
        model += total(bound.cost.sums[0].terms) <= bound.most
    for row in x:
        model += pulp.lpSum(row) == 1
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "cbc.log"
        model.solve(pulp.PULP_CBC_CMD(msg=False, gapRel=gap, timeLimit=seconds, threads=1, logPath=str(log)))
        text = log.read_text()
    if model.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        return Found(None, -inf)
    picks = tuple(max(range(choices), key=lambda k: row[k].value() or 0.0) for row in x)
    stated = re.findall(r"^Lower bound:\s+(\S+)", text, re.MULTILINE)
    if stated:
        return Found(picks, float(stated[-1]))
    proven = re.search(r"Result - Optimal solution found\s*$", text, re.MULTILINE)
    return Found(picks, pulp.value(model.objective) if proven else -inf)


LAGRANGIAN, MILP, SCIPY, CBC = "codesign lagrangian", "codesign milp", "scipy milp, plain", "PuLP + CBC"
METHODS: dict[str, Method] = {
    LAGRANGIAN: ours("lagrangian"),
    MILP: ours("milp"),
    SCIPY: scipy_milp,
    CBC: pulp_cbc,
}
