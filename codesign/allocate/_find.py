"""The front of a model under budgets, by the solver and the number of points that are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

from codesign.allocate._enumerate import enumerable
from codesign.allocate._front import Found, Search
from codesign.allocate._model import Model
from codesign.allocate._problem import BlackBox, Bound
from codesign.allocate._relax import contradiction
from codesign.allocate.solvers import make_solver
from codesign.allocate.solvers._solver import Effort
from codesign.errors import InputError

#: Points of a front that is too large to be found whole.
COVER = 32


@dataclass(frozen=True)
class SearchResult:
    """What a search gave.

    Args:
        points: Assignments that no other found beats, cost rising.
        solver: Who found them.
        whole: Whether there are no others on the front.
        missed: Costs along the front for which time ran out before any assignment was found.
    """

    points: list[Found]
    solver: str
    whole: bool
    missed: int = 0


def find_front(
    model: Model, budgets: Mapping[str, float], solver: str, points: int | Literal["auto", "all"], effort: Effort
) -> SearchResult:
    """The front along the model's first cost.

    Args:
        model: Decisions, loss and costs.
        budgets: Most of each cost.
        solver: The solver's name, or "auto".
        points: How many points; "auto" is all of them where an exact solver may enumerate, else a cover.
        effort: How hard to try at each point.

    Raises:
        InputError: No assignment meets the budgets; the message says how far each would have to be raised. All points
            are wanted of a solver that proves nothing.
    """
    main = next(iter(model.costs))
    bounds = {name: Bound(model.costs[name], most) for name, most in budgets.items()}
    problem = model.problem()
    few = enumerable(problem.bounded(*(Bound(cost, inf) for cost in model.costs.values())))
    name = _automatic(model, few) if solver == "auto" else solver
    chosen = make_solver(name, "allocate.pareto, solver")
    others = [bound for key, bound in bounds.items() if key != main]
    search = Search(problem.bounded(*others), model.costs[main], chosen, effort)
    all_points = points == "all" or (points == "auto" and few and chosen.exact)
    if all_points and not chosen.exact:
        raise InputError("allocate.pareto, points", f"'all', with the solver {name}", "a number", "or another solver")
    if all_points:
        found, whole = search.every_point()
        result = SearchResult(found, "exhaustive" if few else name, whole)
    else:
        found, missed = search.cover(points if isinstance(points, int) else COVER, budgets.get(main))
        result = SearchResult(found, name, False, missed)
    if not any(main not in bounds or bounds[main].met(each.picks) for each in result.points):
        raise contradiction(problem, bounds, chosen, effort)
    return result


def _automatic(model: Model, few: bool) -> str:
    if few:
        return "exhaustive"
    return "evolutionary" if any(isinstance(cost, BlackBox) for cost in model.costs.values()) else "lagrangian"
