"""Traces of a matrix that can only be multiplied, from random probes, to a requested error.

No estimator takes more products than the matrix has rows where the limit allows that many: then the diagonal itself is
taken, and nothing is left to chance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
#: Probes of the first round; fewer know their own spread badly.
FIRST_ROUND = 16
#: Those of Hutchinson's: v A v is skewed where a few directions hold the trace, and its spread takes more to show.
MANY = 64
#: Up to this size the diagonal is taken at once.
SMALL = 64
#: The spread of few, skewed values understates the error of their mean: widened, three errors cover 99 of 100 cases
#: over spectra of all kinds. XTrace's values have a sketch in common, which takes more.
MARGIN = 1.2
SHARED = 1.35
#: Probability that a normal variable is below three standard deviations.
CERTAIN = 0.99865
#: Of the largest diagonal entry of a triangular factor: smaller ones are zero but for rounding.
RANK = 1e-8


class Symmetric(Protocol):
    """A symmetric matrix."""

    @property
    def size(self) -> int:
        """Rows."""
        ...

    def products(self, probes: Matrix, traces: int = 0) -> Matrix:
        """The product with columns v; ``traces`` says of how many traces the sum of all v A v is an estimate."""
        ...


@dataclass(frozen=True)
class Estimate:
    """A trace, its standard error, and the products with the matrix that it took."""

    value: float
    error: float
    products: int


@dataclass(frozen=True)
class Stop:
    """When to stop.

    Args:
        relative_error: Once the standard error is at most this share of the value.
        products: Most products with the matrix, whatever the error.
    """

    relative_error: float
    products: int

    def met(self, estimate: Estimate) -> bool:
        """Whether an estimate is good enough."""
        return estimate.error <= self.relative_error * abs(estimate.value)


Estimator = Callable[[Symmetric, Stop, np.random.Generator], Estimate]


def hutchinson(matrix: Symmetric, stop: Stop, generator: np.random.Generator) -> Estimate:
    """``mean of v A v`` over random signs v (Hutchinson 1990); the error falls as one over the root of the probes."""
    forms = np.zeros(0)
    while True:
        count = _round(len(forms), stop.products, MANY)
        if _small(matrix.size, len(forms), count, stop):
            return _diagonal(matrix, len(forms))
        probes = _signs(generator, matrix.size, count)
        forms = np.concatenate([forms, np.einsum("nk,nk->k", probes, matrix.products(probes, traces=count))])
        estimate = Estimate(float(forms.mean()), _error(forms), len(forms))
        if stop.met(estimate) or len(forms) >= stop.products:
            return estimate


def hutchpp(matrix: Symmetric, stop: Stop, generator: np.random.Generator) -> Estimate:
    """Hutch++ (Meyer, Musco, Musco, Woodruff, arXiv 2010.09649): exact on a sketched subspace, Hutchinson on the rest.

    With Q an orthonormal basis of A S for random signs S, ``tr A = tr(Q^T A Q) + tr((1 - Q Q^T) A (1 - Q Q^T))``.
    A third of the products goes to each of A S, A Q and A G, with G the probes of the rest. A round adds to all three;
    what is known of G and Q gives the new rest without another product.
    """
    size = matrix.size
    sketch, rest = _Sketch.empty(size), np.zeros((2, size, 0))
    used = 0
    while True:
        count = _round(rest.shape[2], stop.products // 3)
        if _small(size, used, 3 * count, stop):
            return _diagonal(matrix, used)
        sketch = sketch.extended(matrix, _signs(generator, size, count))
        fresh = _signs(generator, size, count)
        rest = np.concatenate([rest, [fresh, matrix.products(fresh, traces=fresh.shape[1])]], axis=2)
        used = sketch.products + rest.shape[2]
        probes, products = rest
        inside = sketch.basis.T @ probes
        forms = (
            np.einsum("nk,nk->k", probes, products)
            - 2 * np.einsum("mk,mk->k", inside, sketch.mapped.T @ probes)
            + np.einsum("mk,mk->k", inside, sketch.inner @ inside)
        )
        estimate = Estimate(float(np.trace(sketch.inner) + forms.mean()), _error(forms), used)
        if stop.met(estimate) or used + 3 > stop.products:
            return estimate


def xtrace(matrix: Symmetric, stop: Stop, generator: np.random.Generator) -> Estimate:
    """XTrace (Epperly, Tropp, Webber, arXiv 2301.07825): every probe serves the sketch of all others.

    With Y = A Omega and Q an orthonormal basis of Y, probe i's estimate is exact on the span of the other columns of Y,
    ``Q (1 - s_i s_i^T) Q^T``, and ``w_i A w_i`` of what remains; s_i is the direction in Q that only column i needs, a
    column of R^-T scaled to one. The mean over i is the estimate. Their spread is its error (section 2.3 there), but
    for what they have in common: they share one sketch, so it is widened by a factor.
    """
    size = matrix.size
    sketch = _Sketch.empty(size)
    while True:
        done = sketch.probes.shape[1]
        count = _round(done, stop.products // 2)
        if _small(size, sketch.products, 2 * count, stop):
            return _diagonal(matrix, sketch.products)
        count = min(count, size - done)
        if count < 1:  # the sketch is the whole space
            return Estimate(float(np.trace(sketch.inner)), 0.0, sketch.products)
        sketch = sketch.extended(matrix, _signs(generator, size, count))
        if sketch.basis.shape[1] < sketch.probes.shape[1]:  # the matrix has no more than that
            return Estimate(float(np.trace(sketch.inner)), 0.0, sketch.products)
        estimates = _leave_one_out(sketch)
        estimate = Estimate(float(estimates.mean()), SHARED * _error(estimates), sketch.products)
        if stop.met(estimate) or sketch.products + 2 > stop.products:
            return estimate


@dataclass(frozen=True)
class _Sketch:
    """What a matrix A does to random signs, and an orthonormal basis of that.

    Args:
        probes: Omega, ``[size, probes]``.
        sketched: A Omega.
        basis: Q.
        mapped: A Q.
    """

    probes: Matrix
    sketched: Matrix
    basis: Matrix
    mapped: Matrix

    @classmethod
    def empty(cls, size: int) -> "_Sketch":
        """Of no probes."""
        return cls(*[np.zeros((size, 0))] * 4)

    def extended(self, matrix: Symmetric, fresh: Matrix) -> "_Sketch":
        """With more probes."""
        products = matrix.products(fresh, traces=fresh.shape[1])
        more = _extension(self.basis, products)
        return _Sketch(
            np.hstack([self.probes, fresh]),
            np.hstack([self.sketched, products]),
            np.hstack([self.basis, more]),
            np.hstack([self.mapped, matrix.products(more)]),
        )

    @property
    def products(self) -> int:
        """With the matrix, so far."""
        return self.probes.shape[1] + self.basis.shape[1]

    @property
    def inner(self) -> Matrix:
        """``Q^T A Q``."""
        return self.basis.T @ self.mapped


def _leave_one_out(sketch: _Sketch) -> Matrix:
    """XTrace's estimate of every probe, ``[probes]``."""
    probes, inner = sketch.probes, sketch.inner
    alone = np.linalg.inv(sketch.basis.T @ sketch.sketched).T
    alone /= np.linalg.norm(alone, axis=0)
    inside = sketch.basis.T @ probes
    inside = inside - alone * np.einsum("mk,mk->k", alone, inside)
    return (
        np.trace(inner)
        - np.einsum("mk,mk->k", alone, inner @ alone)
        + np.einsum("nk,nk->k", probes, sketch.sketched)
        - 2 * np.einsum("mk,mk->k", inside, sketch.mapped.T @ probes)
        + np.einsum("mk,mk->k", inside, inner @ inside)
    )


def _extension(basis: Matrix, columns: Matrix) -> Matrix:
    """Orthonormal columns that, with the basis, span the new columns too; fewer where those hold nothing new."""
    from scipy import linalg

    lengths = np.linalg.norm(columns, axis=0)
    rest = columns
    for _ in range(2):  # once more, for what rounding left
        rest = rest - basis @ (basis.T @ rest)
    # Pivoted, so that what is left out lies in the span of what is kept.
    decompose = cast("Callable[..., tuple[Matrix, Matrix, Matrix]]", linalg.qr)  # pyright: ignore[reportUnknownMemberType]
    factor, triangle, _ = decompose(rest, mode="economic", pivoting=True)
    new = np.abs(np.diag(triangle)) > RANK * max(float(lengths.max()), np.finfo(np.float64).tiny)
    return factor[:, new]


def _diagonal(matrix: Symmetric, used: int) -> Estimate:
    """The trace itself, where that takes no more products than the next round would bring it to."""
    return Estimate(float(np.trace(matrix.products(np.eye(matrix.size), traces=1))), 0.0, used + matrix.size)


def _small(size: int, used: int, more: int, stop: Stop) -> bool:
    """Whether taking the diagonal is worth it, and allowed: before a sketch comes near the size of the matrix."""
    return (size <= SMALL or used + 2 * more >= size) and used + size <= stop.products


def _round(done: int, most: int, least: int = FIRST_ROUND) -> int:
    """Probes of the next round: half as many again as there are, within the limit."""
    return max(min(max(least, done // 2), most - done), 1)


def _signs(generator: np.random.Generator, size: int, count: int) -> Matrix:
    return generator.integers(0, 2, (size, count)).astype(np.float64) * 2 - 1


def _error(forms: Matrix) -> float:
    """Standard error of the mean of few values: a third of what Student's t gives for three, with a margin."""
    from scipy.special import stdtrit

    if len(forms) < 2:
        return float("inf")
    wider = float(stdtrit(len(forms) - 1, CERTAIN)) / 3
    return MARGIN * wider * float(forms.std(ddof=1) / np.sqrt(len(forms)))
