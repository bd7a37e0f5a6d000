"""Meeting a budget exactly: the cheapest changes of single weights, by their predicted loss."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from codesign.arrays import IntArray
from codesign.estimate.model.terms import trailing
from codesign.finetune._exact import Integers, count, integers, prices, quantized
from codesign.finetune._learned import Network
from codesign.quantized import Quantized

Float64 = npt.NDArray[np.float64]
#: Codes and their fraction bits; values before rounding and curvatures, by parameter.
Placed = tuple[IntArray, IntArray]
Known = tuple[dict[str, Float64], dict[str, Float64]]
#: The share of a budget that may be left over.
SPARE = 0.01
#: Most single changes that are tried before the best is taken; the finest step that a weight may be given.
TRIED, FINEST = 50, 16
#: Of a gap, the least share that is aimed at: one change.
SMALLEST = 1e-3


@dataclass(frozen=True)
class Change:
    """One other code for each element of a parameter.

    Args:
        codes: The codes.
        fraction: Their fraction bits.
        loss: By how much the loss is predicted to rise, ``1/2 h ((q' - w)^2 - (q - w)^2)``.
        cost: By how much the cost rises.
    """

    codes: IntArray
    fraction: IntArray
    loss: Float64
    cost: Float64


def settled(network: Network, vector: Tensor, square: Tensor, budget: float) -> tuple[Quantized, Integers]:
    """The integers of a learned vector, at a cost of at most the budget, and at most ``SPARE`` below it.

    Where they cost too much, single weights lose their last digits, those first that give the least predicted loss for
    the cost; where they leave some of the budget, those get one bit more that gain the most. Of very small budgets no
    change may be small enough: then more is left over.

    Args:
        network: What was trained.
        vector: What was learned.
        square: Mean squares of its gradients, taken for the curvature ``h``.
        budget: Most cost.
    """
    values: dict[str, Float64] = {
        name: value.detach().numpy().astype(np.float64) for name, value in _shifted(network, vector).items()
    }
    curvature = {name: value.double().numpy() for name, value in network.layout.parts(square).values.items()}
    known = values, curvature
    now = _moved(network, quantized(network, integers(network, vector)), known, budget, lowers=True)
    return _moved(network, now, known, budget, lowers=False)


def _moved(
    network: Network, now: tuple[Quantized, Integers], known: Known, budget: float, *, lowers: bool
) -> tuple[Quantized, Integers]:
    """Changed in one direction until the budget is met, or nothing comes closer."""
    share, skipped, below = 0.5, 0, None
    while True:
        cost = count(network, now[1])
        if cost <= budget if lowers else cost >= (1 - SPARE / 2) * budget:
            return now
        change = _lowered if lowers else _raised
        changed = change(network, now[1], known, abs(cost - budget) * share, skipped)
        if changed is None or skipped > TRIED:
            return below or now
        made = quantized(network, changed)
        after = count(network, made[1])
        if lowers and after <= budget and (below is None or after > count(network, below[1])):
            below = made
        if after < (1 - SPARE) * budget if lowers else not cost < after <= budget:
            # Units died with their weights, or what was raised is dead: fewer changes at once, then others.
            share, skipped = (share / 4, 0) if share > SMALLEST else (share, skipped + 1)
        else:
            now, skipped = made, 0


def _shifted(network: Network, vector: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        return network.shifted(network.whole(vector))


def _lowered(network: Network, given: Integers, known: Known, excess: float, skipped: int) -> Integers | None:
    """With so many elements without their last digit that an excess is saved; None if there are none."""
    price = prices(network, given)
    changes = {
        name: list(_without_last(network, codes, given.fraction[name], known, name, price[name]))
        for name, codes in given.codes.items()
    }
    return _applied(given, changes, excess, skipped, lowers=True)


def _without_last(
    network: Network, codes: IntArray, fraction: IntArray, known: Known, name: str, price: Float64
) -> Iterator[Change]:
    """To the next code below and above that ends one bit earlier."""
    step = np.int64(1) << trailing(codes)
    for other in (codes - step, codes + step):
        yield _change(network, (codes, fraction), (np.where(codes == 0, 0, other), fraction), known, name, price)


def _raised(network: Network, given: Integers, known: Known, room: float, skipped: int) -> Integers | None:
    """With some elements that were rounded anew, one bit finer; None if none fits."""
    price, changes = prices(network, given), dict[str, list[Change]]()
    for name, alive in _alive(network, given).items():
        codes, fraction = given.codes[name], given.fraction[name]
        finer = np.minimum(fraction + 1, _finest(network, fraction))
        other = np.where(alive, np.rint(np.ldexp(known[0][name], finer)).astype(np.int64), codes << (finer - fraction))
        changes[name] = [_change(network, (codes, fraction), (other, finer), known, name, price[name])]
    return _applied(given, changes, room, skipped, lowers=False)


def _finest(network: Network, fraction: IntArray) -> IntArray:
    """Most fraction bits that weights may be given: where they share bits, no more than there are already."""
    if network.layout.granularity == "weight":
        return np.maximum(fraction, FINEST)
    shared = tuple(range(1 if network.layout.granularity == "channel" else 0, fraction.ndim))
    return np.broadcast_to(fraction.max(axis=shared, keepdims=True), fraction.shape)


def _alive(network: Network, given: Integers) -> dict[str, npt.NDArray[np.bool_]]:
    """Elements of parameters of channels that are not zero altogether, which nothing depends on."""
    found: dict[str, npt.NDArray[np.bool_]] = {}
    for each in network.nodes:
        names = list(each.node.op.parameters().values())
        rows = [(given.codes[name] != 0).reshape(len(given.codes[name]), -1).any(1) for name in names]
        alive = np.logical_or.reduce(rows)
        for name in names:
            shape = given.codes[name].shape
            found[name] = np.broadcast_to(alive.reshape(-1, *[1] * (len(shape) - 1)), shape)
    return found


def _change(network: Network, old: Placed, new: Placed, known: Known, name: str, price: Float64) -> Change:
    value, curvature = known[0][name], known[1][name]
    before, after = (np.ldexp(codes.astype(np.float64), -fraction) - value for codes, fraction in (old, new))
    loss = 0.5 * curvature * (after**2 - before**2)
    cost = (network.cost.exact(new[0]) - network.cost.exact(old[0])) * price
    return Change(*new, loss, cost)


def _applied(
    given: Integers, changes: dict[str, list[Change]], most: float, skipped: int, *, lowers: bool
) -> Integers | None:
    """The best changes of one round, each element at most once, until ``most`` is saved or spent; None if none is left.

    Args:
        given: What to change.
        changes: By parameter.
        most: Cost to be saved, or that may be spent; one change is made in any case.
        skipped: Changes, of the best, that are left out.
        lowers: Whether cost is saved.
    """
    named = [name for name in changes for _ in changes[name]]
    listed = [change for name in changes for change in changes[name]]
    rows = [
        (each.loss.reshape(-1), each.cost.reshape(-1), np.full(each.loss.size, index), np.arange(each.loss.size))
        for index, each in enumerate(listed)
    ]
    loss, cost, which, place = (np.concatenate(column) for column in zip(*rows, strict=True))
    moves = np.flatnonzero(cost < 0 if lowers else cost > 0)
    order = moves[np.argsort(loss[moves] / np.abs(cost[moves]), kind="stable")][skipped:]
    codes = {name: values.copy() for name, values in given.codes.items()}
    fraction = {name: values.copy() for name, values in given.fraction.items()}
    seen: set[tuple[str, int]] = set()
    left = most
    for index in order:
        amount = abs(float(cost[index]))
        name, element = named[which[index]], int(place[index])
        if (name, element) in seen or (not lowers and seen and amount > left):
            continue
        seen.add((name, element))
        change = listed[which[index]]
        codes[name].reshape(-1)[element] = change.codes.reshape(-1)[element]
        fraction[name].reshape(-1)[element] = change.fraction.reshape(-1)[element]
        left -= amount
        if left <= 0:
            break
    return replace(given, codes=codes, fraction=fraction) if seen else None
