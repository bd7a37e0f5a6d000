"""Traces of a matrix that can only be multiplied, from random probes, to a requested error."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
#: Probes of the first round; fewer know their own spread badly.
FIRST_ROUND = 16
#: Of the largest diagonal entry of a triangular factor: smaller ones are zero but for rounding.
RANK = 1e-8


class Symmetric(Protocol):
    """A symmetric matrix."""

    @property
    def size(self) -> int:
        """Rows."""
        ...

    def products(self, probes: Matrix, measure: bool = False) -> Matrix:
        """The product with columns; ``measure`` says that they are random signs."""
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
        probes = _signs(generator, matrix.size, _round(len(forms), stop.products))
        forms = np.concatenate([forms, np.einsum("nk,nk->k", probes, matrix.products(probes, measure=True))])
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
    sketched, probes, products = np.zeros((size, 0)), np.zeros((size, 0)), np.zeros((size, 0))
    basis, mapped = np.zeros((size, 0)), np.zeros((size, 0))
    while True:
        count = max(_round(3 * probes.shape[1], stop.products) // 3, 2)
        sketch = _signs(generator, size, count)
        sketched = np.hstack([sketched, matrix.products(sketch, measure=True)])
        more = _extended(basis, sketched[:, -count:])
        basis, mapped = np.hstack([basis, more]), np.hstack([mapped, matrix.products(more)])
        fresh = _signs(generator, size, count)
        probes, products = np.hstack([probes, fresh]), np.hstack([products, matrix.products(fresh, measure=True)])
        inside = basis.T @ probes
        forms = (
            np.einsum("nk,nk->k", probes, products)
            - 2 * np.einsum("mk,mk->k", inside, mapped.T @ probes)
            + np.einsum("mk,mk->k", inside, basis.T @ mapped @ inside)
        )
        whole = basis.shape[1] >= size  # nothing is left outside
        value = float(np.einsum("nm,nm->", basis, mapped)) + (0.0 if whole else float(forms.mean()))
        used = sketched.shape[1] + basis.shape[1] + probes.shape[1]
        estimate = Estimate(value, 0.0 if whole else _error(forms), used)
        if stop.met(estimate) or used + 6 > stop.products:
            return estimate


def xtrace(matrix: Symmetric, stop: Stop, generator: np.random.Generator) -> Estimate:
    """XTrace (Epperly, Tropp, Webber, arXiv 2301.07825): every probe serves the sketch of all others.

    With Y = A Omega and Q an orthonormal basis of Y, probe i's estimate is exact on the span of the other columns of Y,
    ``Q (1 - s_i s_i^T) Q^T``, and ``w_i A w_i`` of what remains; s_i is the direction in Q that only column i needs, a
    column of R^-T scaled to one. The mean over i is the estimate, their spread its error (section 2.3 there).
    """
    size = matrix.size
    probes, sketched = np.zeros((size, 0)), np.zeros((size, 0))
    basis, mapped = np.zeros((size, 0)), np.zeros((size, 0))
    while True:
        count = max(min(_round(2 * probes.shape[1], stop.products) // 2, size - probes.shape[1]), 1)
        fresh = _signs(generator, size, count)
        probes, sketched = np.hstack([probes, fresh]), np.hstack([sketched, matrix.products(fresh, measure=True)])
        more = _extended(basis, sketched[:, -count:])
        basis, mapped = np.hstack([basis, more]), np.hstack([mapped, matrix.products(more)])
        used = probes.shape[1] + basis.shape[1]
        if basis.shape[1] < probes.shape[1] or basis.shape[1] >= size:  # the basis holds all of the matrix
            return Estimate(float(np.einsum("nm,nm->", basis, mapped)), 0.0, used)
        estimates = _leave_one_out(probes, sketched, basis, mapped)
        estimate = Estimate(float(estimates.mean()), _error(estimates), used)
        if stop.met(estimate) or used + 4 > stop.products:
            return estimate


def _leave_one_out(probes: Matrix, sketched: Matrix, basis: Matrix, mapped: Matrix) -> Matrix:
    """XTrace's estimate of every probe, ``[probes]``."""
    alone = np.linalg.inv(basis.T @ sketched).T
    alone /= np.linalg.norm(alone, axis=0)
    inner = basis.T @ mapped
    inside = basis.T @ probes
    inside = inside - alone * np.einsum("mk,mk->k", alone, inside)
    return (
        np.trace(inner)
        - np.einsum("mk,mk->k", alone, inner @ alone)
        + np.einsum("nk,nk->k", probes, sketched)
        - 2 * np.einsum("mk,mk->k", inside, mapped.T @ probes)
        + np.einsum("mk,mk->k", inside, inner @ inside)
    )


def _extended(basis: Matrix, columns: Matrix) -> Matrix:
    """Orthonormal columns that, with the basis, span the new columns too; fewer where those hold nothing new."""
    lengths = np.linalg.norm(columns, axis=0)
    rest = columns
    for _ in range(2):  # once more, for what rounding left
        rest = rest - basis @ (basis.T @ rest)
    factor, triangle = np.linalg.qr(rest)
    new = np.abs(np.diag(triangle)) > RANK * max(float(lengths.max()), np.finfo(np.float64).tiny)
    return factor[:, new]


def _round(done: int, most: int) -> int:
    """Probes of the next round: half as many again as there are, within the limit."""
    return max(min(max(FIRST_ROUND, done // 2), most - done), 1)


def _signs(generator: np.random.Generator, size: int, count: int) -> Matrix:
    return generator.integers(0, 2, (size, count)).astype(np.float64) * 2 - 1


def _error(forms: Matrix) -> float:
    return float(forms.std(ddof=1) / np.sqrt(len(forms))) if len(forms) > 1 else float("inf")
