"""The front against brute force: on random problems, and on the jet tagger."""

import itertools
from dataclasses import replace
from functools import cache
from math import ceil, inf
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codesign.allocate import _front
from codesign.allocate._front import Found, Search
from codesign.allocate._model import Model
from codesign.allocate._problem import Bound, Problem, Quantity, Sum, Term
from codesign.allocate._relax import contradiction
from codesign.allocate._setup import set_up
from codesign.allocate.choose import choose
from codesign.allocate.pareto import Pareto
from codesign.allocate.solvers import make_solver
from codesign.allocate.solvers._solver import Effort, Solution, Solver
from codesign.design import Point
from codesign.errors import InputError
from tests.jets import allocated, loaded, measured

WAYS = ("exhaustive", "milp", "lagrangian")


@st.composite
def searches(draw: st.DrawFn) -> tuple[Problem, Quantity]:
    """A problem of up to five decisions, some bounded in another cost, and a cost; whole numbers, so that ties happen.

    Couplings are chains and denser; a cost may be the largest of several sums.
    """
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    high = draw(st.sampled_from([3, 50, 100_000]))
    losses = [rng.integers(0, high, size).astype(float) for size in sizes]
    if draw(st.booleans()):  # losses over many orders of magnitude, as a wide range of bits has them
        losses = [10.0 ** rng.uniform(-6, 1, size) for size in sizes]
    if draw(st.booleans()):  # measured losses may fall
        losses = [values - rng.integers(0, 4) for values in losses]
    loss = Quantity("loss", (Sum(tuple(Term((i,), values) for i, values in enumerate(losses))),))
    coupled = [pair for pair in itertools.combinations(range(len(sizes)), 2) if rng.random() < 0.6]

    def a_sum() -> Sum:
        own = [Term((i,), rng.integers(0, high, size).astype(float)) for i, size in enumerate(sizes)]
        pairs = [Term((i, j), rng.integers(0, high, (sizes[i], sizes[j])).astype(float)) for i, j in coupled]
        return Sum((*own, *pairs))

    cost, other = (Quantity(name, tuple(a_sum() for _ in range(draw(st.integers(1, 2))))) for name in ("cost", "other"))
    problem = Problem(tuple(sizes), loss)
    if draw(st.booleans()):
        limit = other.value([draw(st.integers(0, size - 1)) for size in sizes])
        problem = problem.bounded(Bound(other, limit))
    return problem, cost


def every_assignment(problem: Problem) -> list[tuple[int, ...]]:
    """Those that meet the bounds."""
    return [picks for picks in itertools.product(*map(range, problem.sizes)) if problem.feasible(picks)]


def nondominated(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of costs and losses, those that no other beats, cost rising."""
    front: list[tuple[float, float]] = []
    for cost, loss in sorted(points):
        if loss < (front[-1][1] if front else inf):
            front.append((cost, loss))
    return front


def values(problem: Problem, cost: Quantity, found: list[Found]) -> list[tuple[float, float]]:
    return [(cost.value(each.picks), problem.value(each.picks)) for each in found]


def quantity(name: str, *tables: list[float]) -> Quantity:
    return Quantity(name, (Sum(tuple(Term((i,), np.array(table)) for i, table in enumerate(tables))),))


#: All losses are 0, as a difference of larger numbers.
LEVEL = (
    Problem((1, 2, 4), quantity("loss", [2.0], [1.0, 1.0], [-3.0] * 4)),
    quantity("cost", [1.0], [1.0, 1.0], [2.0, 0.0, 2.0, 2.0]),
)


@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None, max_examples=100)
@given(search=searches())
@example(search=LEVEL)
def test_front_is_every_nondominated_point(way: str, search: tuple[Problem, Quantity]) -> None:
    """By enumeration, and by epsilon constraint with an exact solver."""
    problem, cost = search
    wanted = nondominated([(cost.value(picks), problem.value(picks)) for picks in every_assignment(problem)])
    with pytest.MonkeyPatch.context() as patch:
        if way != "exhaustive":
            patch.setattr(_front, "enumerable", lambda _: False)
        found, whole = Search(problem, cost, make_solver(way, "test"), Effort()).every_point()
    assert whole
    assert values(problem, cost, found) == wanted
    assert {each.gap for each in found} == {0.0}
    assert all(problem.feasible(each.picks) for each in found)


@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None, max_examples=40)
@given(search=searches(), count=st.integers(2, 6), share=st.floats(-0.1, 1.1))
def test_a_cover_is_of_nondominated_losses_and_has_the_best_under_the_budget(
    way: str, search: tuple[Problem, Quantity], count: int, share: float
) -> None:
    problem, cost = search
    points = [(cost.value(picks), problem.value(picks)) for picks in every_assignment(problem)]
    wanted = points[0][0] + share * (max(points)[0] - points[0][0])
    found = values(problem, cost, Search(problem, cost, make_solver(way, "test"), Effort()).cover(count, wanted)[0])
    assert len(found) <= count + 1
    assert all(loss == min(least for other, least in points if other <= cost) for cost, loss in found)
    assert min(loss for _, loss in found) == min(loss for _, loss in points)
    within = [loss for c, loss in points if c <= wanted]
    assert min((loss for c, loss in found if c <= wanted), default=inf) == min(within, default=inf)


class Lazy(Solver):
    """The worst answer that the gap allows."""

    exact: ClassVar[bool] = True

    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """Of all assignments."""
        found = sorted((problem.value(picks), picks) for picks in every_assignment(problem))
        if not found:
            return Solution(None, inf, inf)
        bound = found[0][0]
        return [answer for value, picks in found if (answer := Solution(picks, value, bound)).gap <= effort.gap][-1]


@settings(deadline=None, max_examples=60)
@given(searches(), st.floats(0.01, 0.9), st.floats(0, 1))
def test_a_gap_leaves_no_budget_unmet(search: tuple[Problem, Quantity], gap: float, share: float) -> None:
    """Good enough counts for the loss; whether something is cheap enough is settled exactly."""
    problem, cost = search
    costs = sorted(cost.value(picks) for picks in every_assignment(problem))
    wanted = costs[0] + share * (costs[-1] - costs[0])
    found = Search(problem, cost, Lazy(), Effort(gap=gap)).cover(3, wanted)[0]
    assert min(cost.value(each.picks) for each in found) <= wanted


class Late(Lazy):
    """Has no time left where there are bounds."""

    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """Nothing, and nothing proven."""
        late = any(bound.most < inf for bound in problem.bounds)
        return Solution(None, inf, -inf) if late else super().solve(problem, effort)


@settings(deadline=None, max_examples=20)
@given(searches())
def test_costs_without_an_answer_are_counted(search: tuple[Problem, Quantity]) -> None:
    problem, cost = search
    free = replace(problem, bounds=())
    found, missed = Search(free, cost, Late(), Effort()).cover(4, None)
    assert missed == 3
    assert min(cost.value(each.picks) for each in found) == min(cost.value(p) for p in every_assignment(free))


class Hasty(Solver):
    """The first assignment within the bounds, or none where the loss would have to be small, without a proof."""

    exact: ClassVar[bool] = True

    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """As when the time was over."""
        found = [picks for picks in every_assignment(problem) if problem.value(picks) > 2]
        return Solution(found[0], problem.value(found[0]), 1.0) if found else Solution(None, inf, -inf)


def test_a_front_in_too_little_time_is_not_called_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_front, "enumerable", lambda _: False)
    loss, cost = (
        Quantity(name, (Sum((Term((0,), np.array(table)),)),))
        for name, table in (("loss", [4.0, 3.0, 0.0]), ("cost", [3.0, 2.0, 1.0]))
    )
    found, whole = Search(Problem((3,), loss), cost, Hasty(), Effort(seconds=1)).every_point()
    assert not whole
    assert found == [Found((1,), pytest.approx(2 / 3))]


class Unproven(Lazy):
    """Right, but it cannot say so."""

    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """Nothing where a bound has to be met, else the best."""
        best = super().solve(problem, replace(effort, gap=0.0))
        return Solution(best.picks, best.value, -inf)


def test_a_budget_that_can_be_met_is_not_called_a_contradiction() -> None:
    model = jet_model()
    bounds = {"bops_campos": Bound(model.costs["bops_campos"], 350_000.0)}
    text = str(contradiction(model.problem(), bounds, Unproven(), Effort(seconds=1)))
    assert "the solver found no assignment of bits, though there is one, of bops_campos = " in text
    assert "wanted: at least" not in text


def test_a_relaxation_without_a_proof_is_not_called_the_least() -> None:
    model = jet_model()
    cost = model.costs["bops_campos"]
    text = str(contradiction(model.problem(), {"bops_campos": Bound(cost, 1000.0)}, Unproven(), Effort()))
    assert "was found to do" in text
    assert "at least" not in text


@pytest.mark.parametrize("solver", ["milp", "lagrangian", "exhaustive"])
def test_of_equal_losses_a_cover_takes_the_cheapest(solver: str) -> None:
    """At its dear end, and within the budget."""
    loss, cost = (
        Quantity(name, (Sum((Term((0,), np.array(table)),)),))
        for name, table in (("loss", [1.0, 1.0, 3.0, 3.0, 9.0]), ("cost", [9.0, 8.0, 6.0, 5.0, 1.0]))
    )
    problem = Problem((5,), loss)
    found = Search(problem, cost, make_solver(solver, "test"), Effort()).cover(2, 6.5)[0]
    assert values(problem, cost, found) == [(1.0, 9.0), (5.0, 3.0), (8.0, 1.0)]


def test_a_gap_that_is_not_known_is_none() -> None:
    problem, cost = Problem((1,), Quantity("loss", (Sum(()),))), Quantity("cost", (Sum(()),))
    search = Search(problem, cost, Lazy(), Effort())
    assert search.nondominated([Solution((0,), 0.0, -1.0)]) == [Found((0,), None)]


def test_a_gap_leaves_the_least_relaxation() -> None:
    """What a message says to raise a budget to is the smallest number, not one near it."""
    model = jet_model()
    cost = model.costs["bops_campos"]
    error = contradiction(model.problem(), {"bops_campos": Bound(cost, 1000.0)}, Lazy(), Effort(gap=0.3))
    least = min(cost.value(picks) for picks in every_assignment(model.problem()))
    assert f"bops_campos at least {ceil(least):,};" in str(error)


# The jet tagger.


@cache
def jet_points() -> list[Point]:
    """All 625 assignments of the jet tagger."""
    model = jet_model()
    return [model.point(picks, None) for picks in every_assignment(model.problem())]


def jet_model() -> Model:
    return set_up(measured(), "hessian_trace", Pareto(), ["bops_campos"], 1, (), 4096).model


def cost_and_loss(points: tuple[Point, ...] | list[Point]) -> list[tuple[float, float]]:
    return [(point.costs["bops_campos"], point.loss) for point in points]


def test_jets_all_625_assignments() -> None:
    points, front = jet_points(), allocated().front
    assert len(points) == 625
    assert cost_and_loss(front.points) == nondominated(cost_and_loss(points))
    assert (front.complete, front.solver, {point.gap for point in front.points}) == (True, "exhaustive", {0.0})
    for budget in np.linspace(front.points[0].costs["bops_campos"], 520_000, 97):
        chosen = choose(replace(front, budgets={"bops_campos": float(budget)}), None).point
        assert chosen.costs["bops_campos"] <= budget
        assert chosen.loss == min(loss for cost, loss in cost_and_loss(points) if cost <= budget)


@pytest.mark.parametrize("solver", ["milp", pytest.param("lagrangian", marks=pytest.mark.slow)])
def test_jets_by_epsilon_constraint(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The solvers find all of the front themselves."""
    monkeypatch.setattr(_front, "enumerable", lambda _: False)
    model = jet_model()
    found, _ = Search(model.problem(), model.costs["bops_campos"], make_solver(solver, "test"), Effort()).every_point()
    points = [model.point(each.picks, each.gap) for each in found]
    assert cost_and_loss(points) == cost_and_loss(allocated().front.points)


def test_front_is_monotone() -> None:
    points = cost_and_loss(allocated().front.points)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in itertools.pairwise(points))


def test_uniform_points_have_one_width() -> None:
    front = allocated().front
    assert list(front.uniform) == [4, 5, 6, 7, 8]
    for bits, point in front.uniform.items():
        assert {point.bits[f"fc{i}.weight"] for i in range(1, 5)} == {bits}
        assert {point.bits[f"relu{i}"] for i in range(1, 4)} == {bits + 3}
        assert point in [replace(each, gap=None) for each in jet_points()]


def test_free_activations_do_no_worse_and_are_coupled() -> None:
    design, cost = allocated(), "bops_campos"
    free = Pareto({cost: 350_000}, activations="free", activation_bits=(7, 11))(measured()).front
    chosen = choose(free, None).point
    assert chosen.costs[cost] <= 350_000
    assert chosen.loss <= design.allocation.point.loss
    assert {"relu1", "relu2", "relu3"} <= set(chosen.bits)


def test_activations_follow_their_weights_when_tied() -> None:
    for point in allocated().front.points:
        for layer, activation in (("fc1", "relu1"), ("fc2", "relu2"), ("fc3", "relu3")):
            assert point.bits[activation] == point.bits[f"{layer}.weight"] + 3
        assert point.bits["x"] == 16


@pytest.mark.parametrize(
    "options",
    [
        {"weight_bits": (5, 4)},
        {"weight_bits": (1, 4)},
        {"activation_bits": (4, 99)},
        {"input_bits": 1},
        {"activation_offset": 40},
        {"activation_offset": -3},
        {"calibration": 0},
        {"group_size": 0},
        {"reuse_factor": 0},
        {"gap": 1.0},
        {"gap": -0.1},
        {"points": 1},
        {"time_limit_s": 0.0},
        {"time_limit_s": -1.0},
    ],
)
def test_impossible_options(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"allocate.pareto, {next(iter(options))}:"):
        Pareto({"bops_campos": 350_000}, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "mlip"}, "unknown solver 'mlip'.*did you mean 'milp'"),
        ({"solver": "greedy", "points": "all"}, "'all', with the solver greedy"),
        ({"metric": "fisher"}, "'fisher', which was not measured.*measured: hessian_trace"),
        ({"granularity": "channel"}, "tied, but 'fc1.weight' has no single width.*'free'"),
        ({"granularity": "group", "activations": "free", "costs": ("bram",)}, "'bram' knows nothing.*'tensor'"),
    ],
)
def test_options_that_do_not_fit_together(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Pareto(**options)(measured())  # type: ignore[arg-type]


def test_what_is_decided() -> None:
    assert loaded().graph.activations() == ["x", "relu1", "relu2", "relu3"]
    assert jet_model().problem().sizes == (1, 5, 5, 5, 5)
