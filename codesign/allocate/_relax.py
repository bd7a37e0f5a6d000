"""What to say when no assignment of bits meets all budgets: the least that each would have to be."""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil, inf

from codesign.allocate._problem import Bound, Problem, Quantity, Sum, Term
from codesign.allocate.solvers._solver import Effort, Solver
from codesign.errors import InputError


def contradiction(problem: Problem, bounds: Mapping[str, Bound], solver: Solver, effort: Effort) -> InputError:
    """The error for budgets that cannot be met together, with the smallest relaxation of each that would do.

    Args:
        problem: The problem without the budgets.
        bounds: The budgets by cost name.
        solver: Who solves.
        effort: How hard it tries.
    """
    effort = replace(effort, gap=0.0)
    alone: list[str] = []
    for name, bound in bounds.items():
        others = [other for key, other in bounds.items() if key != name]
        solution = solver.solve(problem.minimizing(bound.cost).bounded(*others), effort)
        if solution.picks is not None and bound.cost.value(solution.picks) > bound.most:
            alone.append(f"{name} at least {_up(bound.cost.value(solution.picks))}")
    wanted = " or, the others as they are, ".join(alone)
    if not alone:
        wanted = f"all of them raised, the least together: {_together(problem, bounds, solver, effort)}"
    asked = " and ".join(f"{name} = {bound.most:,.10g}" for name, bound in bounds.items())
    together = " together" if len(bounds) > 1 else ""
    found = f"{asked}, which no assignment of bits meets{together}"
    if not solver.exact or effort.seconds < inf:
        found = f"{asked}, for which no assignment of bits was found that meets them{together}; there may be one"
    hint = "raise the budget, or allow fewer bits (weight_bits, activation_bits, prune)"
    return InputError("allocate.pareto, budgets", found, wanted, hint)


def _together(problem: Problem, bounds: Mapping[str, Bound], solver: Solver, effort: Effort) -> str:
    """All budgets, raised by one factor that is as small as it can be."""
    costs = {name: bound.cost for name, bound in bounds.items()}
    sums = [
        _scaled(each, 1 / bound.most)
        for bound in bounds.values()
        if isinstance(bound.cost, Quantity) and bound.most > 0
        for each in bound.cost.sums
    ]
    if not sums:
        return "not known"
    picks = solver.solve(problem.minimizing(Quantity("budgets", tuple(sums))), effort).picks
    if picks is None:
        return "not known"
    return ", ".join(f"{name} = {_up(max(cost.value(picks), bounds[name].most))}" for name, cost in costs.items())


def _scaled(each: Sum, factor: float) -> Sum:
    return Sum(tuple(Term(term.decisions, term.table * factor) for term in each.terms))


def _up(value: float) -> str:
    """A budget as a number that is not too small."""
    return f"{ceil(value):,}" if 10 <= value < inf else repr(value)
