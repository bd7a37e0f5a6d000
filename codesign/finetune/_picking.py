"""Choosing among trained points."""

from dataclasses import dataclass
from math import log
from typing import cast

import numpy as np
import torch

from codesign.arrays import FloatArray
from codesign.describe import amount
from codesign.design import Dataset
from codesign.errors import InputError
from codesign.finetune._anneal import judged
from codesign.finetune._exact import count
from codesign.finetune._front import Trial
from codesign.finetune._points import Points
from codesign.finetune._settle import SPARE, settled
from codesign.fixed import Codes
from codesign.graph import Graph
from codesign.network import QuantizedNetwork
from codesign.quantized import Quantized
from codesign.torch_forward import split_tensors, to_tensors

#: Samples of a split that are evaluated at once.
AT_ONCE = 4096


@dataclass(frozen=True)
class Picked:
    """A network in integers.

    Args:
        quantized: The network.
        cost: Counted from its integers.
        loss: Mean validation loss.
        error: Share of validation samples in a wrong class, or the loss again.
        index: The point that it is of.
        settled: Whether it was changed to meet a budget.
        notices: What to know of it.
    """

    quantized: Quantized
    cost: float
    loss: float
    error: float
    index: int
    settled: bool
    notices: tuple[str, ...] = ()


def pick(
    points: Points, budget: float | None, point: int | None, candidates: int, dataset: Dataset, where: str
) -> Picked:
    """The network for a budget, a point by its number, or the one with the fewest errors.

    Args:
        points: What was trained.
        budget: Most cost.
        point: A number, from 1.
        candidates: Points that are brought to a budget.
        dataset: Has the validation split.
        where: The pass, for messages.

    Raises:
        InputError: There is no such point, or the budget is below the cheapest.
    """
    trained = points.points
    if point is not None and not 1 <= point <= len(trained):
        raise InputError(f"{where}, point", f"{point}", f"1 to {len(trained)}, the points of the front")
    if budget is None:
        index = min(range(len(trained)), key=lambda place: trained[place].error) if point is None else point - 1
        made, given = points.integers(index)
        return Picked(made, count(points.network, given), *_evaluated(made, dataset), index, settled=False)
    name, cheapest = points.network.cost_name, trained[0].cost
    if budget < cheapest:
        found = f"{amount(budget)} {name}"
        step = "raise it, or train down to it: finetune.per_weight.lowest"
        raise InputError(f"{where}, budget", found, f"at least {amount(cheapest)}, the cheapest that was trained", step)
    nearest = sorted(range(len(trained)), key=lambda place: abs(log(max(trained[place].cost, 1) / budget)))
    made = [_settled(points, trained[index], index, budget, dataset) for index in nearest[:candidates]]
    best = min(made, key=lambda each: (not _met(each, budget), each.error))
    return best if _met(best, budget) else _short(best, budget, name)


def _met(picked: Picked, budget: float) -> bool:
    return (1 - SPARE) * budget <= picked.cost <= budget


def _short(picked: Picked, budget: float, name: str) -> Picked:
    told = f"the budget of {amount(budget)} {name} is not used up: the network takes {amount(picked.cost)}"
    return Picked(picked.quantized, picked.cost, picked.loss, picked.error, picked.index, picked.settled, (told,))


def _settled(points: Points, trained: Trial, index: int, budget: float, dataset: Dataset) -> Picked:
    made, given = settled(points.network, trained.vector, trained.square, budget)
    return Picked(made, count(points.network, given), *_evaluated(made, dataset), index, settled=True)


@torch.no_grad()
def _evaluated(made: Quantized, dataset: Dataset) -> tuple[float, float]:
    """Mean loss and share of errors on the validation split."""
    inputs, wanted = split_tensors(dataset.split("validation"))
    network = QuantizedNetwork(made.graph, made.formats)
    parameters = network.quantized_parameters(to_tensors(values_of(made)))
    outputs = [
        network.forward(parameters, network.quantized_inputs([x[first : first + AT_ONCE] for x in inputs]))[0]
        for first in range(0, len(wanted), AT_ONCE)
    ]
    loss, error = judged(torch.cat(outputs), wanted)
    return float(loss), float(error)


def values_of(made: Quantized) -> dict[str, FloatArray]:
    """Real values of parameters; float32 holds each of them."""
    codes = {name: Codes(values, made.formats[name].fraction) for name, values in made.codes.items()}
    return {name: cast(FloatArray, each.real().astype(np.float32)) for name, each in codes.items()}


def without_bits(graph: Graph, made: Quantized) -> list[str]:
    """What to tell of layers of which nothing, or not all, is left."""
    told: list[str] = []
    for node in graph.weighted():
        weight = made.codes[node.op.parameters()["weight"]]
        dead = np.flatnonzero(~weight.reshape(len(weight), -1).any(1)).tolist()
        if len(dead) == len(weight):
            told.append(f"layer {node.name!r}: all weights are zero, so that its outputs are the same for every input")
        elif dead:
            some = ", ".join(map(str, dead[:8])) + (f" and {len(dead) - 8} more" if len(dead) > 8 else "")
            told.append(f"layer {node.name!r}: {len(dead)} of {len(weight)} units have no weights left ({some})")
    return told
