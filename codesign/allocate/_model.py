"""The allocation problem of a network: what each choice is expected to lose, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from codesign.allocate._cost_tables import CostTables, Nonzeros
from codesign.allocate._decisions import Choice
from codesign.allocate._pieces import Piece
from codesign.allocate._problem import BlackBox, Cost, Picks, Problem, Quantity, Sum, Term
from codesign.allocate.costs import Cost as CostModel
from codesign.allocate.counting.counts import count
from codesign.design import Point
from codesign.graph import Graph

#: Expected loss increase by piece and bits.
Losses = Mapping[Piece, Mapping[int, float]]


@dataclass(frozen=True)
class Model:
    """Decisions with their loss and costs.

    Args:
        decisions: Per decision its choices.
        loss: Expected loss increase of an assignment.
        costs: Costs by name.
        channels: Output channels of each weight whose channels have widths of their own, by tensor name.
        weights: Names of the tensors that are weights.
    """

    decisions: tuple[tuple[Choice, ...], ...]
    loss: Quantity
    costs: dict[str, Cost]
    channels: dict[str, int]
    weights: frozenset[str] = frozenset()

    def problem(self) -> Problem:
        """Least loss, without a bound yet."""
        return Problem(tuple(len(choices) for choices in self.decisions), self.loss)

    def bits(self, picks: Picks) -> dict[str, int | tuple[int, ...]]:
        """Bits of every tensor for an assignment."""
        whole: dict[str, int | tuple[int, ...]] = {}
        parts: dict[str, list[int]] = {name: [0] * count for name, count in self.channels.items()}
        for choices, pick in zip(self.decisions, picks, strict=True):
            for piece, bits in choices[pick].items():
                if piece.channels is None:
                    whole[piece.tensor] = bits
                else:
                    first, end = piece.channels
                    parts[piece.tensor][first:end] = [bits] * (end - first)
        return whole | {name: tuple(bits) for name, bits in parts.items()}

    def point(self, picks: Picks, gap: float | None) -> Point:
        """An assignment spelt out.

        Args:
            picks: One choice index per decision.
            gap: How far its loss can be from the least at its cost; None if nothing is proven.
        """
        costs = {name: cost.value(picks) for name, cost in self.costs.items()}
        return Point(self.loss.value(picks), costs, self.bits(picks), gap)


def make_model(
    graph: Graph,
    decisions: list[tuple[Choice, ...]],
    losses: Losses,
    nonzeros: Nonzeros,
    models: Mapping[str, CostModel],
) -> Model:
    """Set up the model of a network.

    Args:
        graph: The network.
        decisions: Per decision, its choices.
        losses: Expected loss increases; pieces that are not listed cost no loss.
        nonzeros: Weights that are left at each width.
        models: Cost models by name.
    """
    terms = [
        Term((index,), np.array([losses[piece][choice[piece]] for choice in choices], np.float64))
        for index, choices in enumerate(decisions)
        for piece in choices[0]
        if piece in losses
    ]
    pieces = [piece for choices in decisions for piece in choices[0]]
    channels = {piece.tensor: len(graph.parameters[piece.tensor]) for piece in pieces if piece.channels is not None}
    costs: dict[str, Cost] = {}
    loss = Quantity("loss", (Sum(tuple(terms)),))
    model = Model(tuple(decisions), loss, costs, channels, frozenset(piece.tensor for piece in nonzeros))
    tables = CostTables.of(graph, decisions, nonzeros)
    for name, cost in models.items():
        if cost.form == "black box":
            costs[name] = BlackBox(name, partial(_whole, graph, model, nonzeros, cost))
        else:
            costs[name] = tables.quantity(name, cost)
    return model


def _whole(graph: Graph, model: Model, nonzeros: Nonzeros, cost: CostModel, picks: Picks) -> float:
    """The cost of an assignment of which no table can be made."""
    left: dict[str, list[int]] = {}
    for choices, pick in zip(model.decisions, picks, strict=True):
        for piece, bits in choices[pick].items():  # pieces of a tensor come in the order of their channels
            if piece in nonzeros:
                left.setdefault(piece.tensor, []).extend(nonzeros[piece][bits])
    return cost.total(count(graph, model.bits(picks), {name: tuple(counts) for name, counts in left.items()}))
