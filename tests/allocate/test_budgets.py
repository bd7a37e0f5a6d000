"""Budgets on one cost and on several: what is chosen keeps to them; what nothing meets is said, with the way out."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import floor, inf, nan
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from codesign import plugins
from codesign.allocate import costs as costs_package
from codesign.allocate import solvers as solvers_package
from codesign.allocate._front import Search
from codesign.allocate._model import Model
from codesign.allocate._problem import Bound
from codesign.allocate._setup import Setup, set_up
from codesign.allocate.choose import choose
from codesign.allocate.costs import costs, make_cost
from codesign.allocate.costs._cost import Activation, Cost, Counted, Hardware, Part
from codesign.allocate.pareto import Pareto
from codesign.allocate.solvers import evolutionary, make_solver, solvers
from codesign.allocate.solvers._solver import Effort
from codesign.design import Design, Point, Sensitivity
from codesign.errors import ContractError, InputError
from codesign.flow import load_flow, plan
from codesign.setting import settings
from codesign.target import load_target
from tests.allocate.test_recount import design_of
from tests.jets import measured

SEVERAL = ("bops_campos", "lut", "weight_bits", "activation_bits")
#: Few samples are enough to tell budgets apart.
FEW: dict[str, Any] = {"calibration": 256}


def setup_of(names: tuple[str, ...], **options: Any) -> Setup:
    """The problem of the jet tagger."""
    return set_up(measured(), "hessian_trace", Pareto(**options), names, 1, (), 256)


def every_assignment(names: tuple[str, ...]) -> list[Point]:
    """All 625 assignments of the jet tagger."""
    model = setup_of(names).model
    return [model.point(picks, None) for picks in itertools.product(*map(range, model.problem().sizes))]


every_point = cache(every_assignment)


def within(point: Point, budgets: Mapping[str, float]) -> bool:
    return all(point.costs[name] <= most for name, most in budgets.items())


def chosen(budgets: Mapping[str, Any], design: Design | None = None, **options: Any) -> Point:
    return choose(Pareto(dict(budgets), **FEW, **options)(design or measured()).front, None).point


@pytest.mark.parametrize("solver", ["auto", "milp", "lagrangian"])
def test_the_best_within_several_budgets(solver: str) -> None:
    """Of all assignments; budgets are costs of assignments, a little more, or a little less."""
    rng, points = np.random.default_rng(3), every_point(SEVERAL)
    for _ in range(12 if solver == "auto" else 4):
        picked = points[rng.integers(len(points))]
        budgets = {name: picked.costs[name] * rng.choice([1.0, 1.01, 1.1]) for name in rng.permutation(SEVERAL)[:3]}
        options = {"points": 3} if solver != "auto" else {}
        found = chosen(budgets, solver=solver, **options)
        assert within(found, budgets)
        assert found.loss == min(point.loss for point in points if within(point, budgets))


def test_every_point_of_the_front_meets_the_other_budgets() -> None:
    middle = every_point(SEVERAL)[312]  # six bits everywhere
    budgets = {"bops_campos": 0.9 * middle.costs["bops_campos"], "weight_bits": 30_000, "lut": middle.costs["lut"]}
    front = Pareto(budgets, ("ebops",), **FEW)(measured()).front
    assert (front.cost, front.budgets) == ("bops_campos", budgets)
    assert all(point.costs.keys() == {*budgets, "ebops"} for point in front.points)
    others = {name: most for name, most in budgets.items() if name != "bops_campos"}
    assert all(within(point, others) for point in front.points)
    assert any(not within(point, budgets) for point in front.points)


def test_without_budgets_the_least_loss_is_taken() -> None:
    front = Pareto(**FEW)(measured()).front
    assert (front.cost, front.budgets, choose(front, None).index) == ("bops_campos", {}, len(front.points) - 1)


def test_what_the_target_allows() -> None:
    target = measured().target
    front = Pareto({"lut": "target", "bram": "target"}, **FEW)(measured()).front
    assert front.budgets == {"lut": target.lut, "bram": target.bram_36k}
    limited = measured().updated({"target": replace(target, latency_ns=100.0, clock_ns=5.0)})
    found = Pareto({"latency_cycles": "target"}, reuse_factor=2, **FEW)(limited).front
    assert found.budgets == {"latency_cycles": 20}


@pytest.mark.parametrize("name", ["bops_campos", "latency_cycles"])
def test_a_target_that_sets_no_limit(name: str) -> None:
    assert measured().target.latency_ns is None
    with pytest.raises(InputError, match=rf'budgets\.{name}: "target", which sets no limit on it.*give a number'):
        chosen({name: "target"})


@pytest.mark.parametrize("budget", [0, -1, -inf, nan, inf, "all"])
def test_what_is_no_budget(budget: Any) -> None:
    with pytest.raises(
        InputError, match=r"allocate\.pareto, budgets\.lut: .*; wanted: a positive number, or \"target\""
    ):
        Pareto({"bops_campos": 1000, "lut": budget})


def test_an_unknown_cost() -> None:
    with pytest.raises(InputError, match=r"budgets: unknown cost 'bops_campo'.*did you mean 'bops_campos'"):
        chosen({"bops_campo": 1000})
    with pytest.raises(InputError, match=r"unknown cost 'power'"):
        chosen({"bops_campos": 350_000}, costs=("power",))


# What nothing meets.


def refusal(budgets: Mapping[str, float], **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        chosen(budgets, **options)
    assert str(caught.value).startswith("allocate.pareto, budgets: ")
    return str(caught.value)


def relaxations(text: str) -> dict[str, float]:
    """Budgets that a message names: by themselves, or all together."""
    wanted = text.partition("; wanted: ")[2]
    return {
        name: float(most.replace(",", "")) for name, most in re.findall(r"(\w+) (?:at least|=) ([\d,.]*\d)", wanted)
    }


@pytest.mark.parametrize("solver", ["auto", "milp", "lagrangian"])
@pytest.mark.parametrize("name", ["weight_bits", "lut", "bops_qonnx", "bops_campos"])
def test_the_named_budget_is_enough_and_the_smallest(name: str, solver: str) -> None:
    options = {} if solver == "auto" else {"solver": solver, "points": 2}
    least = min(point.costs[name] for point in every_point((name,)))
    text = refusal({name: 1000}, **options)
    assert f"{name} = 1,000, which no assignment of bits meets;" in text
    assert relaxations(text) == {name: np.ceil(least)}
    (most,) = relaxations(text).values()
    assert chosen({name: most}, **options).costs[name] <= most
    assert relaxations(refusal({name: most - 1}, **options)) == {name: most}


@pytest.mark.usefixtures("more")
@pytest.mark.parametrize("solver", ["auto", "lagrangian"])
def test_either_of_two_budgets_can_be_raised(solver: str) -> None:
    """Each named number is enough with the other budget as it is, and one less is not.

    The costs of codesign all fall together, so that the cheapest by one is the cheapest by all; one here rises.
    """
    names, options = ("weight_bits", "coarse"), {} if solver == "auto" else {"solver": solver, "points": 2}
    points = every_assignment(names)
    rng, seen = np.random.default_rng(2), 0
    while seen < 4:
        one, other = (points[index] for index in rng.integers(len(points), size=2))
        budgets = {name: floor(min(one.costs[name], other.costs[name])) for name in names}
        if any(within(point, budgets) for point in points):
            continue
        seen += 1
        text = refusal(budgets, **options)
        found = relaxations(text)
        assert "which no assignment of bits meets together" in text
        assert "or, the others as they are, coarse at least" in text
        assert found.keys() == budgets.keys()
        for name, most in found.items():
            assert any(within(point, {**budgets, name: most}) for point in points)
            assert not any(within(point, {**budgets, name: most - 1}) for point in points)
            assert within(chosen({**budgets, name: most}, **options), {**budgets, name: most})


@pytest.mark.parametrize("solver", ["auto", "milp", "lagrangian"])
def test_where_raising_one_budget_would_not_do(solver: str) -> None:
    """All are named, and are enough together."""
    budgets = {"bops_campos": 1000, "weight_bits": 1000, "lut": 1000}
    options = {} if solver == "auto" else {"solver": solver, "points": 2}
    text = refusal(budgets, **options)
    assert "all of them raised, the least together" in text
    found = relaxations(text)
    assert found.keys() == budgets.keys()
    points = every_point(SEVERAL)
    assert any(within(point, found) for point in points)
    factor = max(most / budgets[name] for name, most in found.items())
    assert factor == pytest.approx(min(max(p.costs[n] / budgets[n] for n in budgets) for p in points), rel=1e-3)
    assert within(chosen(found, **options), found)


def test_a_solver_that_proves_nothing_does_not_say_that_there_is_nothing() -> None:
    text = refusal({"bops_campos": 1000}, solver="greedy", points=3)
    assert "no assignment of bits was found" in text
    assert "no assignment of bits meets" not in text


# Solvers without a proof.


@pytest.mark.parametrize("name", ["greedy", "uniform"])
@pytest.mark.parametrize("options", [{}, {"activations": "free", "activation_bits": (7, 9), "weight_bits": (4, 6)}])
def test_baselines_are_feasible_and_never_better(name: str, options: dict[str, Any]) -> None:
    model = setup_of(SEVERAL, **options).model
    rng, sizes = np.random.default_rng(7), model.problem().sizes
    for _ in range(15):
        point = model.point([int(rng.integers(size)) for size in sizes], None)
        bounds = [
            Bound(model.costs[key], point.costs[key] * rng.uniform(0.8, 1.2)) for key in rng.permutation(SEVERAL)[:2]
        ]
        problem = model.problem().bounded(*bounds)
        best, found = (make_solver(key, "test").solve(problem, Effort()) for key in ("exhaustive", name))
        assert found.bound == -inf
        if found.picks is not None:
            assert problem.feasible(found.picks)
            assert found.value == problem.value(found.picks) >= best.value


def test_evolution_is_the_same_for_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evolutionary, "GENERATIONS", 20)
    model = setup_of(("bops_campos",)).model
    problem = model.problem().bounded(Bound(model.costs["bops_campos"], 300_000.0))
    one, two = (make_solver("evolutionary", "test").solve(problem, Effort(seed=4)) for _ in range(2))
    assert one == two
    assert problem.feasible(one.picks or ())
    best = make_solver("lagrangian", "test").solve(problem, Effort())
    assert one.value >= best.value


def uniform_points(model: Model, activations: range) -> list[Point]:
    """One width for all weights, one for all activations but the input."""
    found: list[Point] = []
    for bits, other in itertools.product(range(4, 9), activations):
        wanted = {True: bits, False: other}
        picks = [
            next(
                i
                for i, c in enumerate(cs)
                if len(cs) == 1 or all(w == wanted[p.tensor in model.weights] for p, w in c.items())
            )
            for cs in model.decisions
        ]
        found.append(model.point(picks, None))
    return found


@pytest.mark.parametrize(("granularity", "gap"), [("tensor", 0.0), ("group", 0.0), ("channel", 0.0)])
def test_the_choice_beats_every_uniform_assignment_of_at_most_its_cost(granularity: str, gap: float) -> None:
    """In predicted loss; also those whose activations have other bits than the offset."""
    options = {"activations": "free", "granularity": granularity, "activation_bits": (5, 11)}
    model = setup_of(("bops_campos",), **options).model
    search = Search(model.problem(), model.costs["bops_campos"], make_solver("lagrangian", "test"), Effort(gap))
    uniform = uniform_points(model, range(5, 12))
    for point in [uniform[index] for index in (2, 10, 17, 25, 32)]:
        best = search.cover(2, point.costs["bops_campos"])[0]
        found = [model.point(each.picks, each.gap) for each in best]
        (chosen_point,) = [p for p in found if within(p, point.costs)][-1:]
        for other in uniform:
            if other.costs["bops_campos"] <= point.costs["bops_campos"]:
                assert chosen_point.loss <= other.loss


# Costs of other kinds.


@dataclass(frozen=True)
class Fake(Cost):
    """Bits of linear layers."""

    unit: ClassVar[str] = "bits"
    weighted: ClassVar[frozenset[str]] = frozenset({"linear"})

    def part(self, part: Part) -> float:
        """Of the weights, and of their squares."""
        return float(part.weights * part.weight_bits)


@dataclass(frozen=True)
class Coarse(Fake):
    """Bits that are not spent."""

    def part(self, part: Part) -> float:
        """Up to nine per weight."""
        return float(part.weights * (9 - part.weight_bits))


@dataclass(frozen=True)
class Power(Fake):
    """No sum: what the layers make worse for each other."""

    form: ClassVar[str] = "black box"

    def total(self, counted: Counted) -> float:
        """A product over layers, and the widest activation."""
        widest = max(each.bits for each in counted.activations)
        return float(np.prod([part.weight_bits for part in counted.parts])) + widest


@pytest.fixture
def more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The costs above beside those of codesign."""
    known = {**costs(), "fake": Fake, "power": Power, "coarse": Coarse}
    monkeypatch.setattr(costs_package, "costs", lambda: known)


@pytest.mark.usefixtures("more")
def test_a_cost_without_a_rule_for_an_operation() -> None:
    """Names the layer, the operation and the file to write the rule in."""
    message = (
        r"cost fake, layer 'stem': no rule for the operation 'conv'.*add a rule to tests/allocate/test_budgets\.py"
    )
    with pytest.raises(InputError, match=message):
        chosen({"fake": 1000}, design_of("residual"))
    assert chosen({"fake": 24_000}).costs["fake"] <= 24_000


@pytest.mark.usefixtures("more")
@pytest.mark.parametrize("solver", ["milp", "lagrangian", "greedy"])
def test_solvers_of_sums_refuse_a_black_box(solver: str) -> None:
    with pytest.raises(InputError, match=rf"solver {solver}: .*cost 'power'.* is no sum.*use the solver evolutionary"):
        chosen({"power": 1000}, solver=solver, points=3)


@pytest.mark.usefixtures("more")
@pytest.mark.parametrize("solver", ["auto", "exhaustive", "uniform"])
def test_a_budget_on_a_black_box_is_met(solver: str) -> None:
    budgets = {"power": 1500.0, "bops_campos": 400_000.0}
    front = Pareto(budgets, solver=solver, points=3, **FEW)(measured()).front
    assert front.solver == ("evolutionary" if solver == "auto" else solver)
    found = choose(front, None).point
    points = every_assignment(("power", "bops_campos"))
    assert within(found, budgets)
    best = min(point.loss for point in points if within(point, budgets))
    assert found.loss >= best
    if solver != "uniform":
        assert found.loss == best  # 625 assignments are few for 20,000 tries
        exact = chosen({"bops_campos": 400_000.0, "power": 1500.0}, solver="exhaustive", points=3)
        assert exact.loss == best


@dataclass(frozen=True)
class Entry:
    """An entry point, as ``importlib.metadata`` gives them."""

    name: str
    value: Any
    dist: None = None

    def load(self) -> Any:
        """What the package offers."""
        return self.value


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[Entry]]]:
    """Entry points by group; costs and solvers are found anew, and again afterwards."""
    found: dict[str, list[Entry]] = {}
    monkeypatch.setattr(plugins, "entry_points", lambda group: found.get(group, []))
    costs.cache_clear()
    solvers.cache_clear()
    yield found
    costs.cache_clear()
    solvers.cache_clear()


def test_a_cost_and_a_solver_of_another_package(entries: dict[str, list[Entry]]) -> None:
    class Own(solvers_package.Solver):
        """As exhaustive."""

        exact = True

        def solve(self, problem, effort):
            """Looks at all."""
            return make_solver("exhaustive", "test").solve(problem, effort)

    entries["codesign.costs"] = [Entry("own_cost", Fake)]
    entries["codesign.solvers"] = [Entry("own_solver", Own)]
    front = Pareto({"own_cost": 24_000}, solver="own_solver", points=3, **FEW)(measured()).front
    found = choose(front, None).point
    assert (front.cost, front.solver) == ("own_cost", "own_solver")
    assert found.costs["own_cost"] <= 24_000
    assert found.loss == chosen({"weight_bits": 24_000}).loss


@pytest.mark.parametrize("offer", [lambda hardware: 3.0, int, Cost, Fake.part, 3])
def test_an_entry_point_that_is_no_cost(entries: dict[str, list[Entry]], offer: object) -> None:
    entries["codesign.costs"] = [Entry("mine", offer)]
    with pytest.raises(InputError, match=r"cost 'mine' of an installed package.*a class that derives from .*Cost"):
        costs()


def test_a_measured_layer_that_the_network_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    lines = [f"{layer},4,8,10" for layer in ("fc1", "fc2", "fc3", "fc4", "fc44")]
    path.write_text("\n".join(["layer,weight_bits,activation_bits,value", *lines]))
    with pytest.raises(InputError, match=r"measurements: layer 'fc44'.*fc4"):
        Pareto({"measured": 100}, measurements=path, **FEW)(measured())


def test_two_owners_of_a_cost(entries: dict[str, list[Entry]]) -> None:
    entries["codesign.costs"] = [Entry("lut", Fake)]
    with pytest.raises(ContractError, match=r"cost 'lut': claimed by codesign\.allocate\.costs\.lut and tests"):
        costs()


def test_activations_cost_too() -> None:
    cost = make_cost("activation_bits", Hardware(load_target("vu13p-l1t", Path())), "test")
    assert cost.activation(Activation("x", 16, 8)) == 128


# Sensitivities.


@pytest.mark.parametrize("missing", ["fc2.weight", "relu1"])
def test_a_tensor_that_was_not_measured(missing: str) -> None:
    whole = measured().sensitivity["hessian_trace"]

    def without(scores: Mapping[str, Any]) -> dict[str, Any]:
        return {name: score for name, score in scores.items() if name != missing}

    found: Sensitivity = replace(whole, parameters=without(whole.parameters), activations=without(whole.activations))
    design = measured().updated({"sensitivity": {"hessian_trace": found}})
    with pytest.raises(InputError, match=rf"tensor '{missing}': not measured by sensitivity\.hessian_trace"):
        chosen({"bops_campos": 350_000}, design)
    everything_else = Pareto({"bops_campos": 350_000}, **FEW)(measured())
    assert everything_else.front.points


# Settings.


def pareto_of(folder: Path, table: dict[str, Any], *given: str) -> Pareto:
    """The pass that a build file's allocate table and --set make."""
    from codesign.setting import Setting, assignment

    (folder / "data.npz").touch()
    (folder / "model.py").touch()
    load = {"npz": {"data": "data.npz", "train": [0, 1], "validation": [1, 2], "test": [2, 3]}}
    load |= {"torch": {"model": "model.py", "factory": "Tiny", "checkpoint": "data.npz"}}
    from_file = settings({"load": load, "allocate": table}, "build.toml", folder)
    set_options = [Setting(*assignment(text), "--set", folder, explicit=True) for text in given]
    steps = plan(load_flow("qonnx", folder), [*from_file, *set_options], ("target",))
    (found,) = [step for step in steps if isinstance(step, Pareto)]
    return found


@pytest.mark.parametrize(
    ("table", "given", "budgets"),
    [
        ({"budgets": {"lut": 5.0}}, ["allocate.budgets.bops_campos=1"], {"lut": 5.0, "bops_campos": 1.0}),
        ({"budgets": {"lut": 5.0}}, ["allocate.budgets.lut=1"], {"lut": 1.0}),
        ({"budgets": {"lut": 5.0}}, ["allocate.pareto.budgets.ebops=2"], {"lut": 5.0, "ebops": 2.0}),
        ({"budgets": {"lut": 5.0}}, ["allocate.budgets={ebops=3}"], {"ebops": 3.0}),
        ({"budgets": {"lut": 5.0}}, ["allocate.budgets={}"], {}),
        (
            {"budgets": {"lut": 5.0}},
            ["allocate.budgets={ebops=3}", "allocate.budgets.lut=4"],
            {"ebops": 3.0, "lut": 4.0},
        ),
        ({"pareto": {"budgets": {"lut": 5.0}}}, ["allocate.budgets.lut=target"], {"lut": "target"}),
        ({"budgets": {"lut": 5.0}, "pareto": {"budgets": {"ebops": 6.0}}}, [], {"ebops": 6.0}),
        ({}, ["allocate.budgets.lut=7"], {"lut": 7.0}),
    ],
)
def test_settings_of_budgets(table: dict[str, Any], given: list[str], budgets: dict[str, Any], tmp_path: Path) -> None:
    assert pareto_of(tmp_path, table, *given).budgets == budgets


def test_names_with_dots(tmp_path: Path) -> None:
    given = ["allocate.bits.fc1.weight=8", "allocate.pareto.bits.fc2.weight=[2, 4]"]
    found = pareto_of(tmp_path, {"bits": {"fc1.weight": 5, "relu1": 9}}, *given).bits
    assert found == {"fc1.weight": 8, "fc2.weight": (2, 4), "relu1": 9}


@pytest.mark.parametrize(
    ("table", "given", "message"),
    [
        ({}, "allocate.points.x=3", r"--set, allocate\.points\.x: allocate\.pareto\.points is one value; .*no further"),
        ({}, "allocate.pareto.gap.x=3", r"allocate\.pareto\.gap is one value"),
        ({}, "allocate.budget.lut=3", r"unknown.*'?budget|no such pass"),
        ({}, "allocate.budgets.lut=many", r"budgets.*'many'"),
        ({}, "allocate.budgets.lut=-1", r"budgets\.lut.*positive"),
        ({"budgets": 5}, "allocate.budgets.lut=3", r"budgets"),
        ({"budgets": "lut"}, "allocate.budgets.lut=3", r"budgets"),
        ({}, "allocate.ties.x=3", r"allocate\.pareto\.ties is one value"),
    ],
)
def test_settings_that_are_wrong(table: dict[str, Any], given: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        pareto_of(tmp_path, table, given)


@pytest.mark.parametrize(("solver", "found_by"), [("milp", "exhaustive"), ("greedy", "greedy")])
def test_few_assignments_are_enumerated_for_an_exact_solver(solver: str, found_by: str) -> None:
    front = Pareto(solver=solver, **FEW)(measured()).front
    assert (front.solver, front.complete) == (found_by, found_by == "exhaustive")
