"""`milp`: mixed-integer linear programming by HiGHS. Exact, and the broadest of the exact solvers."""

from math import inf
from typing import ClassVar

from codesign.allocate._problem import Problem
from codesign.allocate.solvers._clock import Clock
from codesign.allocate.solvers._form import fitting, linear_form, promising
from codesign.allocate.solvers._highs import Model
from codesign.allocate.solvers._linear import Ints, Linear
from codesign.allocate.solvers._solver import Effort, Solution, Solver

#: No answer yet.
NOTHING = Solution(None, inf, -inf)
#: An answer is looked for again, without the choices that alone exceed it, if its numbers are smaller than by this.
REFINE = 0.1
#: After so many cuts, the bound is left as it is.
CUTS = 50
#: What is closer than this share of the objective counts as equal.
DIGITS = 1e-8


class Milp(Solver):
    """Mixed-integer linear programming (HiGHS through scipy): products of choices linearized exactly."""

    exact: ClassVar[bool] = True

    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """The optimum, or an answer that is proven to be within the gap of it.

        Raises:
            InputError: A cost is no sum.
        """
        return minimize(problem, linear_form(problem, "milp"), effort.gap, Clock.of(effort.seconds))


def minimize(problem: Problem, linear: Linear, gap: float, clock: Clock, known: Solution = NOTHING) -> Solution:
    """Solve a problem, or what is left of it with fewer choices.

    HiGHS knows numbers to about nine digits. An answer far smaller than the largest number is therefore looked for
    once more among the choices that can still be better, on their own scale, until the gap is proven there.

    Args:
        problem: The whole problem, for exact recounts.
        linear: Its linear form, or a restriction of it.
        gap: Relative gap that is good enough.
        clock: When to stop.
        known: An answer that meets the bounds, if one is known already.

    Returns:
        The best answer, the known one included; the bound is that of the restriction.
    """
    fits = fitting(linear)
    if fits is None:
        return Solution(known.picks, known.value, known.value)
    found, model = _search(problem, fits, gap, clock, known)
    safe = _lowered(found, model)
    while found.picks is not None and safe.gap > gap and clock.left > 0:
        closer = promising(fits, found.value)
        if closer is None:
            return Solution(found.picks, found.value, found.value)
        if len(closer.sizes) and Model(closer).scale > REFINE * model.scale:
            return _closed(found, model)
        found, model = _search(problem, closer, gap, clock, safe)
        lowered = _lowered(found, model)
        safe = Solution(found.picks, found.value, max(lowered.bound, min(safe.bound, found.value)))
    return safe


def _lowered(found: Solution, model: Model) -> Solution:
    """With the bound that holds also where numbers are smaller than HiGHS's tolerances."""
    return Solution(
        found.picks, found.value, max(found.bound - model.blur, min(model.base - model.rounding, found.bound))
    )


def _search(problem: Problem, linear: Linear, gap: float, clock: Clock, best: Solution) -> tuple[Solution, Model]:
    """Solve; answers over a bound by rounding are cut off and the problem solved again.

    Returns:
        The best answer with its bound, and what HiGHS was given.
    """
    model, cuts, bound, inner = Model(linear), list[Ints](), -inf, gap
    if model.base < best.value < inf:  # the gap counts what HiGHS does not see, too
        inner = min(0.9 * gap * abs(best.value) / (best.value - model.base), 1.0)
    if not len(linear.sizes):
        return _settled(problem, linear, best), model
    while True:
        outcome = model.solve(cuts, inner, clock.left)
        picks = None if outcome.own is None else linear.picks(outcome.own)
        feasible = picks is not None and problem.feasible(picks)
        bound = max(bound, model.rounded_up(outcome.bound))
        if picks is not None and feasible:
            best = _better(problem, best, picks)
        elif outcome.own is not None:
            cuts.append(outcome.own)
            if best.picks is None and clock.left > 0:
                own = model.solve([], inner, clock.left, strict=True).own
                if own is not None and problem.feasible(linear.picks(own)):
                    best = _better(problem, best, linear.picks(own))
        bound = min(bound, best.value)
        found = Solution(best.picks, best.value, bound)
        if outcome.own is None or outcome.stopped or clock.left <= 0 or found.gap <= gap:
            return found, model
        if feasible and (found.value - bound <= model.tolerance or len(cuts) >= CUTS):
            return found, model  # more is not to be had on this scale
        if feasible and inner == 0:
            cuts.append(outcome.own)  # HiGHS saw it as better than it is: a bound on all others tells more
        elif feasible:
            # What is relative to HiGHS's numbers was more than the gap of the objective itself.
            inner = 0.5 * inner * gap / found.gap if gap and inner > 1e-12 else 0.0


def _closed(found: Solution, model: Model) -> Solution:
    """An optimum, where only the last digits that HiGHS knows, or rounding, are left between answer and bound."""
    digits = max(DIGITS * max(abs(found.value), found.value - model.base), 2 * model.rounding)
    closed = found.value - found.bound <= min(model.tolerance, digits)
    return Solution(found.picks, found.value, found.value) if closed else found


def _better(problem: Problem, best: Solution, picks: tuple[int, ...]) -> Solution:
    value = problem.value(picks)
    return Solution(picks, value, -inf) if best.picks is None or value < best.value else best


def _settled(problem: Problem, linear: Linear, best: Solution) -> Solution:
    """The only assignment that is left."""
    picks = linear.picks(linear.sizes)
    best = _better(problem, best, picks) if problem.feasible(picks) else best
    return Solution(best.picks, best.value, best.value)
