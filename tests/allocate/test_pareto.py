"""The front and the choice, against brute force."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from codesign.allocate._milp import Solver, pareto_front
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.allocate._losses import density_table, loss_table
from codesign.allocate._problem import Problem, Variable
from codesign.allocate.pareto import Pareto, choose
from codesign.design import Front, Point
from codesign.errors import InputError
from codesign.starting import Starting
from tests.jets import allocated, loaded


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Chains and denser couplings of up to five variables; integers, so that ties happen."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    high = draw(st.sampled_from([3, 50, 100_000]))
    numbers = [rng.integers(0, high, size).astype(float) for size in sizes]
    if draw(st.booleans()):  # losses over many orders of magnitude, as a wide range of bits has them
        numbers = [10.0 ** rng.uniform(-6, 1, size) for size in sizes]
    unary = tuple(rng.integers(0, high, size).astype(float) for size in sizes)
    coupled = [pair for pair in itertools.combinations(range(len(sizes)), 2) if rng.random() < 0.6]
    pairs = {(i, j): rng.integers(0, high, (sizes[i], sizes[j])).astype(float) for i, j in coupled}
    variables = tuple(
        Variable(tuple({f"t{index}": choice} for choice in range(len(loss))), loss)
        for index, loss in enumerate(numbers)
    )
    return Problem(variables, unary, pairs)


def every_assignment(problem: Problem) -> list[Point]:
    ranges = [range(len(variable.loss)) for variable in problem.variables]
    return [problem.point(list(picks)) for picks in itertools.product(*ranges)]


def nondominated(points: list[Point]) -> set[tuple[float, float]]:
    front: set[tuple[float, float]] = set()
    least = float("inf")
    for cost, loss in sorted((point.cost, point.loss) for point in points):
        if loss < least:
            front.add((cost, loss))
            least = loss
    return front


@settings(deadline=None, max_examples=150)
@given(problems())
def test_front_is_every_nondominated_point(problem: Problem) -> None:
    found = [problem.point(picks) for picks in pareto_front(problem)]
    assert {(point.cost, point.loss) for point in found} == nondominated(every_assignment(problem))
    assert len(found) == len(nondominated(every_assignment(problem)))


@settings(deadline=None, max_examples=60)
@given(problems(), st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_front_of_losses_below_zero(problem: Problem, shifts: list[int]) -> None:
    """Measured losses may fall: the front is that of the same losses shifted."""
    pairs = zip(problem.variables, itertools.cycle(shifts), strict=False)
    lower = replace(problem, variables=tuple(replace(v, loss=v.loss - shift) for v, shift in pairs))
    found = [lower.point(picks) for picks in pareto_front(lower)]
    assert {point.cost for point in found} == {cost for cost, _ in nondominated(every_assignment(lower))}


@settings(deadline=None, max_examples=100)
@given(problems(), st.floats(0, 1))
def test_best_under_a_budget_is_brute_force_s(problem: Problem, share: float) -> None:
    points = every_assignment(problem)
    costs = sorted(point.cost for point in points)
    budget = costs[0] + share * (costs[-1] - costs[0])
    picks = Solver.of(problem).least_loss(budget)
    assert picks is not None
    assert problem.cost(picks) <= budget
    assert problem.loss(picks) == min(point.loss for point in points if point.cost <= budget)
    assert Solver.of(problem).least_loss(costs[0] - 1) is None


def jet_points() -> list[Point]:
    """All 625 assignments of the jet tagger, costed layer by layer from the front's own definition."""
    design, step = allocated(), Pareto(350_000)
    widths, start = step._widths(design.graph), Starting.of(design, step.calibration)
    problem = step.problem(
        design.graph,
        loss_table(start, "hessian_trace", design.sensitivity["hessian_trace"], widths),
        density_table(start, widths),
    )
    return every_assignment(problem)


def test_jets_all_625_assignments() -> None:
    points, front = jet_points(), allocated().front
    assert len(points) == 625
    assert {(point.cost, point.loss) for point in front.points} == nondominated(points)
    for budget in np.linspace(front.points[0].cost, 520_000, 97):
        chosen = choose(front, float(budget)).point
        assert chosen.cost <= budget
        assert chosen.loss == min(point.loss for point in points if point.cost <= budget)


def test_front_is_monotone() -> None:
    points = allocated().front.points
    assert all(a.cost < b.cost and a.loss > b.loss for a, b in itertools.pairwise(points))
    for uniform in allocated().front.uniform:
        assert choose(allocated().front, uniform.cost).point.loss <= uniform.loss


def test_a_budget_that_nothing_meets_names_the_least_that_is_met() -> None:
    front = allocated().front
    least = front.points[0].cost
    with pytest.raises(InputError, match=f"{np.ceil(least):.0f}"):
        choose(front, least - 1)
    assert choose(front, least).index == 0
    assert choose(front, None).index == len(front.points) - 1


def test_free_activations_do_no_worse_and_are_coupled() -> None:
    design = allocated()
    free = Pareto(350_000, activations="free", activation_bits=(7, 11))(design)
    assert free.allocation.point.cost <= 350_000
    assert free.allocation.point.loss <= design.allocation.point.loss
    assert {"relu1", "relu2", "relu3"} <= set(free.allocation.point.bits)


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
    ],
)
def test_impossible_options(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Pareto(350_000, **options)  # type: ignore[arg-type]


def test_front_type() -> None:
    assert isinstance(allocated().front, Front)
    assert loaded().graph.activations() == ["x", "relu1", "relu2", "relu3"]
