"""Choosing among trained points."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, log
from typing import cast

import numpy as np
import torch

from codesign.arrays import FloatArray, IntArray
from codesign.describe import amount
from codesign.design import Dataset
from codesign.errors import InputError
from codesign.finetune._bring import Unit, of_cost, of_luts
from codesign.finetune._exact import count
from codesign.finetune._points import Points
from codesign.finetune._settle import SPARE
from codesign.fixed import Codes
from codesign.graph import Graph
from codesign.network import QuantizedNetwork
from codesign.quantized import Quantized
from codesign.torch_forward import mean_loss, split_tensors, to_tensors

#: Samples of a split that are evaluated at once.
AT_ONCE = 4096


@dataclass(frozen=True)
class Picked:
    """A network in integers.

    Args:
        quantized: The network.
        cost: Counted from its integers.
        loss: Mean validation loss.
        index: The point that it is of.
        settled: Whether it was changed to meet a budget.
        notices: What to know of it.
    """

    quantized: Quantized
    cost: float
    loss: float
    index: int
    settled: bool
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What to pick.

    Args:
        budget: Most cost, of the kind that was trained with.
        luts: Most LUTs, by the estimate.
        point: A number, from 1.
        candidates: Points that are brought to a budget.
    """

    budget: float | None = None
    luts: float | None = None
    point: int | None = None
    candidates: int = 6


def pick(points: Points, wanted: Wanted, dataset: Dataset, where: str) -> Picked:
    """The network for a budget, a point by its number, or the one with the least validation loss.

    Args:
        points: What was trained.
        wanted: Which of it.
        dataset: Has the validation split.
        where: The pass, for messages.

    Raises:
        InputError: There is no such point, or the budget is below the cheapest.
    """
    trained, point = points.points, wanted.point
    if point is not None and not 1 <= point <= len(trained):
        raise InputError(f"{where}, point", f"{point}", f"1 to {len(trained)}, the points that were trained")
    if wanted.budget is not None:
        unit = of_cost(points, f"{where}, budget")
        return _at(points, unit, wanted.budget, wanted.candidates, dataset)
    if wanted.luts is not None:
        unit = of_luts(points, f"{where}, luts")
        return _at(points, unit, wanted.luts, wanted.candidates, dataset)
    index = min(range(len(trained)), key=lambda place: trained[place].loss) if point is None else point - 1
    made, given = points.integers(index)
    return Picked(made, count(points.network, given), _evaluated(made, dataset), index, settled=False)


def _at(points: Points, unit: Unit, budget: float, candidates: int, dataset: Dataset) -> Picked:
    """Of the points with the nearest costs, each brought to the budget, the one with the least loss."""
    if budget < (cheapest := min(unit.costs)):
        found, least = (
            f"{amount(budget)} {unit.name}",
            f"at least {ceil(cheapest):,}, for the cheapest that was trained",
        )
        raise InputError(
            unit.where, found, least, "raise it, or train down to it: lower finetune.per_weight.lowest, more steps"
        )
    nearest = sorted(range(len(unit.costs)), key=lambda place: abs(log(max(unit.costs[place], 1) / budget)))
    tried: list[tuple[bool, float, float, Picked]] = []
    for index in nearest[:candidates]:
        (made, given), cost = unit.bring(points, index, budget, unit.costs[index])
        picked = Picked(made, count(points.network, given), _evaluated(made, dataset), index, settled=True)
        if cost <= budget:
            tried.append((cost < (1 - SPARE) * budget, picked.loss, cost, picked))
    if not tried:
        found = f"{amount(budget)} {unit.name}, which none of {candidates} points could be brought to"
        raise InputError(unit.where, found, "more", "raise it, or finetune.pick.candidates")
    missed, _, cost, picked = min(tried, key=lambda each: each[:2])
    allowed = f"{amount(cost)} of the {amount(budget)} {unit.name} allowed"
    told = [f"trained point {picked.index + 1} of {len(points.points)}, brought to {allowed}"]
    fits = (place for place, own in enumerate(unit.costs) if own <= budget)
    best = min(fits, key=lambda place: points.points[place].loss)
    if points.points[best].loss < picked.loss:
        cheaper = f"takes {amount(unit.costs[best])}, with less validation loss"
        told.append(f"trained point {best + 1} {cheaper}: finetune.pick.point = {best + 1}")
    if missed:
        told.append(f"the budget of {amount(budget)} {unit.name} is not used up: the network takes {amount(cost)}")
    return replace(picked, notices=tuple(told))


@torch.no_grad()
def _evaluated(made: Quantized, dataset: Dataset) -> float:
    """Mean loss on the validation split."""
    inputs, wanted = split_tensors(dataset.split("validation"))
    network = QuantizedNetwork(made.graph, made.formats)
    parameters = network.quantized_parameters(to_tensors(values_of(made)))
    outputs = [
        network.forward(parameters, network.quantized_inputs([x[first : first + AT_ONCE] for x in inputs]))[0]
        for first in range(0, len(wanted), AT_ONCE)
    ]
    return float(mean_loss(torch.cat(outputs), wanted))


def values_of(made: Quantized) -> dict[str, FloatArray]:
    """Real values of parameters; float32 holds each of them."""
    codes = {name: Codes(values, made.formats[name].fraction) for name, values in made.codes.items()}
    return {name: cast(FloatArray, each.real().astype(np.float32)) for name, each in codes.items()}


def without_bits(graph: Graph, made: Quantized, left: Mapping[str, IntArray]) -> list[str]:
    """What to tell of layers of which nothing, or not all, is left.

    Args:
        graph: The network.
        made: All of it in integers.
        left: Units that are left, by layer, where others were taken out.
    """
    told: list[str] = []
    for node in graph.weighted():
        weight = made.codes[node.op.parameters()["weight"]]
        count = len(weight)
        dead = np.flatnonzero(~weight.reshape(count, -1).any(1))
        if len(dead) == count:
            told.append(f"layer {node.name!r}: all weights are zero, so that its outputs are the same for every input")
        if node.name in left:
            gone = np.setdiff1d(np.arange(count), left[node.name])
            stay = np.intersect1d(dead, left[node.name])
            constant = f"; without weights, but constant, and left: {_few(stay)}" if len(stay) else ""
            taken = f"dead and taken out: {len(gone)} of {count} units ({_few(gone)})"
            told.append(f"layer {node.name!r}: {taken}{constant}")
        elif 0 < len(dead) < count:
            told.append(f"layer {node.name!r}: without weights: {len(dead)} of {count} units ({_few(dead)})")
    return told


def _few(units: IntArray) -> str:
    return ", ".join(map(str, units[:8].tolist())) + (f" and {len(units) - 8} more" if len(units) > 8 else "")
