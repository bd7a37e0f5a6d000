"""The passes that multiply with blocks of the Hessian, against the whole blocks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from codesign.design import Sensitivity
from codesign.errors import InputError
from codesign.sensitivity._block import Block
from codesign.sensitivity._estimator import BlockMetric, TraceEstimator
from codesign.sensitivity.empirical_fisher import EmpiricalFisher
from codesign.sensitivity.hessian_trace import HessianTrace
from codesign.sensitivity.hutchinson import Hutchinson
from codesign.sensitivity.hutchpp import Hutchpp
from codesign.sensitivity.top_eigenvalue import DENSE, TopEigenvalue
from codesign.sensitivity.xtrace import Xtrace
from tests.jets import loaded
from tests.sensitivity.networks import Case, bent, cases, found, small

TRACES: tuple[type[TraceEstimator], ...] = (Hutchinson, Hutchpp, Xtrace)
EVERY = pytest.mark.parametrize("kind", TRACES, ids=lambda kind: kind.__name__)


@cache
def truth(make: Callable[[], Case]) -> tuple[Case, dict[str, float]]:
    case = make()
    names = [*case.weights, *case.graph.activations()]
    return case, {name: float(case.block(name).trace()) for name in names}


def tiny() -> Case:
    return small((3, 5, 3), 2)


def tiny_error() -> Case:
    return small((3, 5, 3), 2, loss="squared_error")


def tiny_bent() -> Case:
    return bent((3, 5, 3), 2)


@EVERY
@pytest.mark.parametrize("make", [tiny, tiny_error, tiny_bent])
def test_within_three_errors_in_99_of_100_seeds(kind: type[TraceEstimator], make: Callable[[], Case]) -> None:
    case, traces = truth(make)
    step = kind(precision="float64", relative_error=0.25, tensors="all", loss=case.loss)  # type: ignore[arg-type]
    misses, seeds = dict.fromkeys(traces, 0), 100
    for seed in range(seeds):
        for name, score in found(step, case.design, seed).scores.items():
            misses[name] += abs(score.value - traces[name]) > 3 * score.probe_error + 1e-9 * abs(traces[name])
    assert sum(misses.values()) <= seeds * len(misses) / 100, misses


@EVERY
def test_agrees_with_exact_traces_and_asks_for_what_was_asked(kind: type[TraceEstimator]) -> None:
    exact = found(HessianTrace(400), loaded())
    names = [node.op.parameters()["weight"] for node in loaded().graph.weighted()]
    step = kind(400, relative_error=0.05)
    sensitivity = found(step, loaded())
    assert (sensitivity.quantity, sensitivity.matrix, sensitivity.samples) == ("trace", "hessian", 400)
    assert sensitivity.loss == pytest.approx(exact.loss, rel=1e-6)
    assert list(sensitivity.parameters) == names
    assert not sensitivity.activations
    for name, score in sensitivity.parameters.items():
        assert score.size == exact.parameters[name].size
        assert score.probe_error <= 0.05 * score.value
        assert abs(score.value - exact.parameters[name].value) <= 4 * score.probe_error + 1e-6 * score.value
        assert 0.4 < score.data_error / exact.parameters[name].data_error < 2.5  # eight parts know it to a quarter


@EVERY
def test_which_tensors(kind: type[TraceEstimator]) -> None:
    case = small((3, 4, 3), 8)
    exact = found(HessianTrace(precision="float64"), case.design)
    both = {
        tensors: found(kind(precision="float64", relative_error=0.05, tensors=tensors), case.design)  # type: ignore[arg-type]
        for tensors in ("weights", "parameters", "all")
    }
    assert list(both["weights"].parameters) == ["0.weight", "2.weight"]
    assert list(both["parameters"].parameters) == list(case.graph.parameters)
    assert list(both["all"].activations) == case.graph.activations() == list(exact.activations)
    for name, score in both["all"].scores.items():
        assert score.size == exact.scores[name].size
        assert abs(score.value - exact.scores[name].value) <= 4 * score.probe_error + 1e-9


@EVERY
@settings(max_examples=15)
@given(case=cases("linear") | cases("tokens") | cases("conv") | cases("residual"))
def test_every_kind_of_network(kind: type[TraceEstimator], case: Case) -> None:
    step = kind(precision="float64", relative_error=0.1, tensors="all", loss=case.loss)  # type: ignore[arg-type]
    exact = found(HessianTrace(precision="float64", loss=case.loss), case.design)  # type: ignore[arg-type]
    for name, score in found(step, case.design).scores.items():
        wanted = exact.scores[name].value
        assert abs(score.value - wanted) <= 6 * score.probe_error + 1e-9 * wanted, name


@EVERY
def test_the_hessian_where_operations_bend(kind: type[TraceEstimator]) -> None:
    case, traces = truth(lambda: bent(samples=20))
    newton = found(HessianTrace(precision="float64"), case.design)
    step = kind(precision="float64", relative_error=0.03, max_products=1000, tensors="all")
    sensitivity = found(step, case.design)
    assert (newton.matrix, sensitivity.matrix) == ("gauss_newton", "hessian")
    for name, score in sensitivity.scores.items():
        assert abs(score.value - traces[name]) <= 4 * score.probe_error + 1e-9
    differing = sensitivity.parameters["0.weight"]
    assert abs(newton.parameters["0.weight"].value - differing.value) > 6 * differing.probe_error


def test_products_of_a_block() -> None:
    for case in (small(samples=9), bent(samples=9), small(samples=9, loss="squared_error")):
        for batch in (None, 2, 4):
            step = HessianTrace(precision="float64", batch=batch, loss=case.loss)  # type: ignore[arg-type]
            with step.objective(case.design) as objective:
                for name in [*case.weights, *case.graph.activations()]:
                    block, wanted = Block(objective, name), case.block(name)
                    assert block.shape == tuple(case.diagonal(name).shape)
                    unit = np.eye(block.size)
                    np.testing.assert_allclose(block.products(unit), wanted, rtol=1e-9, atol=1e-12)
                    assert block.products(unit[:, :0]).shape == (block.size, 0)


def test_data_error_of_probes_is_the_spread_over_parts() -> None:
    case = small(samples=24)
    with HessianTrace(precision="float64").objective(case.design) as objective:
        block = Block(objective, "0.weight", parts=8)
        block.products(np.eye(block.size), traces=1)
        parts = [part_of(case, index, 8).block("0.weight").trace() for index in range(8)]
        assert block.data_error() == pytest.approx(np.std(parts, ddof=1) / 8**0.5)


def part_of(case: Case, index: int, parts: int) -> Case:
    """Samples are dealt out."""
    return Case(case.graph, case.module, case.x[index::parts], case.y[index::parts], case.loss)


def largest(block: np.ndarray) -> tuple[float, np.ndarray]:
    """The eigenvalue of largest magnitude, and its vector."""
    values, vectors = torch.linalg.eigh(torch.as_tensor(block))
    at = int(values.abs().argmax())
    return float(values[at]), vectors[:, at].numpy()


@pytest.mark.parametrize("make", [lambda: small((4, 6, 3), 18), lambda: bent((4, 6, 3), 18)])
@pytest.mark.parametrize("parts", [2, 3, 9])
def test_top_eigenvalue(make: Callable[[], Case], parts: int) -> None:
    case = make()
    sensitivity = found(
        TopEigenvalue(precision="float64", parts=parts, tensors="all", relative_error=1e-7), case.design
    )
    assert (sensitivity.quantity, sensitivity.matrix) == ("eigenvalue", "hessian")
    for name, score in sensitivity.scores.items():
        value, vector = largest(case.block(name))
        assert score.value == pytest.approx(value, rel=1e-6, abs=1e-9)
        forms = [vector @ part_of(case, index, parts).block(name) @ vector for index in range(parts)]
        assert score.data_error == pytest.approx(np.std(forms, ddof=1) / parts**0.5, rel=1e-3, abs=1e-6 * abs(value))
        assert score.probe_error <= 1e-5 * abs(score.value) + 1e-9


@pytest.mark.parametrize("parts", [2, 3, 9])
def test_top_eigenvalue_of_every_part(parts: int) -> None:
    case = small((4, 6, 3), 9)
    step = TopEigenvalue(
        precision="float64", parts=parts, relative_error=1e-7, statistic="mean_plus_deviation", tensors="all"
    )
    for name, score in found(step, case.design).scores.items():
        tops = [largest(part_of(case, index, parts).block(name))[0] for index in range(parts)]
        assert score.value == pytest.approx(abs(np.mean(tops)) + np.std(tops, ddof=1), rel=1e-5, abs=1e-9)
        assert score.data_error > 0
        assert score.probe_error <= 1e-5 * abs(score.value) + 1e-9


@dataclass
class Known:
    """A block that counts its products."""

    matrix: np.ndarray
    tensor: str = "some.weight"
    columns: int = 0

    @property
    def size(self) -> int:
        return len(self.matrix)

    def products(self, probes: np.ndarray, traces: int = 0) -> np.ndarray:
        self.columns += probes.shape[1]
        return self.matrix @ probes


@pytest.mark.parametrize("most", [24, 50, 400])
@pytest.mark.parametrize("size", [1, DENSE, DENSE + 1, 60, 300])
def test_top_eigenvalue_takes_no_more_products_than_it_may(most: int, size: int) -> None:
    step, generator = TopEigenvalue(max_products=most, relative_error=1e-3), np.random.default_rng(0)
    for spectrum in (np.linspace(0.999, 1, size), np.arange(1.0, size + 1), 0.5 ** np.arange(size)):
        basis, _ = np.linalg.qr(generator.standard_normal((size, size)))
        block = Known(basis * spectrum @ basis.T)
        try:
            value, vector = step._eigenpair(block, generator)  # type: ignore[arg-type]
            assert value == pytest.approx(spectrum.max(), rel=1e-3)
            assert np.linalg.norm(vector) == pytest.approx(1)
        except InputError as error:
            assert "some.weight" in str(error)
        assert block.columns <= most + 1  # one to see that it is not zero


def test_top_eigenvalue_of_largest_magnitude_with_its_sign() -> None:
    step, generator = TopEigenvalue(relative_error=1e-4), np.random.default_rng(0)
    for size in (2, 40):
        basis, _ = np.linalg.qr(generator.standard_normal((size, size)))
        block = Known(basis * np.linspace(-3, 1, size) @ basis.T)
        value, vector = step._eigenpair(block, generator)  # type: ignore[arg-type]
        assert value == pytest.approx(-3, rel=1e-4)
        assert abs(vector[:, 0] @ basis[:, 0]) == pytest.approx(1, rel=1e-3)
        assert step._eigenpair(Known(np.zeros((size, size))), generator)[0] == 0  # type: ignore[arg-type]


@settings(max_examples=15)
@given(cases("linear") | cases("tokens") | cases("conv") | cases("residual"))
def test_empirical_fisher(case: Case) -> None:
    step = EmpiricalFisher(precision="float64", granularity="element", loss=case.loss)  # type: ignore[arg-type]
    sensitivity = found(step, case.design)
    assert (sensitivity.quantity, sensitivity.matrix) == ("trace", "empirical_fisher")
    for name, score in sensitivity.parameters.items():
        rows = []
        for index in range(len(case.y)):
            leaf = case.weights[name].clone().requires_grad_()
            (gradient,) = torch.autograd.grad(case.sample(index).loss_at({name: leaf}), leaf)
            rows.append(gradient.square().numpy())
        squares, count = np.array(rows), len(rows)
        np.testing.assert_allclose(sensitivity.elements[name], squares.mean(0), rtol=1e-6, atol=1e-12)
        totals = squares.reshape(count, -1).sum(1)
        assert score.value == pytest.approx(totals.mean(), rel=1e-6)
        assert score.data_error == pytest.approx(totals.std(ddof=1) / count**0.5, rel=1e-5, abs=1e-6 * score.value)


@pytest.mark.parametrize("kind", [*TRACES, TopEigenvalue], ids=lambda kind: kind.__name__)
def test_a_seed_is_all_that_is_random(kind: type[BlockMetric]) -> None:
    step, case = kind(precision="float64", relative_error=0.2), small((12, 16, 3), 8)

    def values(seed: int) -> Sensitivity:
        return found(step, case.design, seed)

    assert values(1) == values(1)
    if kind is Hutchinson:
        assert values(1) != values(2)


@pytest.mark.parametrize("kind", [*TRACES, TopEigenvalue], ids=lambda kind: kind.__name__)
def test_batches_do_not_matter(kind: type[BlockMetric]) -> None:
    case = small((5, 6, 3), 12)
    one, many = (found(kind(precision="float64", batch=batch, tensors="all"), case.design) for batch in (12, 5))
    for name, score in one.scores.items():
        assert many.scores[name].value == pytest.approx(score.value, rel=1e-9, abs=1e-12)
        assert many.scores[name].data_error == pytest.approx(score.data_error, rel=1e-6, abs=1e-9)
