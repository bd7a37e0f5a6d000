"""Tensors in the order in which a metric finds them sensitive, and where two metrics disagree."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import hypot

from codesign.design import Sensitivity
from codesign.graph import Graph

#: Two tensors are in order if they are this many standard errors apart.
SIGNIFICANT = 2.0


@dataclass(frozen=True)
class Ranked:
    """A tensor's place by one metric.

    Args:
        tensor: Its name.
        figure: What it is ranked by: a trace per element, an eigenvalue, a loss increase.
        error: Standard error of the figure.
    """

    tensor: str
    figure: float
    error: float


@dataclass(frozen=True)
class Disagreement:
    """Two tensors that some metrics rank one way and some the other, each by more than its errors.

    Args:
        one, other: The tensors.
        above: Metrics that rank ``one`` above ``other``.
        below: Metrics that rank it below.
    """

    one: str
    other: str
    above: tuple[str, ...]
    below: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.one} above {self.other} by {', '.join(self.above)}; below it by {', '.join(self.below)}"


def groups(graph: Graph) -> dict[str, list[str]]:
    """Tensors that are compared with each other: weights, and activations. Biases take no part in choosing bits."""
    weights = graph.weights()
    return {"weights": weights, "activations": graph.activations()}


def ranking(found: Sensitivity, tensors: list[str]) -> list[Ranked]:
    """The most sensitive first; tensors without a score are left out."""
    scores = found.scores
    places = [_figure(found, name) for name in tensors if name in scores]
    return sorted(places, key=lambda place: -place.figure)


def _figure(found: Sensitivity, name: str) -> Ranked:
    score = found.scores[name]
    per = score.size if found.quantity == "trace" else 1
    return Ranked(name, score.value / per, score.stderr / per)


def unit(found: Sensitivity) -> str:
    """What the figures of a metric are."""
    if found.quantity == "loss_increase":
        return f"loss increase at {found.ranking_bits} bits"
    return "trace per element" if found.quantity == "trace" else "largest eigenvalue"


def disagreements(metrics: Mapping[str, Sensitivity], tensors: list[str]) -> list[Disagreement]:
    """Every pair of tensors that metrics put in opposite orders."""
    orders = {name: _order(found, tensors) for name, found in metrics.items()}
    found: list[Disagreement] = []
    for one, other in combinations(tensors, 2):
        above = tuple(name for name, order in orders.items() if (one, other) in order)
        below = tuple(name for name, order in orders.items() if (other, one) in order)
        if above and below:
            found.append(Disagreement(one, other, above, below))
    return found


def _order(found: Sensitivity, tensors: list[str]) -> set[tuple[str, str]]:
    """Pairs (above, below) that are in order beyond their errors."""
    return {
        (a.tensor, b.tensor)
        for a, b in combinations(ranking(found, tensors), 2)
        if a.figure - b.figure > SIGNIFICANT * hypot(a.error, b.error)
    }
