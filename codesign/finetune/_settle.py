"""Meeting a budget exactly: the cheapest changes of single weights, by their predicted loss."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from codesign.arrays import IntArray
from codesign.estimate._terms import trailing
from codesign.finetune._exact import Integers, count, integers, prices, quantized
from codesign.finetune._learned import Network
from codesign.quantized import Quantized

Float64 = npt.NDArray[np.float64]
#: The share of a budget that may be left over.
SPARE = 0.01
#: Most rounds of changes in one direction; the finest step that a weight may be given.
ROUNDS, FINEST = 200, 16


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
    values = {name: value.detach().numpy().astype(np.float64) for name, value in _shifted(network, vector).items()}
    curvature = {name: value.numpy().astype(np.float64) for name, value in network.layout.parts(square).values.items()}
    made, given = quantized(network, integers(network, vector))
    for _ in range(ROUNDS):
        excess = count(network, given) - budget
        if excess <= 0:
            break
        made, given = quantized(network, _lowered(network, given, values, curvature, excess))
    for _ in range(ROUNDS):
        room = budget - count(network, given)
        if room <= SPARE * budget / 2:
            break
        raised = _raised(network, given, values, curvature, room)
        if raised is None:
            break
        after = quantized(network, raised)
        if count(network, after[1]) <= count(network, given):  # what was raised is dead
            break
        made, given = after
    return made, given


def _shifted(network: Network, vector: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        return network.shifted(network.whole(vector))


def _lowered(
    network: Network,
    given: Integers,
    values: dict[str, Float64],
    curvature: dict[str, Float64],
    excess: float,
) -> Integers:
    """With enough elements without their last digit to save an excess, unless they save it only together."""
    price = prices(network, given)
    changes = {
        name: list(_without_last(network, codes, given.fraction[name], values[name], curvature[name], price[name]))
        for name, codes in given.codes.items()
    }
    return _applied(given, changes, excess, lowers=True)


def _without_last(
    network: Network, codes: IntArray, fraction: IntArray, value: Float64, curvature: Float64, price: Float64
) -> Iterator[Change]:
    """To the next code below and above that ends one bit earlier."""
    step = np.int64(1) << trailing(codes)
    for other in (codes - step, codes + step):
        other = np.where(codes == 0, 0, other)
        yield _change(network, codes, other, fraction, fraction, value, curvature, price)


def _raised(
    network: Network,
    given: Integers,
    values: dict[str, Float64],
    curvature: dict[str, Float64],
    room: float,
) -> Integers | None:
    """With some elements that were rounded anew, one bit finer; None if none fits."""
    price = prices(network, given)
    changes: dict[str, list[Change]] = {}
    for name, codes in given.codes.items():
        fraction = given.fraction[name]
        finer = np.minimum(fraction + 1, FINEST)
        other = np.rint(np.ldexp(values[name], finer)).astype(np.int64)
        changes[name] = [_change(network, codes, other, fraction, finer, values[name], curvature[name], price[name])]
    after = _applied(given, changes, room, lowers=False)
    return None if after is given else after


def _change(
    network: Network,
    codes: IntArray,
    other: IntArray,
    fraction: IntArray,
    finer: IntArray,
    value: Float64,
    curvature: Float64,
    price: Float64,
) -> Change:
    pairs = ((codes, fraction), (other, finer))
    before, after = (np.ldexp(each.astype(np.float64), -point) - value for each, point in pairs)
    loss = 0.5 * curvature * (after**2 - before**2)
    cost = (network.cost.exact(other) - network.cost.exact(codes)) * price
    return Change(other, finer, loss, cost)


def _applied(given: Integers, changes: dict[str, list[Change]], most: float, *, lowers: bool) -> Integers:
    """The best changes of one round, each element at most once, until ``most`` is saved or spent.

    Args:
        given: What to change.
        changes: By parameter.
        most: Cost to be saved, or that may be spent.
        lowers: Whether cost is saved. It is saved to the end, and never overspent.
    """
    named = [name for name in changes for _ in changes[name]]
    listed = [change for name in changes for change in changes[name]]
    rows = [
        (each.loss.reshape(-1), each.cost.reshape(-1), np.full(each.loss.size, index), np.arange(each.loss.size))
        for index, each in enumerate(listed)
    ]
    loss, cost, which, place = (np.concatenate(column) for column in zip(*rows, strict=True))
    moves = np.flatnonzero(cost < 0 if lowers else (cost > 0) & (cost <= most))
    order = moves[np.argsort(loss[moves] / np.abs(cost[moves]), kind="stable")]
    codes = {name: values.copy() for name, values in given.codes.items()}
    fraction = {name: values.copy() for name, values in given.fraction.items()}
    seen: set[tuple[str, int]] = set()
    left = most
    for index in order:
        amount = abs(float(cost[index]))
        name, element = named[which[index]], int(place[index])
        if (name, element) in seen or (not lowers and amount > left):
            continue
        seen.add((name, element))
        change = listed[which[index]]
        codes[name].reshape(-1)[element] = change.codes.reshape(-1)[element]
        fraction[name].reshape(-1)[element] = change.fraction.reshape(-1)[element]
        left -= amount
        if left <= 0:
            break
    return replace(given, codes=codes, fraction=fraction) if seen else given
