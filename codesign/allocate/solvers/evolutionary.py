"""`evolutionary`: NSGA-II (Deb et al., IEEE Trans. Evol. Comp. 6 (2002) 182), for costs that no formula describes."""

from importlib import import_module
from math import inf
from time import monotonic
from typing import Any, ClassVar

import numpy as np

from codesign.allocate._problem import Cost, Float64, Picks, Problem
from codesign.allocate.solvers._solver import Effort, Solution, Solver, answer
from codesign.allocate.solvers.uniform import diagonal
from codesign.arrays import IntArray
from codesign.errors import InputError

#: Assignments alive at a time, and generations.
POPULATION, GENERATIONS = 100, 200


class Evolutionary(Solver):
    """Search by crossing and mutating assignments, as EQ-Net and Evol-Q do (pymoo's NSGA-II).

    It takes any cost, asks for it some 20,000 times, and proves nothing. The assignments of `uniform` are in
    the first generation, so that it is never worse than that.
    """

    black_boxes: ClassVar[bool] = True

    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """The best assignment that it met within the bounds."""
        return min(self.front(problem, None, effort), key=lambda s: s.value, default=answer(problem, None))

    def front(self, problem: Problem, cost: Cost | None, effort: Effort) -> list[Solution]:
        """Assignments that no other met beats in objective and cost, in one search."""
        minimized = [problem.objective] if cost is None else [problem.objective, cost]
        found = _search(problem, minimized, effort)
        return [answer(problem, picks) for picks in found if problem.feasible(picks)]


def _pymoo(module: str) -> Any:
    """A module of pymoo, which carries no types.

    Raises:
        InputError: pymoo is not installed.
    """
    try:
        return import_module(f"pymoo.{module}")
    except ImportError as error:
        hint = "pip install 'codesign[evolutionary]'"
        raise InputError("solver evolutionary", f"pymoo cannot be imported: {error}", "pymoo 0.6", hint) from error


def _search(problem: Problem, minimized: list[Cost], effort: Effort) -> list[tuple[int, ...]]:
    deadline = monotonic() + effort.seconds
    known: dict[Picks, tuple[list[float], list[float]]] = {}

    def figures(picks: Picks) -> tuple[list[float], list[float]]:
        if picks not in known:
            excess = [bound.cost.value(picks) - bound.most for bound in problem.bounds if bound.most < inf]
            known[picks] = [each.value(picks) for each in minimized], excess
        return known[picks]

    class Assignments(_pymoo("core.problem").Problem):
        """What pymoo asks about a generation."""

        def _evaluate(self, x: IntArray, out: dict[str, Float64], *args: object, **kwargs: object) -> None:
            rows = [figures(tuple(int(pick) for pick in row)) for row in x]
            out["F"] = np.array([row[0] for row in rows])
            if rows[0][1]:
                out["G"] = np.array([row[1] for row in rows])

    class Stop(_pymoo("termination.max_gen").MaximumGenerationTermination):
        """After all generations, or when the time is over."""

        def _update(self, algorithm: Any) -> float:
            effort.progress("generations", int(algorithm.n_gen or 0), GENERATIONS)
            return 1.0 if monotonic() > deadline else (algorithm.n_gen or 0) / GENERATIONS

    sizes = np.array(problem.sizes)
    limits = sum(bound.most < inf for bound in problem.bounds)
    asked = Assignments(n_var=len(sizes), n_obj=len(minimized), n_ieq_constr=limits, xl=0, xu=sizes - 1, vtype=int)
    repair = _pymoo("operators.repair.rounding").RoundingRepair()
    rate = max(1 / len(sizes), 0.05)
    algorithm = _pymoo("algorithms.moo.nsga2").NSGA2(
        pop_size=POPULATION,
        sampling=_first_generation(problem.sizes, effort.seed),
        crossover=_pymoo("operators.crossover.ux").UX(),
        mutation=_pymoo("operators.mutation.pm").PM(prob=1.0, prob_var=rate, eta=3, vtype=float, repair=repair),
        eliminate_duplicates=True,
    )
    _pymoo("optimize").minimize(asked, algorithm, Stop(GENERATIONS), seed=effort.seed, verbose=False)
    return [tuple(picks) for picks in known]


def _first_generation(sizes: tuple[int, ...], seed: int) -> IntArray:
    """The uniform assignments, and random ones: ``[assignments, decisions]``."""
    random = np.random.default_rng(seed).integers(0, np.array(sizes), (POPULATION, len(sizes)))
    whole = np.array([*diagonal(sizes), *random], np.int64)
    return whole[: max(POPULATION, len(diagonal(sizes)))]
