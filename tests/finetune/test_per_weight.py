"""Bits for every weight: gradients, costs, exactness at every hop, the front, budgets, kills, bad input."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from codesign.allocate.costs import Hardware, make_cost
from codesign.design import Dataset, Design, Front, Point
from codesign.errors import InputError
from codesign.estimate.resources import Resources
from codesign.export.qonnx import Qonnx
from codesign.finetune import _anneal
from codesign.finetune._bits import counted, digits, exponent, power, round_weights, significant, truncate
from codesign.finetune._exact import count
from codesign.finetune._front import Trial, Trials
from codesign.finetune._picking import _evaluated, without_bits
from codesign.finetune._points import Points
from codesign.finetune._settle import settled
from codesign.finetune._start import beginning
from codesign.finetune.per_weight import PerWeight
from codesign.finetune.pick import Pick
from codesign.fixed import Fixed, quantize
from codesign.graph import Graph
from codesign.passes import Context, silent
from codesign.report._recount import recount
from codesign.store import Store
from codesign.target import load_target
from tests.builds import samples, weights
from tests.finetune.learned import mlp, network_of, random_network, vector_of
from tests.hdl.test_circuit import mismatches
from tests.networks import Plan, drawn, plans
from tests.test_exact_chain import assert_exact

TARGET = load_target("pynq-z2", Path())
many = settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))


# Numbers and gradients.


def test_powers_and_exponents_are_exact() -> None:
    places = torch.arange(-126, 128)
    assert torch.equal(
        power(places.float()).double(), torch.ldexp(torch.ones(len(places), dtype=torch.float64), places)
    )
    sizes = torch.tensor(np.random.default_rng(0).uniform(1, 2**24, 10_000)).float()
    assert torch.equal(exponent(sizes), torch.frexp(sizes)[1] - 1)


@given(st.lists(st.integers(-(2**23), 2**23), min_size=1, max_size=50))
def test_bits_and_digits_of_codes_are_those_of_their_texts(codes: list[int]) -> None:
    tensor = torch.tensor(codes).float()
    assert significant(tensor).tolist() == [len(f"{abs(code):b}".strip("0")) for code in codes]
    assert digits(tensor).tolist() == [naf(abs(code)) for code in codes]


def naf(number: int) -> int:
    """Digits that are not zero, by the textbook's loop."""
    found = 0
    while number:
        if number & 1:
            found += 1
            number -= 2 - (number & 3)
        number >>= 1
    return found


def test_gradients_of_weights_bits_are_of_their_errors() -> None:
    x = torch.tensor([[0.3, -1.2], [0.01, 2.6]], requires_grad=True)
    fraction = torch.tensor([[2.0], [1.0]], requires_grad=True)
    made, weight = round_weights(x, fraction), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert made.tolist() == [[0.25, -1.25], [0.0, 2.5]]
    (made * weight).sum().backward()
    assert x.grad is not None
    assert fraction.grad is not None
    assert torch.equal(x.grad, weight)  # of what is zero too: it comes back
    wanted = np.log(2) * ((x - made) * weight).sum(1, keepdim=True)
    torch.testing.assert_close(fraction.grad, wanted.detach())


def test_gradients_of_activations_bits() -> None:
    """Inside by the error, at the ends by how far the ends move; no bits are zero, and come back."""
    x = torch.tensor([[0.3, 5.0, -9.0, 0.7]], requires_grad=True)
    fraction, integer = (torch.tensor(bits, requires_grad=True) for bits in ([2.0, 1.0, 1.0, 2.0], [1.0, 2, 2, -3]))
    made = truncate(x, fraction, integer, signed=True)
    assert made.tolist() == [[0.25, 3.5, -4.0, 0.0]]
    made.backward(torch.tensor([[1.0, 10.0, 100.0, 1000.0]]))
    assert x.grad is not None
    assert fraction.grad is not None
    assert integer.grad is not None
    assert x.grad.tolist() == [[1.0, 0.0, 0.0, 0.0]]
    ln2 = np.log(2)
    torch.testing.assert_close(fraction.grad, torch.tensor([0.05, 10 * 0.5, 0.0, 1000 * 0.25]) * ln2)
    torch.testing.assert_close(integer.grad, torch.tensor([0.0, 10 * 4.0, -100 * 4.0, 1000 * 0.125]) * ln2)


@given(st.floats(0.3, 50), st.integers(3, 12))
def test_the_gradient_of_a_count_is_that_of_a_logarithm(size: float, fraction: int) -> None:
    x, bits = torch.tensor([size], requires_grad=True), torch.tensor([float(fraction)], requires_grad=True)
    counted(x, bits, torch.tensor([3.0]), torch.ones(1)).sum().backward()
    step = 1e-4 * size
    slope = (np.log2(size + step) - np.log2(size - step)) / (2 * step)
    assert x.grad is not None
    assert bits.grad is not None
    assert float(x.grad) == pytest.approx(slope, rel=1e-4)
    assert float(bits.grad) == 1.0


# Random networks of every operation.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files to execute go."""
    return tmp_path_factory.mktemp("networks")


#: Its last convolution fits in once along the last axis, and meets each place there with weights of their own.
FITS_ONCE = Plan(
    rank=2, stages=("averaged", "softmax", "gated", "strided"), end="mean", flags=(True, True, True),
    weight=((0, 3), (4, 4)), activation=((10, 4), (2, 2)),
    input_format=Fixed(signed=False, width=4, integer=-2), seed=2**31, channels=(),
)  # fmt: skip


#: A layer that is called twice, of which one call does not need all.
CALLED_TWICE = Plan(
    rank=1, stages=("shared",), end="flatten", flags=(True, False, False), weight=((0, 0),), activation=((2, 0),),
    input_format=Fixed(signed=False, width=2, integer=0), seed=3016, channels=(),
)  # fmt: skip


@many
@example(plan=FITS_ONCE)
@example(plan=CALLED_TWICE)
@given(plan=plans())
def test_every_representation_is_exact_and_costs_the_same(folder: Path, plan: Plan) -> None:
    network = random_network(plan)
    assert_exact(network, folder)
    cost = make_cost("counted_ebops", Hardware(TARGET), "test").total(recount(folder / "network.onnx"))
    assert cost == count(network.learned, network.integers)
    with torch.no_grad():
        total = float(network.learned.total(network.learned.whole(network.vector)))
    if "shared" not in plan.stages:
        assert cost <= total + 0.5
    if plan == CALLED_TWICE:
        assert cost > total + 0.5


#: Means of signed numbers, which saturate.
SATURATED = Plan(
    rank=1, stages=("avgpool",), end="flatten", flags=(False, False, True), weight=((0, 0),), activation=((2, 0),),
    input_format=Fixed(signed=False, width=2, integer=0), seed=31579098, channels=(),
)  # fmt: skip


@settings(parent=many, max_examples=3)
@example(SATURATED)
@given(plans())
def test_the_circuit_is_exact(plan: Plan) -> None:
    network = random_network(replace(plan, rank=1, stages=plan.stages[:1]))
    try:
        assert mismatches(network.quantized, network.inputs(50)) == 0
    except InputError as error:
        assert "the same for every input" in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_firmware_is_exact(seed: int, tmp_path: Path) -> None:
    from tests.test_hls4ml_networks import assert_exact as firmware_exact

    network = random_network(drawn(seed))
    firmware_exact(network.quantized, [network.inputs(300)], tmp_path)


#: Exported otherwise than trained once: a signed unit with small negative sums, a layer that is called twice, and
#: tensors without bits that are multiplied, added, pooled.
@many
@example(plan=drawn(1037))
@example(plan=drawn(1006))
@example(plan=drawn(1027))
@given(plan=plans())
def test_integers_are_those_that_were_trained(plan: Plan) -> None:
    """The training's forward, in 64 bits, gives what the integers give."""
    network = random_network(plan)
    inputs = [network.inputs(64)]
    with torch.no_grad():
        parts = network.learned.whole(network.vector.double())
        trained = network.learned.forward(parts, [torch.tensor(x, dtype=torch.float64) for x in inputs])
    for made, codes in zip(trained, network.quantized.outputs(inputs), strict=True):
        np.testing.assert_array_equal(made.numpy(), codes.real())


def test_a_step_costs_what_brute_force_counts() -> None:
    graph = mlp(5, 4, 3)
    learned = network_of(graph)
    for seed in range(20):
        vector = vector_of(learned, seed)
        with torch.no_grad():
            parts = learned.whole(vector)
            assert float(learned.total(parts)) == brute_force(graph, parts, learned.shifted(parts))


def brute_force(graph: Graph, parts: object, shifted: dict[str, torch.Tensor]) -> float:
    """Weight by weight, of two layers with a ReLU between them."""
    fraction, integer = parts.fraction, parts.integer  # type: ignore[attr-defined]

    def bits(name: str, signed: bool) -> list[int]:
        widths = (fraction[name] + integer[name]).int().tolist()
        return [width + signed if width >= 1 else 0 for width in widths]

    def span(name: str) -> np.ndarray:
        codes = np.rint(shifted[name].double().numpy() * 2.0 ** fraction[name].numpy()).astype(int)
        return np.vectorize(lambda code: len(f"{abs(code):b}".strip("0")))(codes)

    inputs, hidden = bits("x", True), bits("a", False)
    first, last, total = span("w0"), span("w1"), 0
    for unit, width in enumerate(hidden):
        total += width * int(last[:, unit].sum())
        if width and last[:, unit].any():
            total += sum(int(first[unit, place]) * inputs[place] for place in range(len(inputs)))
            total += int(span("b0")[unit]) if first[unit].any() else 0
    return total + sum(int(span("b1")[row]) for row in range(len(last)) if last[row].any())


# Training.


def before() -> Design:
    """Three classes of four features, and a small trained network with 6 bits allocated; its units come twice."""
    x, labels = samples(3000)
    own = weights()
    values = {
        "w0": np.concatenate([own["fc1.weight"], own["fc1.weight"] * np.float32(0.9)]),
        "b0": np.concatenate([own["fc1.bias"], own["fc1.bias"]]),
        "w1": np.concatenate([own["fc2.weight"], own["fc2.weight"]], 1) / 2,
        "b1": own["fc2.bias"],
    }
    graph = replace(mlp(4, 12, 3), parameters=values)
    dataset = Dataset((x,), labels, {"train": (0, 2000), "validation": (2000, 2600), "test": (2600, 3000)})
    point = Point(0.0, {}, {**dict.fromkeys(graph.weights(), 6), **dict.fromkeys(graph.activations(), 8)})
    front = Front("bops_campos", (point,), {}, "none", "given", True, {})
    from codesign.design import Allocation

    fields = {"graph": graph, "dataset": dataset, "sensitivity": {}, "front": front}
    return Design({**fields, "allocation": Allocation(point, 0), "target": TARGET})


STEP = PerWeight(cost="counted_ebops", steps=600, batch=256, lowest=30.0, restarts=4, bits_rate=0.01, compiled=False)


@cache
def trained() -> tuple[Design, Store]:
    """Trained once for all tests."""
    import tempfile

    place = Path(tempfile.mkdtemp(prefix="codesign-tests-"))
    store = Store(place)
    return STEP(before(), Context(store, place, 1)), store


def loaded(design: Design, store: Store) -> Points:
    return Points.load(store.path(design.artifacts["per_weight"].digest).read_bytes(), design)


def points() -> Points:
    return loaded(*trained())


def picked(step: Pick) -> Design:
    design, store = trained()
    return step(design, Context(store, store.folder, 1))


def accuracy(design: Design) -> float:
    test = design.dataset.split("test")
    return float(np.mean(design.quantized.outputs(test.inputs)[0].values.argmax(1) == test.labels))


def test_the_network_learns_while_the_cost_falls() -> None:
    found = points().points
    assert found[0].cost < 60 < 500 < found[-1].cost
    assert accuracy(picked(Pick())) > 0.95


@pytest.mark.parametrize("budget", np.random.default_rng(5).uniform(120, 600, 20).round(1).tolist())
def test_budgets_are_met(budget: float, tmp_path: Path) -> None:
    design = picked(Pick(budget=budget, candidates=3))
    store = Store(tmp_path)
    file = store.path(Qonnx()(design, Context(store, tmp_path)).artifacts["qonnx"].digest)
    cost = make_cost("counted_ebops", Hardware(TARGET), "test").total(recount(file))
    assert 0.99 * budget <= cost <= budget
    assert design.allocation.point.costs == {"counted_ebops": cost}


@pytest.mark.parametrize("luts", [120.0, 260.0, 500.0])
def test_budgets_of_luts_are_met_by_the_estimate(luts: float) -> None:
    design = Resources()(picked(Pick(luts=luts, candidates=2)))
    assert 0.99 * luts - 0.5 <= design.measures["estimated_lut"].value <= luts + 0.5  # told as a whole number


def test_every_point_is_exact(tmp_path: Path) -> None:
    from codesign.verify.exact import Exact

    for place in range(1, len(points().points) + 1, 6):
        design = picked(Pick(point=place))
        store = Store(tmp_path)
        design = Qonnx()(design, Context(store, tmp_path))
        checks = Exact()(design, Context(store, tmp_path)).checks
        assert [checks[hop].status for hop in ("torch->numpy", "numpy->qonnx")] == ["exact", "exact"]


def test_inputs_that_are_sent_keep_their_formats(tmp_path: Path) -> None:
    from codesign.verify.exact import Exact

    fixed, design, store = Fixed(True, np.array([8, 6, 10, 7]), np.array([4, 3, 4, 5])), before(), Store(tmp_path)
    words = quantize(design.dataset.inputs[0], fixed, "floor").real().astype(np.float32)
    dataset = replace(design.dataset, inputs=(words,), formats=(fixed,))
    design = replace(STEP, steps=80)(design.updated({"dataset": dataset}), Context(store, tmp_path, 1))
    design = Pick(point=3)(design, Context(store, tmp_path, 1))
    design = Qonnx()(design, Context(store, tmp_path))
    assert str(design.quantized.formats["x"]) == str(fixed)
    assert design.quantized.formats["x"].width.tolist() == [8, 6, 10, 7]
    cost = make_cost("counted_ebops", Hardware(TARGET), "test")
    counts = cost.total(recount(store.path(design.artifacts["qonnx"].digest)))
    assert design.allocation.point.costs == {"counted_ebops": counts}
    checks = Exact()(design, Context(store, tmp_path)).checks
    assert [checks[hop].status for hop in ("torch->numpy", "numpy->qonnx")] == ["exact", "exact"]


def test_another_budget_is_not_trained_for() -> None:
    assert "artifacts.per_weight" in Pick.reads
    assert not Pick.seeded


class KilledError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize(("evaluations", "saved"), [(60, (20, 1e9)), (8, (20, 1e9)), (60, (10**9, 0.0))])
def test_a_killed_training_goes_on_where_it_was(
    evaluations: int, saved: tuple[int, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many steps lie between two evaluations, saved by steps or by the clock; it says where it goes on."""
    monkeypatch.setattr(_anneal, "SAVED", saved[0])
    monkeypatch.setattr(_anneal, "SAVED_S", saved[1])
    monkeypatch.setattr(_anneal, "EVALUATIONS", evaluations)
    step, design = replace(STEP, steps=60), before()
    whole = step(design, Context(Store(tmp_path / "a"), tmp_path / "a", 3, silent))

    def kill(task: str, done: int, total: int) -> None:
        if done >= 45:
            raise KilledError

    (tmp_path / "b").mkdir()
    with pytest.raises(KilledError):
        step(design, Context(Store(tmp_path / "b"), tmp_path / "b", 3, kill))
    seen: list[tuple[str, int]] = []

    def told(task: str, done: int, total: int) -> None:
        seen.append((task, done))

    again = step(design, Context(Store(tmp_path / "b"), tmp_path / "b", 3, told))
    assert seen[0] == (f"goes on after step {seen[0][1]}", min(done for _, done in seen))
    assert seen[0][1] >= 40
    assert again.artifacts["per_weight"] == whole.artifacts["per_weight"]


def test_a_killed_training_by_the_clock_goes_on_at_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_anneal, "SAVED", 1)
    step, design, seen = replace(STEP, seconds=2.0), before(), list[int]()

    def kill(task: str, done: int, total: int) -> None:
        if done >= 0.6 * total:
            raise KilledError

    with pytest.raises(KilledError):
        step(design, Context(Store(tmp_path), tmp_path, 3, kill))
    step(design, Context(Store(tmp_path), tmp_path, 3, lambda task, done, total: seen.append(done)))
    assert seen[0] >= 500


def test_the_shortest_training_leaves_a_point(tmp_path: Path) -> None:
    store = Store(tmp_path)
    design = replace(STEP, seconds=1e-6)(before(), Context(store, tmp_path, 3))
    assert len(loaded(design, store).points) == 1


def test_all_validation_samples_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are no multiple of those that are looked at together."""
    monkeypatch.setattr(_anneal, "AT_ONCE", 256)
    store = Store(tmp_path)
    design = replace(STEP, steps=20)(before(), Context(store, tmp_path, 3))
    found = loaded(design, store)
    for index, point in enumerate(found.points):
        assert point.loss == pytest.approx(_evaluated(found.integers(index)[0], design.dataset), abs=1e-5)


def test_bits_by_channel_start_as_they_were_allocated() -> None:
    design = before()
    widths = (0, 2, *[8] * 10)
    point = replace(design.allocation.point, bits={**design.allocation.point.bits, "w0": widths})
    given = design.updated({"allocation": replace(design.allocation, point=point)})
    costs = [
        float(begun.network.total(begun.network.whole(begun.vector)))
        for granularity in ("weight", "channel")
        for begun in [beginning(given, granularity, "counted_ebops", "allocation", 512, "none")]
    ]
    assert costs[0] == costs[1]


def test_a_budget_takes_no_finer_bits_than_a_layer_has(tmp_path: Path) -> None:
    store = Store(tmp_path)
    design = replace(STEP, steps=60, granularity="layer")(before(), Context(store, tmp_path, 3))
    found = loaded(design, store)
    made, _ = settled(found.network, found.points[0].vector, found.points[0].square, 1.3 * found.points[0].cost)
    finest = found.network.whole(found.points[0].vector).fraction
    for name in ("w0", "w1"):
        assert made.formats[name].envelope().fraction <= float(finest[name])


def test_a_loss_that_is_no_number_stops_training_and_keeps_what_was_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = _anneal._control

    def broken(step: int, done: float, recipe: _anneal.Recipe) -> object:
        return control(step, done, recipe)._replace(rate=float("nan") if step == 30 else 0.004)

    monkeypatch.setattr(_anneal, "_control", broken)
    design = replace(STEP, steps=60)(before(), Context(Store(tmp_path), tmp_path, 1))
    assert "loss became nan before step 3" in design.notices["finetune.per_weight.0"]
    kept = Points.load((tmp_path / "blobs").joinpath(*path_of(design)).read_bytes(), design)
    assert all(each.step <= 30 and torch.isfinite(each.vector).all() for each in kept.points)


def test_training_that_learns_nothing_is_told(tmp_path: Path) -> None:
    wild = replace(STEP, steps=60, learning_rate=1e6, bits_rate=10.0)
    told = wild(before(), Context(Store(tmp_path / "wild"), tmp_path, 1)).notices
    assert any("one answer for all samples" in notice for notice in told.values())
    (tmp_path / "good").mkdir()
    good = replace(STEP, steps=60)(before(), Context(Store(tmp_path / "good"), tmp_path / "good", 1))
    assert not good.notices


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30))
def test_the_loss_of_one_answer_is_the_entropy_or_the_variance(labels: list[int]) -> None:
    _, counts = np.unique(labels, return_counts=True)
    shares = counts / len(labels)
    assert _anneal.one_answer(torch.tensor(labels)) == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-5)
    targets = torch.tensor([labels, labels[::-1]]).T.double()
    assert _anneal.one_answer(targets) == pytest.approx(np.var(labels), abs=1e-9)


def test_another_compiler_trains_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "g++" in PerWeight().versions()
    assert not PerWeight(compiled=False).versions()
    monkeypatch.setenv("PATH", "")
    assert not PerWeight().versions()


def path_of(design: Design) -> tuple[str, str]:
    digest = design.artifacts["per_weight"].digest
    return digest[:2], digest


def test_a_loss_that_is_no_number_from_the_start_is_an_error(tmp_path: Path) -> None:
    design = before()
    broken = {name: np.full_like(value, np.nan) for name, value in design.graph.parameters.items()}
    graph = Graph(design.graph.inputs, design.graph.outputs, design.graph.nodes, broken)
    with pytest.raises(InputError, match=r"NaN|nan|finite"):
        replace(STEP, steps=50)(design.updated({"graph": graph}), Context(Store(tmp_path), tmp_path, 1))


def test_units_that_give_a_constant_and_stay_are_told() -> None:
    design = picked(Pick(point=1))
    weight = np.ones((12, 4), np.int64)
    weight[[1, 5, 7]] = 0
    made = replace(design.quantized, codes={**design.quantized.codes, "w0": weight})
    left = np.setdiff1d(np.arange(12), [1, 7])
    (first, *_) = without_bits(before().graph, made, {design.graph.weighted()[0].name: left})
    assert "dead and taken out: 2 of 12 units (1, 7); without weights, but constant, and left: 5" in first


@pytest.mark.parametrize("swapped", [False, True])
def test_what_is_trained_and_its_average_are_both_looked_at(swapped: bool) -> None:
    """A point is whichever is better: a network whose values are zero tells nothing apart."""
    design = before()
    begun, data = beginning(design, "weight", "adders", "plain", 512, "none"), _anneal.data_of(design)
    recipe = _anneal.Recipe(100, None, 256, 0.004, 0.01, 4, 500.0, 30.0, compiled=False, seed=0)
    dead = begun.vector.clone()
    dead[: begun.network.layout.ends[0]] = 0
    now, average = (dead, begun.vector) if swapped else (begun.vector, dead)
    state = _anneal.State.at(now, -8.0)._replace(average=average)
    _, evaluate = _anneal._functions(begun, state, data, recipe)
    assert torch.equal(evaluate(_anneal.Run(state, Trials())).vector, begun.vector)
    broken = state._replace(vector=torch.full_like(dead, torch.nan), average=begun.vector)
    assert np.isnan(evaluate(_anneal.Run(broken, Trials())).loss)


def trial(loss: float) -> Trial:
    return Trial(0, 100.0, loss, torch.zeros(1), torch.zeros(1))


def test_no_point_rests_on_one_evaluation() -> None:
    trials = Trials()
    lucky, collapsed = trial(0.1), trial(0.9)
    for each in (trial(0.3), lucky, trial(0.3), trial(0.25), collapsed, trial(0.25), trial(0.24)):
        trials.add(each)
    trials.finish()
    ((loss, best),) = trials.best.values()
    assert loss == pytest.approx(0.245)  # of the last, with the one before it
    assert best is not lucky
    assert best is not collapsed


def test_dead_units_and_layers_are_told() -> None:
    cheapest = picked(Pick(point=1))
    assert not any("brought to" in notice for notice in cheapest.notices.values())
    assert any("without weights:" in notice or "all weights are zero" in notice for notice in cheapest.notices.values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, r"steps.*at least 1"),
        ({"learning_rate": 0.0}, r"learning_rate.*above 0"),
        ({"lowest": float("nan")}, r"lowest.*above 0"),
    ],
)
def test_options_are_checked(change: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        PerWeight(**change)  # type: ignore[arg-type]


def test_a_lowest_cost_above_the_start_is_refused(tmp_path: Path) -> None:
    for step in (replace(STEP, lowest=1e9), replace(STEP, lowest=1e9, highest=1e10)):
        with pytest.raises(InputError, match=r"lowest.*less than the highest and than the start, which costs [1-9]"):
            step(before(), Context(Store(tmp_path), tmp_path))


def test_curvature_needs_a_diagonal(tmp_path: Path) -> None:
    from codesign.design import Sensitivity

    design = before()
    empty = Sensitivity("trace", "hessian", {}, {}, 1, 0.0)
    with pytest.raises(InputError, match=r"no diagonal.*granularity to 'element'"):
        replace(STEP, start="curvature")(
            design.updated({"sensitivity": {"none": empty}}), Context(Store(tmp_path), tmp_path)
        )
    with pytest.raises(InputError, match=r"'trase', which was not measured.*none"):
        replace(STEP, start="curvature", metric="trase")(
            design.updated({"sensitivity": {"none": empty}}), Context(Store(tmp_path), tmp_path)
        )


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda: picked(Pick(budget=0.5)), r"budget.*the cheapest that was trained.*lowest"),
        (lambda: picked(Pick(point=10_000)), r"point.*1 to"),
        (lambda: picked(Pick(luts=0.5)), r"luts.*LUTs \(estimated\).*the cheapest that was trained.*lowest"),
        (lambda: Pick(budget=1.0, point=1), r"budget = 1.0 and point = 1; wanted: one of them"),
        (lambda: Pick(luts=1.0, budget=1.0), r"budget = 1.0 and luts = 1.0; wanted: one of them"),
        (lambda: Pick(luts=0.0), r"luts.*above 0"),
        (lambda: Pick(budget=-1.0), r"above 0"),
    ],
)
def test_what_cannot_be_picked_is_refused(step: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        step()  # type: ignore[operator]


def test_a_budget_above_all_points_is_told() -> None:
    design = picked(Pick(budget=1e6))
    assert any("not used up" in notice for notice in design.notices.values())
    assert any("1,000,000 counted_ebops allowed" in notice for notice in design.notices.values())


def test_a_cheaper_and_better_point_is_told() -> None:
    """Of a large budget, more is used up than helps."""
    large, found = picked(Pick(budget=1e6)), points().points
    best = min(range(len(found)), key=lambda place: found[place].loss)
    better = found[best].loss < large.trained.epochs[1]
    assert any(f"finetune.pick.point = {best + 1}" in told for told in large.notices.values()) == better


def test_the_least_budget_that_a_refusal_names_is_taken() -> None:
    with pytest.raises(InputError) as refused:
        picked(Pick(budget=0.5))
    least = refused.value.wanted.split()[2].rstrip(",")
    assert picked(Pick(budget=float(least.replace(",", "")))).quantized


def test_a_start_by_curvature_costs_as_much_and_dies_by_saliency() -> None:
    from codesign.design import Sensitivity
    from codesign.finetune._start import beginning

    design = before()
    random = np.random.default_rng(2)
    diagonal = {name: random.lognormal(0, 3, design.graph.parameters[name].shape) for name in design.graph.weights()}
    found = Sensitivity("trace", "hessian", {}, {}, 1, 0.0, elements=diagonal)
    plain, curved = (
        beginning(design.updated({"sensitivity": {"m": found}}), "weight", "counted_ebops", start, 512, "m")
        for start in ("allocation", "curvature")
    )
    with torch.no_grad():
        costs = [float(each.network.total(each.network.whole(each.vector))) for each in (plain, curved)]
        parts = curved.network.whole(curved.vector)
    assert costs[1] == pytest.approx(costs[0], rel=0.02)
    saliency, dead = list[np.ndarray](), list[np.ndarray]()
    for name, curvature in diagonal.items():
        values, bits = parts.values[name].numpy(), parts.fraction[name]
        free = ((curved.limits.low < curved.vector) & (curved.vector < curved.limits.high)).float()
        inside = curved.network.layout.parts(free).fraction[name].numpy() > 0
        saliency.append((values**2 * curvature)[inside])
        dead.append((round_weights(torch.tensor(values), bits).numpy() == 0)[inside])
    each, gone = np.concatenate(saliency), np.concatenate(dead)
    assert gone.any()
    # Bits are whole numbers: the order holds to a factor of two of w, four of its square.
    assert each[gone].max() <= 4 * each[~gone].min()


@pytest.mark.slow
def test_a_compiled_step_does_what_a_plain_one_does() -> None:
    from codesign.finetune._anneal import Recipe, data_of
    from codesign.finetune._compiled import compiled
    from codesign.finetune._start import beginning
    from codesign.finetune._step import State, make_step

    design = before()
    begun = beginning(design, "weight", "adders", "allocation", 512, "none")
    recipe = Recipe(100, None, 256, 0.004, 0.01, 4, 500.0, 30.0, True, 0)
    training, _ = data_of(design)
    control = torch.tensor(_anneal._control(50, 0.1, recipe))
    example = (*State.at(begun.vector, -8.0), control, training.wanted[:256], training.inputs[0][:256])
    step = make_step(begun.network, begun.limits)
    plain, fast = compiled(step, example, wanted=False), compiled(step, example, wanted=True)
    assert plain is not fast
    for one, other in zip(plain(*example), fast(*example), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
