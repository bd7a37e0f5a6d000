"""Estimators of a trace on matrices that are known."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.sensitivity._probing import (  # noqa
    Estimator,
    Matrix,
    Stop,
    _extension,
    _leave_one_out,
    hutchinson,
    hutchpp,
    xtrace,
)

EVERY = pytest.mark.parametrize("estimator", [hutchinson, hutchpp, xtrace], ids=lambda each: each.__name__)
SKETCHED = pytest.mark.parametrize("estimator", [hutchpp, xtrace], ids=lambda each: each.__name__)


@dataclass
class Dense:
    """A matrix that counts the columns it is multiplied with."""

    matrix: Matrix
    columns: int = 0
    measured: list[Matrix] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.matrix)

    def products(self, probes: Matrix, traces: int = 0) -> Matrix:
        assert probes.shape[0] == self.size
        if traces:  # the sum of all v A v is then so many traces on average
            np.testing.assert_allclose((probes**2).sum(), self.size * traces)
            self.measured.append(probes)
        self.columns += probes.shape[1]
        return self.matrix @ probes


def random(size: int, seed: int = 0) -> np.random.Generator:
    return np.random.default_rng([size, seed])


@cache
def rotation(size: int) -> Matrix:
    """Orthonormal columns."""
    return np.linalg.qr(random(size).standard_normal((size, size)))[0]


def rotated(eigenvalues: Matrix) -> Matrix:
    """A symmetric matrix with these eigenvalues."""
    basis = rotation(len(eigenvalues))
    return (basis * eigenvalues) @ basis.T


def indefinite(size: int) -> Matrix:
    square = random(size).standard_normal((size, size))
    return (square + square.T) / 2 + 0.5 * np.eye(size)


SPECTRA: dict[str, Callable[[int], Matrix]] = {
    "flat": lambda n: rotated(np.linspace(1, 3, n)),
    "decaying": lambda n: rotated(0.7 ** np.arange(n)),
    "power": lambda n: rotated(np.arange(1.0, n + 1) ** -1.5),
    "indefinite": indefinite,
    "one_large": lambda n: rotated(np.array([1.0] + [0.01] * (n - 1))),
    "few_live": lambda n: np.pad(rotated(np.linspace(1, 2, min(n, 4))), (0, n - min(n, 4))),  # most elements are dead
    "half_rank": lambda n: rotated(np.array([1.0] * (n // 2) + [0.0] * (n - n // 2))),
}


def estimate(estimator: Estimator, matrix: Matrix, stop: Stop, seed: int) -> tuple[float, float]:
    """Value and error; the estimate says how many products it took, and keeps to the limit."""
    dense = Dense(matrix)
    found = estimator(dense, stop, np.random.default_rng(seed))
    assert found.products == dense.columns <= stop.products
    assert found.error <= stop.relative_error * abs(found.value) or stop.products - found.products < 6
    return found.value, found.error


@EVERY
@pytest.mark.parametrize("kind", SPECTRA)
def test_within_three_errors_in_99_of_100_seeds(estimator: Estimator, kind: str) -> None:
    seeds, misses = 300, {}
    for size, (relative, most) in product((1, 2, 3, 5, 8, 16, 24, 60, 150), ((0.3, 600), (0.05, 150))):
        matrix = SPECTRA[kind](size)
        found = np.array([estimate(estimator, matrix, Stop(relative, most), seed) for seed in range(seeds)])
        rounding = 1e-7 * np.abs(np.linalg.eigvalsh(matrix)).sum()
        misses[size, relative] = int((np.abs(found[:, 0] - np.trace(matrix)) > 3 * found[:, 1] + rounding).sum())
    assert {case: count for case, count in misses.items() if count > seeds // 100} == {}


@EVERY
@pytest.mark.parametrize("diagonal", [[2.0], [3.0, -1.0], [1.0] * 30, list(np.arange(50) - 20.0), [0.0] * 5])
def test_diagonal_matrices(estimator: Estimator, diagonal: list[float]) -> None:
    matrix = np.diag(diagonal)
    found = estimator(Dense(matrix), Stop(0.01, 3000), np.random.default_rng(0))
    assert abs(found.value - sum(diagonal)) <= 3 * found.error + 1e-9
    if estimator is hutchinson:
        assert found.value == pytest.approx(sum(diagonal))
        assert found.error < 1e-9


@SKETCHED
@pytest.mark.parametrize("size", [100, 200])
@pytest.mark.parametrize("rank", [0, 1, 2, 4])
@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0])
def test_low_rank_matrices_are_exact(estimator: Estimator, size: int, rank: int, sign: float) -> None:
    eigenvalues = np.zeros(size)
    eigenvalues[:rank] = np.arange(1.0, rank + 1) * (sign or np.where(np.arange(rank) % 2, -1, 1))
    matrix = rotated(eigenvalues)
    for seed in range(30):
        found = estimator(Dense(matrix), Stop(0.01, 600), np.random.default_rng(seed))
        assert found.value == pytest.approx(eigenvalues.sum(), rel=1e-9, abs=1e-9)
        assert found.error <= 1e-9
        assert found.products <= size


@SKETCHED
def test_a_small_matrix_is_known_exactly_when_it_must_be(estimator: Estimator) -> None:
    for size in range(1, 25):
        matrix = indefinite(size)
        for seed in range(20):
            found = estimator(Dense(matrix), Stop(1e-6, 3000), np.random.default_rng(seed))
            assert found.value == pytest.approx(np.trace(matrix), rel=1e-5, abs=1e-5), (size, seed)


@EVERY
@settings(max_examples=40)
@given(
    size=st.integers(1, 60),
    kind=st.sampled_from(sorted(SPECTRA)),
    relative=st.sampled_from([0.5, 0.1, 0.01, 1e-4]),
    most=st.integers(24, 400),
    seed=st.integers(0, 2**20),
)
def test_stops_where_it_was_asked_to(
    estimator: Estimator, size: int, kind: str, relative: float, most: int, seed: int
) -> None:
    estimate(estimator, SPECTRA[kind](size), Stop(relative, most), seed)


@EVERY
def test_a_smaller_error_takes_more_products(estimator: Estimator) -> None:
    matrix = rotated(np.linspace(0.1, 1, 200))
    found = [estimator(Dense(matrix), Stop(error, 100_000), np.random.default_rng(0)) for error in (0.1, 0.02, 0.005)]
    products = [each.products for each in found]
    assert products == sorted(products)
    assert products[0] < products[-1]
    assert all(each.error <= error * each.value for each, error in zip(found, (0.1, 0.02, 0.005), strict=True))


@EVERY
def test_errors_are_the_spread_over_seeds(estimator: Estimator) -> None:
    matrix = rotated(np.linspace(0.5, 1, 150))
    found = np.array([estimate(estimator, matrix, Stop(1e-9, 120), seed) for seed in range(200)])
    spread = float(found[:, 0].std(ddof=1))
    assert (
        0.75 < float(np.sqrt((found[:, 1] ** 2).mean())) / spread < 1.7
    )  # with a margin for what few values don't show
    assert abs(found[:, 0].mean() - np.trace(matrix)) < 4 * spread / 200**0.5


@EVERY
def test_seeds(estimator: Estimator) -> None:
    matrix, stop = indefinite(150), Stop(0.1, 60)
    assert estimate(estimator, matrix, stop, 1) == estimate(estimator, matrix, stop, 1)
    assert estimate(estimator, matrix, stop, 1) != estimate(estimator, matrix, stop, 2)


def test_sketches_beat_signs_where_the_spectrum_decays() -> None:
    matrix = rotated(0.8 ** np.arange(400.0))
    products = {
        each: np.mean([each(Dense(matrix), Stop(0.01, 10**5), np.random.default_rng(s)).products for s in range(5)])
        for each in (hutchinson, hutchpp, xtrace)
    }
    assert max(products[xtrace], products[hutchpp]) < products[hutchinson] / 2


@settings(max_examples=40)
@given(
    st.integers(100, 130),
    st.sampled_from([24, 40, 60]),
    st.sampled_from(["flat", "power", "indefinite"]),
    st.integers(0, 99),
)
def test_xtrace_by_its_definition(size: int, most: int, kind: str, seed: int) -> None:
    matrix = SPECTRA[kind](size)
    dense = Dense(matrix)
    found = xtrace(dense, Stop(1e-9, most), np.random.default_rng(seed))
    probes = np.hstack(dense.measured)
    sketched, wanted = matrix @ probes, []
    for index in range(probes.shape[1]):
        others, _ = np.linalg.qr(np.delete(sketched, index, 1))
        rest = probes[:, index] - others @ (others.T @ probes[:, index])
        wanted.append(np.trace(others.T @ matrix @ others) + rest @ matrix @ rest)
    scale = float(np.abs(np.linalg.eigvalsh(matrix)).sum())
    assert found.value == pytest.approx(np.mean(wanted), rel=1e-7, abs=1e-7 * scale)
    plain = float(np.std(wanted, ddof=1)) / len(wanted) ** 0.5
    assert plain * 0.999 < found.error < 3 * plain  # wider, for few probes and for what they share


@st.composite
def columns(draw: st.DrawFn) -> tuple[Matrix, Matrix]:
    """Orthonormal columns, and others of which some are dependent on them or on each other."""
    size = draw(st.integers(1, 8))
    generator = np.random.default_rng(draw(st.integers(0, 2**20)))
    basis = np.linalg.qr(generator.standard_normal((size, size)))[0][:, : draw(st.integers(0, size))]
    free = generator.standard_normal((size, draw(st.integers(1, 4))))
    known = np.hstack([basis, free])
    made = [draw(st.sampled_from(["new", "seen", "zero"])) for _ in range(draw(st.integers(1, 6)))]
    parts = {
        "new": lambda: generator.standard_normal(size),
        "seen": lambda: known @ generator.standard_normal(known.shape[1]),
        "zero": lambda: np.zeros(size),
    }
    return basis, np.stack([parts[kind]() for kind in made], 1)


@settings(max_examples=200)
@given(columns())
def test_a_basis_is_extended_by_all_that_is_new(given: tuple[Matrix, Matrix]) -> None:
    basis, fresh = given
    whole = np.hstack([basis, _extension(basis, fresh)])
    assert whole.shape[1] == np.linalg.matrix_rank(np.hstack([basis, fresh]), tol=1e-7)
    np.testing.assert_allclose(whole.T @ whole, np.eye(whole.shape[1]), atol=1e-8)
    np.testing.assert_allclose(whole @ (whole.T @ fresh), fresh, atol=1e-7)


@EVERY
def test_agrees_with_curvlinops(estimator: Estimator) -> None:
    curvlinops = pytest.importorskip("curvlinops")
    peers = {"hutchinson": "hutchinson_trace", "hutchpp": "hutchpp_trace", "xtrace": "xtrace"}
    peer = getattr(curvlinops, peers[estimator.__name__])
    matrix = rotated(np.arange(1.0, 61) ** -0.5)
    torch.manual_seed(0)
    theirs = np.array([float(peer(torch.as_tensor(matrix), 24)) for _ in range(200)])
    ours = np.array([estimate(estimator, matrix, Stop(1e-9, 24), seed)[0] for seed in range(200)])
    both = float(np.hypot(theirs.std(ddof=1), ours.std(ddof=1))) / 200**0.5
    assert abs(theirs.mean() - ours.mean()) < 4 * both
    assert ours.std() < 1.5 * theirs.std()
