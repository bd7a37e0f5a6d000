"""The linear form of a problem, and of what is left of it with fewer choices."""

from collections.abc import Iterable
from dataclasses import replace
from math import inf

import numpy as np

from codesign.allocate._problem import Cost, Float64, Problem, Quantity, Sum
from codesign.allocate.solvers._linear import Bools, Linear, add_at, every
from codesign.allocate.solvers._units import LARGE, grid
from codesign.errors import ContractError, InputError

#: Rounding of a folded sum, as a share of what was added.
ROUNDING = 1e-15


def linear_form(problem: Problem, solver: str) -> Linear:
    """The linear form of a whole problem.

    Args:
        problem: The problem.
        solver: Who asks, for messages.

    Raises:
        InputError: A cost is no sum.
        ContractError: An entry of a table is no number.
    """
    objective = _quantity(problem.objective, solver).sums
    bounds = [bound for bound in problem.bounds if bound.most != inf]
    bounded = [(each, bound.most) for bound in bounds for each in _quantity(bound.cost, solver).sums]
    sums = [*objective, *(each for each, _ in bounded)]
    pairs = sorted({pair for each in sums for pair in each.pairs})
    table = np.array([_row(each, problem.sizes, pairs) for each in sums])
    if np.isnan(table).any() or np.isneginf(table).any():
        raise ContractError(f"solver {solver}", "a table has an entry that is no number", "numbers, or inf")
    constants = np.array([sum(float(term.table) for term in each.terms if not term.decisions) for each in sums])
    count, sizes = len(objective), np.array(problem.sizes, np.int64)
    limits = np.clip(np.array([most for _, most in bounded], np.float64), -LARGE, LARGE)
    for index, row in enumerate(table[count:]):  # no sum lies between a multiple of its grid and the next
        step = grid(np.append(row, constants[count + index]))
        limits[index] = np.floor(limits[index] / step) * step if step else limits[index]
    limits -= constants[count:]
    table = _without_infinities(table, np.concatenate([constants[:count], limits]))
    return Linear(
        sizes,
        np.array(pairs, np.int64).reshape(-1, 2),
        table[:count],
        constants[:count],
        table[count:],
        limits,
        ROUNDING * np.abs(constants[count:]),
        np.zeros(len(sizes), np.int64),
        np.arange(len(sizes)),
        np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes),
    )


def restricted(linear: Linear, allowed: Bools) -> Linear | None:
    """A problem with fewer choices; decisions left with one become part of the offsets and limits.

    Args:
        linear: The problem.
        allowed: Which choices stay ``[choices]``.

    Returns:
        None if a decision is left with none.
    """
    left = np.bincount(linear.owner[allowed], minlength=len(linear.sizes))
    if (left == 0).any():
        return None
    single = left == 1
    lone = allowed & single[linear.owner]
    first, second = linear.entry_places
    alive = allowed[first] & allowed[second]
    table = np.concatenate([linear.objective, linear.rows])
    unary, entries = table[:, : linear.count].copy(), table[:, linear.count :]
    for fold, place in ((alive & lone[first] & ~lone[second], second), (alive & lone[second] & ~lone[first], first)):
        add_at(unary, place[fold], entries[:, fold])
    constant = np.concatenate([unary[:, lone], entries[:, alive & lone[first] & lone[second]]], axis=1)
    folded, size = constant.sum(axis=1), ROUNDING * np.abs(constant).sum(axis=1)
    kept = [unary[:, allowed & ~lone], entries[:, alive & ~lone[first] & ~lone[second]]]
    rows, count = np.concatenate(kept, axis=1), len(linear.objective)
    settled = linear.settled.copy()
    settled[linear.decisions[linear.owner[lone]]] = linear.choices[lone]
    coupled = linear.pairs[~single[linear.pairs].any(axis=1)]
    return Linear(
        left[~single],
        (np.cumsum(~single) - 1)[coupled].reshape(-1, 2),
        rows[:count],
        linear.offsets + folded[:count],
        rows[count:],
        linear.limits - folded[count:],
        linear.rounding + size[count:],
        settled,
        linear.decisions[~single],
        linear.choices[allowed & ~lone],
    )


def fitting(linear: Linear) -> Linear | None:
    """A problem without the choices that no assignment within the bounds can take; None if a decision has no other.

    What closes is found from each choice alone, again as long as more choices close.
    """
    while len(linear.sizes):
        low, more = linear.least(linear.rows)
        slack = linear.rounding + 1e-12 * (np.abs(linear.limits) + np.abs(low))
        allowed = every(more <= (linear.limits - low + slack)[:, None])
        if allowed.all():
            return linear
        fewer = restricted(linear, allowed)
        if fewer is None:
            return None
        linear = fewer
    return linear


def promising(linear: Linear, value: float) -> Linear | None:
    """A problem without the choices with which no assignment is better than a value, as each alone shows.

    Entries of pairs that alone exceed the value are lowered to what still exceeds it: they rule out the same
    assignments, and the numbers that are left are of one size.
    """
    low, more = linear.least(linear.objective)
    excess = value - (low + linear.offsets)
    excess += 1e-12 * (abs(value) + np.abs(low) + np.abs(linear.offsets))
    rest = linear.shifted(linear.objective)[0]
    lowered = linear.objective - np.maximum(rest - 2 * np.abs(excess)[:, None], 0)
    return restricted(replace(linear, objective=lowered), every(more <= excess[:, None]))


def _quantity(cost: Cost, solver: str) -> Quantity:
    if isinstance(cost, Quantity):
        return cost
    found = f"the cost {cost.name!r} is no sum over layers"
    raise InputError(f"solver {solver}", found, "costs that are sums", "use the solver evolutionary or exhaustive")


def _row(each: Sum, sizes: tuple[int, ...], pairs: Iterable[tuple[int, int]]) -> Float64:
    """One sum's number for every place."""
    unary, tables = each.unary, each.pairs
    parts = [unary[i] if i in unary else np.zeros(size) for i, size in enumerate(sizes)]
    parts += [tables[i, j].reshape(-1) if (i, j) in tables else np.zeros(sizes[i] * sizes[j]) for i, j in pairs]
    return np.concatenate(parts or [np.zeros(0)]).astype(np.float64)


def _without_infinities(table: Float64, beside: Float64) -> Float64:
    """Infinite numbers become ones larger than all others together, so that differences of sums stay numbers."""
    if np.isfinite(table).all():
        return table
    finite = np.where(np.isfinite(table), np.abs(table), 0).sum(axis=1) + np.where(np.isfinite(beside), beside, 0) + 1
    return np.where(np.isfinite(table), table, 4 * np.abs(finite)[:, None])
