"""The exact solvers against every assignment of small problems, and against each other on larger ones."""

import itertools
import json
import sys
import tracemalloc
from math import inf
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.allocate._enumerate import Assignments
from codesign.allocate._problem import BlackBox, Bound, Picks, Problem, Quantity, Sum, Term
from codesign.allocate.solvers import make_solver
from codesign.allocate.solvers._clock import Clock
from codesign.allocate.solvers._dual import Dual
from codesign.allocate.solvers._elimination import Elimination
from codesign.allocate.solvers._form import linear_form
from codesign.allocate.solvers._plan import plan
from codesign.allocate.solvers._solver import Effort, Solution
from codesign.errors import InputError
from tests.builds import finish

EXACT = ("milp", "lagrangian")
KINDS = ("ties", "whole", "many orders", "real", "below zero")
DECADES = "fifteen decades"


def numbers(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """A table: few whole numbers (ties), large ones, losses over orders of magnitude, or of both signs."""
    if kind == "ties":
        return rng.integers(0, 4, shape).astype(float)
    if kind == "whole":
        return rng.integers(0, 100_000, shape).astype(float)
    if kind == "many orders":
        return 10.0 ** rng.uniform(-6, 1, shape)
    if kind == DECADES:
        return 10.0 ** rng.uniform(-9, 6, shape)
    return rng.normal(size=shape) if kind == "below zero" else rng.random(shape)


def a_sum(rng: np.random.Generator, kind: str, sizes: list[int], pairs: list[tuple[int, int]]) -> Sum:
    """Terms in any order, some decisions left out, some twice; pairs either way around."""
    terms = [Term((i,), numbers(rng, kind, (size,))) for i, size in enumerate(sizes) if rng.random() < 0.9]
    terms += [Term((i,), numbers(rng, kind, (sizes[i],))) for i in range(len(sizes)) if rng.random() < 0.1]
    for i, j in pairs:
        i, j = (i, j) if rng.random() < 0.5 else (j, i)
        if rng.random() < 0.5:
            table = numbers(rng, kind, (sizes[i], sizes[j]))
        else:  # a product, as of the bits of weights and activations
            table = np.outer(np.sort(numbers(rng, kind, (sizes[i],))), np.sort(numbers(rng, kind, (sizes[j],))))
        terms.append(Term((i, j), table))
    return Sum(tuple(terms[k] for k in rng.permutation(len(terms))))


def couplings(rng: np.random.Generator, count: int, shape: str) -> list[tuple[int, int]]:
    """Pairs of decisions that are coupled."""
    chain = list(itertools.pairwise(range(count)))
    if shape == "none":
        return []
    if shape == "residual":
        return [*chain, *[(i, i + 2) for i in range(count - 2) if rng.random() < 0.5]]
    if shape == "random":
        return [pair for pair in itertools.combinations(range(count), 2) if rng.random() < 0.4]
    return chain


def random_problem(seed: int, objective: str, cost: str, shape: str, bounds: int, most: int = 7) -> Problem:
    """Small enough to look at every assignment; some bounds lie exactly on an assignment, some are met by none."""
    rng = np.random.default_rng(seed)
    while True:
        sizes = rng.integers(1, 6, rng.integers(1, most + 1, 2).max()).tolist()
        if np.prod(sizes) <= 20_000:
            break
    pairs = couplings(rng, len(sizes), shape)
    loss_pairs = pairs if rng.random() < 0.3 else []
    count = 1 if rng.random() < 0.75 else 2
    loss = Quantity("loss", tuple(a_sum(rng, objective, sizes, loss_pairs) for _ in range(count)))
    problem = Problem(tuple(sizes), loss)
    for index in range(bounds):
        count = 1 if rng.random() < 0.7 else 3
        kind = cost if rng.random() < 0.8 else KINDS[rng.integers(len(KINDS))]
        bounded = Quantity(f"cost {index}", tuple(a_sum(rng, kind, sizes, pairs) for _ in range(count)))
        values = np.sort([bounded.value([int(rng.integers(size)) for size in sizes]) for _ in range(4)])
        low, high = values[[1, 3]]
        limit = [low, high, float(np.nextafter(low, -inf)), low - 0.3 * (high - low), inf][rng.integers(5)]
        problem = problem.bounded(Bound(bounded, limit))
    return problem


def every_value(quantity: Quantity, grid: np.ndarray) -> np.ndarray:
    """A quantity of all assignments, up to rounding."""
    sums = [sum(t.table[tuple(grid[i] for i in t.decisions)] for t in each.terms) for each in quantity.sums]
    return np.max([np.broadcast_to(each, grid.shape[1]) for each in sums], axis=0)


def brute_force(problem: Problem) -> float:
    """The least objective within the bounds; numbers that rounding could make wrong are counted exactly."""
    grid = np.indices(problem.sizes).reshape(len(problem.sizes), -1)
    near = np.ones(grid.shape[1], bool)
    for bound in problem.bounds:
        cost = every_value(bound.cost, grid)
        near &= cost <= bound.most + 1e-9 * np.abs(cost).max()
    grid, best = grid[:, near], inf
    objective = every_value(problem.objective, grid)
    slack = 1e-9 * np.abs(objective).max(initial=0)
    for index in np.argsort(objective, kind="stable"):
        if objective[index] > best + slack:
            break
        picks = grid[:, index].tolist()
        if problem.value(picks) < best and problem.feasible(picks):
            best = problem.value(picks)
    return best


def check(problem: Problem, solution: Solution, best: float) -> None:
    """The optimum itself, or proof that there is none."""
    if best == inf:
        assert (solution.picks, solution.bound) == (None, inf)
        return
    assert solution.picks is not None
    assert problem.feasible(solution.picks)
    assert (solution.value, problem.value(solution.picks), solution.bound) == (best, best, best)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(("seed", "kinds", "bounds"), [(65537, ("many orders", "real", "residual"), 3)])
def test_an_optimum_that_presolve_loses(name: str, seed: int, kinds: tuple[str, str, str], bounds: int) -> None:
    problem = random_problem(seed, *kinds, bounds)
    check(problem, make_solver(name, "test").solve(problem, Effort()), brute_force(problem))


PROBLEMS = st.builds(
    random_problem,
    st.integers(0, 2**32 - 1),
    st.sampled_from(KINDS),
    st.sampled_from(KINDS),
    st.sampled_from(["none", "chain", "residual", "random"]),
    st.integers(1, 3),
)


@pytest.mark.parametrize("name", EXACT)
@settings(deadline=None, max_examples=500)
@given(problem=PROBLEMS)
def test_optimum_is_brute_force_s(name: str, problem: Problem) -> None:
    check(problem, make_solver(name, "test").solve(problem, Effort()), brute_force(problem))


def wide_problem(seed: int, shape: str) -> Problem:
    """Losses over fifteen decades, and one budget."""
    return random_problem(seed, DECADES, "real", shape, 1)


@pytest.mark.parametrize("name", EXACT)
@settings(deadline=None, max_examples=150)
@given(
    st.builds(wide_problem, st.integers(0, 2**32 - 1), st.sampled_from(["none", "chain", "random"])),
    st.sampled_from([1e-3, 1e-2]),
    st.sampled_from([0.002, 0.01, 0.05, inf]),
)
def test_what_is_claimed_with_a_gap_and_a_time_limit_holds(
    name: str, problem: Problem, gap: float, seconds: float
) -> None:
    best = brute_force(problem)
    solution = make_solver(name, "test").solve(problem, Effort(gap=gap, seconds=seconds))
    assert solution.bound <= best <= solution.value
    if seconds == inf and best < inf:
        assert solution.gap <= gap


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.sampled_from(KINDS))
def test_exhaustive_is_brute_force_s(seed: int, objective: str, cost: str) -> None:
    problem = random_problem(seed, objective, cost, "chain", 2, most=4)
    check(problem, make_solver("exhaustive", "test").solve(problem, Effort()), brute_force(problem))


def test_exhaustive_asks_a_black_box_once_per_assignment_and_stops_in_time() -> None:
    asked: list[tuple[int, ...]] = []

    def slow(picks: Picks) -> float:
        asked.append(tuple(picks))
        sleep(0.001)
        return -float(sum(picks))

    problem, solver = Problem((2,) * 5, BlackBox("power", slow)), make_solver("exhaustive", "test")
    assert solver.solve(problem, Effort()) == Solution((1,) * 5, -5.0, -5.0)
    assert len(asked) == len(set(asked)) == 32
    asked.clear()
    stopped = solver.solve(Problem((2,) * 20, BlackBox("power", slow)), Effort(seconds=0.05))
    assert (stopped.picks is not None, stopped.bound) == (True, -inf)
    assert len(asked) < 100


def test_pinned_decisions_take_no_memory() -> None:
    """Sixty of them, beside a million assignments."""
    tracemalloc.start()
    every = Assignments((1,) * 60 + (32,) * 4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert every.picks(every.count - 1) == (0,) * 60 + (31,) * 4
    assert peak < 40 * every.count


@pytest.mark.parametrize("pairs", [True, False])
def test_rounding_of_the_dual_counts_every_table(pairs: bool) -> None:
    """The largest number of each decision, and of each pair."""
    terms = [Term((i,), np.array([1.0, 2.0])) for i in range(3)]
    terms += [Term((i, i + 1), np.full((2, 2), 10.0)) for i in range(2) if pairs]
    linear = linear_form(Problem((2, 2, 2), Quantity("loss", (Sum(tuple(terms)),))), "test")
    order = plan(linear)
    assert order is not None
    dual = Dual(linear, Elimination(linear, order))
    dual.maximize(Clock.of(inf))
    assert dual.rounding == pytest.approx(1e-15 * (26 if pairs else 6), rel=1e-6, abs=0)


def network(seed: int, count: int, bounds: int = 2, chain: bool = False) -> Problem:
    """Losses that fall fourfold per bit, costs by multiplications and by parameters."""
    rng = np.random.default_rng(seed)
    bits = np.arange(2, 10)
    loss = [Term((i,), 10 ** rng.uniform(-3, 3) * 4.0**-bits) for i in range(count)]
    problem = Problem((8,) * count, Quantity("loss", (Sum(tuple(loss)),)))
    for index in range(bounds):
        work = 10 ** rng.uniform(3, 6, count)
        terms = [Term((i,), w * bits) for i, w in enumerate(work)]
        if chain and index == 0:
            terms = [Term((i, i + 1), w * np.outer(bits, bits)) for i, w in enumerate(work[:-1])]
        cost = Quantity(f"cost {index}", (Sum(tuple(terms)),))
        low, high = cost.value([0] * count), cost.value([7] * count)
        problem = problem.bounded(Bound(cost, low + rng.uniform(0.2, 0.6) * (high - low)))
    return problem


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("where", ["objective", "bound"])
def test_black_boxes_are_refused_by_name(name: str, where: str) -> None:
    loss, power = Quantity("loss", (Sum((Term((0,), np.arange(3.0)),)),)), BlackBox("power", lambda picks: picks[0])
    problem = Problem((3,), power) if where == "objective" else Problem((3,), loss, (Bound(power, 1.0),))
    with pytest.raises(InputError, match=r"'power'.*evolutionary or exhaustive"):
        make_solver(name, "test").solve(problem, Effort())
    ignored = Problem((3,), loss, (Bound(power, inf),))
    assert make_solver(name, "test").solve(ignored, Effort()).picks == (0,)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("seconds", [0.0, pytest.param(0.02, marks=pytest.mark.slow), 0.3])
@pytest.mark.parametrize("chain", [False, True])
def test_when_time_is_over_the_bound_holds(name: str, seconds: float, chain: bool) -> None:
    problem = network(3, 200, chain=chain)
    best = make_solver(name, "test").solve(problem, Effort(gap=1e-4))
    solution = make_solver(name, "test").solve(problem, Effort(seconds=seconds))
    assert solution.bound <= best.value
    assert solution.picks is not None or solution.bound < inf
    assert solution.value >= best.bound
    assert solution.picks is None or problem.feasible(solution.picks)


@pytest.mark.parametrize("name", EXACT)
def test_gap_counts_the_whole_objective_also_below_zero(name: str) -> None:
    """A constant in the objective makes the gap smaller or larger than the one of the rest."""
    problem = network(4, 60)
    for constant in (1e3, -1e3, -float(problem.value([4] * 60))):
        terms = (*problem.objective.sums[0].terms, Term((0,), np.full(8, constant)))
        shifted = problem.minimizing(Quantity("loss", (Sum(terms),)))
        solution = make_solver(name, "test").solve(shifted, Effort(gap=1e-6))
        assert solution.gap <= 1e-6
        assert shifted.feasible(solution.picks)


@pytest.mark.parametrize("name", EXACT)
def test_no_decisions_and_impossible_bounds(name: str) -> None:
    loss = Quantity("loss", (Sum((Term((0,), np.array([1.0, 0.0])),)),))
    solver = make_solver(name, "test")
    assert solver.solve(Problem((), Quantity("loss", (Sum(()),))), Effort()).picks == ()
    assert solver.solve(Problem((2,), loss, (Bound(loss, -inf),)), Effort()).bound == inf
    assert solver.solve(Problem((2,), loss, (Bound(loss, 0.0),)), Effort()).picks == (1,)
    never = Quantity("cost", (Sum((Term((0,), np.array([1.0, inf])),)),))
    assert solver.solve(Problem((2,), loss, (Bound(never, 5.0),)), Effort()).picks == (0,)


@pytest.mark.parametrize("chain", [False, True])
@pytest.mark.parametrize("bounds", [1, 2, 4])
def test_larger_networks(chain: bool, bounds: int) -> None:
    """Too many assignments for brute force: two solvers, each with a proof."""
    problem = network(bounds, 150 if chain else 300, bounds, chain)
    one, other = (make_solver(name, "test").solve(problem, Effort(gap=1e-4)) for name in EXACT)
    for solution in (one, other):
        assert solution.picks is not None
        assert problem.feasible(solution.picks)
        assert solution.value == problem.value(solution.picks)
        assert solution.gap <= 1e-4
    assert max(one.bound, other.bound) <= min(one.value, other.value)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("chain", [False, True])
def test_bounds_that_contradict_each_other(name: str, chain: bool) -> None:
    """Each can be met, both together cannot."""
    problem = network(6, 200, 1, chain)
    cost = problem.bounds[0].cost
    opposite = Quantity("least", (Sum(tuple(Term(t.decisions, -t.table) for t in cost.sums[0].terms)),))
    contradiction = problem.bounded(Bound(opposite, -1.01 * problem.bounds[0].most))
    assert make_solver(name, "test").solve(contradiction, Effort(gap=1e-4)).bound == inf


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("factor", [1.0, 0.5, 3.0])
def test_a_bound_just_below_many_ties(name: str, factor: float) -> None:
    """Thousands of assignments cost what is just not allowed: they are not cut off one by one."""
    count = 16
    loss = Quantity("loss", (Sum(tuple(Term((i,), np.array([1.0, 0.0])) for i in range(count))),))
    cost = Quantity("cost", (Sum(tuple(Term((i,), factor * np.array([1.0, 2.0])) for i in range(count))),))
    problem = Problem((2,) * count, loss, (Bound(cost, float(np.nextafter(factor * 24, 0))),))
    solution = make_solver(name, "test").solve(problem, Effort(seconds=20))
    assert (solution.value, solution.bound) == (9.0, 9.0)


@pytest.mark.parametrize("name", EXACT)
def test_tiny_losses_count_beside_a_large_one_that_is_forced(name: str) -> None:
    """The first decision's loss is 1e9 times what the others decide on."""
    rng = np.random.default_rng(0)
    tables = [np.array([10.0, 10.0]), *(1e-8 * rng.random((8, 4)))]
    costs = [np.array([1.0, 0.0]), *rng.random((8, 4))]
    sizes = tuple(len(table) for table in tables)
    loss, cost = (Quantity("", (Sum(tuple(Term((i,), t) for i, t in enumerate(each))),)) for each in (tables, costs))
    problem = Problem(sizes, loss, (Bound(cost, 3.0),))
    check(problem, make_solver(name, "test").solve(problem, Effort()), brute_force(problem))


def test_couplings_too_dense_for_elimination() -> None:
    """Every decision is coupled with every other: HiGHS alone answers, in the time that it has."""
    rng = np.random.default_rng(1)
    sizes, pairs = [4] * 12, list(itertools.combinations(range(12), 2))
    problem = Problem(tuple(sizes), Quantity("loss", (a_sum(rng, "real", sizes, pairs),)))
    cost = Quantity("cost", (a_sum(rng, "real", sizes, pairs),))
    problem = problem.bounded(Bound(cost, cost.value([1] * 12)))
    solution = make_solver("lagrangian", "test").solve(problem, Effort(seconds=2))
    assert solution.bound <= problem.value([1] * 12)
    assert solution.picks is None or problem.feasible(solution.picks)


def test_lagrangian_tells_how_far_it_is() -> None:
    told: list[tuple[str, int, int]] = []
    problem = network(5, 300)
    solution = make_solver("lagrangian", "test").solve(
        problem, Effort(gap=1e-5, progress=lambda *what: told.append(what))
    )
    assert told[-1][0] == f"best {solution.value:.4g}, bound {solution.bound:.4g}, gap {solution.gap:.1e}"
    assert told[-1][1:] == (300 * 8, 300 * 8)
    assert all(done <= total for _, done, total in told)


def test_benchmark_runs(tmp_path: Path) -> None:
    """Every solver proves its gap, and the script's own checks of all answers hold. Speed is not tested."""
    root, file = Path(__file__).parent.parent.parent, tmp_path / "allocation.json"
    command = [sys.executable, str(root / "benchmarks" / "allocation.py"), "--quick", "--json", str(file)]
    outcome = finish(command, root, None)
    assert outcome.code == 0, outcome.err
    assert "codesign lagrangian" in outcome.out
    runs = json.loads(file.read_text())["runs"]
    assert {run["method"] for run in runs} >= {"codesign lagrangian", "codesign milp", "scipy milp, plain"}
    for run in runs:
        if run["method"].startswith("codesign"):
            assert run["over_bounds"] == 0
            assert (run["objective"] - run["bound"]) / run["objective"] <= run["wanted_gap"]
