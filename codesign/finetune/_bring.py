"""What budgets are in, and how a trained point is brought to one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from codesign.estimate.model.hardware import estimate_layers
from codesign.finetune._exact import Integers, count
from codesign.finetune._points import Points
from codesign.finetune._settle import SPARE, settled
from codesign.quantized import Quantized

#: A network and the integers that it is made of.
Network = tuple[Quantized, Integers]
#: How often the interval of costs is halved at most, for a budget in LUTs.
HALVINGS = 20


@dataclass(frozen=True)
class Unit:
    """What a budget is in.

    Args:
        where: The option, for messages.
        name: The unit's.
        costs: Of each point, in it.
        bring: Changes a point, by its index, until it meets a budget; gives what it costs then, too.
    """

    where: str
    name: str
    costs: Sequence[float]
    bring: Callable[[Points, int, float, float], tuple[Network, float]]


def of_cost(points: Points, where: str) -> Unit:
    """The cost that was trained with."""
    return Unit(where, points.network.cost_name, [each.cost for each in points.points], _to_budget)


def of_luts(points: Points, where: str) -> Unit:
    """LUTs, by the estimate of `estimate.resources`."""
    costs = [_luts(points.integers(index)[0]) for index in range(len(points.points))]
    return Unit(where, "LUTs (estimated)", costs, _to_luts)


def _to_budget(points: Points, index: int, budget: float, cost: float) -> tuple[Network, float]:
    """A point brought to a budget of its own cost, and what it costs then."""
    trained = points.points[index]
    found = settled(points.network, trained.vector, trained.square, budget)
    return found, count(points.network, found[1])


def _to_luts(points: Points, index: int, luts: float, cost: float) -> tuple[Network, float]:
    """A point brought to estimated LUTs, by halving the interval of its own cost in which they lie."""
    best = points.integers(index), cost
    low, high, aim = 0.0, inf, points.points[index].cost * luts / max(cost, 1.0)
    for _ in range(HALVINGS):
        made, _ = _to_budget(points, index, aim, cost)
        found = _luts(made[0])
        low, high = (aim, high) if found <= luts else (low, aim)
        if best[1] > luts or best[1] < found <= luts:
            best = made, found
        if (1 - SPARE) * luts <= found <= luts:
            break
        aim = (low + high) / 2 if low > 0 and high < inf else aim * luts / max(found, 1.0) * (1 - SPARE / 2)
    return best


def _luts(made: Quantized) -> float:
    return sum(estimate_layers(made).values())
