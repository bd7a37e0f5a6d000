"""The allocation problem of a network: what each choice is expected to lose, and what it costs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from codesign.allocate._counting import Counting
from codesign.allocate._decisions import Choice
from codesign.allocate._pieces import Piece
from codesign.allocate._problem import BlackBox, Cost, Picks, Problem, Quantity, Sum, Term
from codesign.allocate.costs._cost import Activation, Counted, Part
from codesign.allocate.costs._cost import Cost as CostModel
from codesign.design import Point

#: Expected loss increase by piece and bits.
Losses = Mapping[Piece, Mapping[int, float]]
#: Weights that are not zero, per output channel of a piece (or in all), by piece and bits.
Nonzeros = Mapping[Piece, Mapping[int, tuple[int, ...]]]


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
        widths: dict[str, Any] = {name: [0] * count for name, count in self.channels.items()}
        for choices, pick in zip(self.decisions, picks, strict=True):
            for piece, bits in choices[pick].items():
                if piece.channels is None:
                    widths[piece.tensor] = bits
                else:
                    first, end = piece.channels
                    widths[piece.tensor][first:end] = [bits] * (end - first)
        return {name: tuple(bits) if isinstance(bits, list) else bits for name, bits in widths.items()}

    def point(self, picks: Picks, gap: float | None) -> Point:
        """An assignment spelt out.

        Args:
            picks: One choice index per decision.
            gap: How far its loss can be from the least at its cost; None if nothing is proven.
        """
        costs = {name: cost.value(picks) for name, cost in self.costs.items()}
        return Point(self.loss.value(picks), costs, self.bits(picks), gap)


def make_model(
    counting: Counting,
    decisions: list[tuple[Choice, ...]],
    losses: Losses,
    nonzeros: Nonzeros,
    models: Mapping[str, CostModel],
) -> Model:
    """Set up the model of a network.

    Args:
        counting: The network, as costs see it.
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
    channels = {
        piece.tensor: counting.channels(piece.tensor)
        for choices in decisions
        for piece in choices[0]
        if piece.channels is not None
    }
    tables = _Tables(counting, decisions, nonzeros)
    made: dict[str, Cost] = {}
    model = Model(tuple(decisions), Quantity("loss", (Sum(tuple(terms)),)), made, channels, frozenset(counting.weights.values()))
    for name, cost in models.items():
        if cost.form == "black box":
            made[name] = BlackBox(name, lambda picks, cost=cost: cost.total(tables.counted(picks)))
        else:
            made[name] = tables.quantity(name, cost)
    return model


@dataclass(frozen=True)
class _Tables:
    """Makes the terms of costs: one per part of a node, and one per activation."""

    counting: Counting
    decisions: list[tuple[Choice, ...]]
    nonzeros: Nonzeros

    def quantity(self, name: str, cost: CostModel) -> Quantity:
        """A cost as one sum, or as one per path."""
        activations = [
            Term((index,), np.array([cost.activation(self._activation(piece, c[piece])) for c in self.decisions[index]]))
            for piece, index in self._owners.items()
            if piece.tensor in self.counting.elements
        ]
        parts = {node: self._parts(node, cost.of_part) for node in self.counting.weights}
        ways = [frozenset(parts)] if cost.form == "sum" else list(self.counting.paths)
        sums = [Sum((*activations, *(term for node in parts if node in way for term in parts[node]))) for way in ways]
        return Quantity(name, tuple(sums))

    def counted(self, picks: Picks) -> Counted:
        """A whole assignment as a black box sees it."""
        chosen = [choices[pick] for choices, pick in zip(self.decisions, picks, strict=True)]
        bits = {piece: width for choice in chosen for piece, width in choice.items()}
        parts = [
            part
            for node in self.counting.weights
            for piece in self._owners
            if piece.tensor == self.counting.weights[node]
            for part in self._at(node, piece, bits[piece], bits[Piece(self.counting.sources[node])])
        ]
        activations = [self._activation(piece, width) for piece, width in bits.items() if piece.tensor in self.counting.elements]
        return Counted(tuple(parts), tuple(activations), self.counting.paths)

    @cached_property
    def _owners(self) -> dict[Piece, int]:
        """The decision that settles each piece."""
        return {piece: index for index, choices in enumerate(self.decisions) for piece in choices[0]}

    def _activation(self, piece: Piece, bits: int) -> Activation:
        return Activation(piece.tensor, self.counting.elements[piece.tensor], bits)

    def _at(self, node: str, piece: Piece, weight_bits: int, activation_bits: int) -> list[Part]:
        """The parts of a node that a piece of its weights makes: one, or one per channel."""
        nonzero = self.nonzeros[piece][weight_bits]
        return self.counting.parts(node, piece.channels, weight_bits, activation_bits, nonzero)

    def _parts(self, node: str, cost: Callable[[Part], float]) -> list[Term]:
        """One term per part; of one decision where weights and input are decided together."""
        owners = self._owners
        source = Piece(self.counting.sources[node])
        j = owners[source]
        terms: list[Term] = []
        for piece, i in owners.items():
            if piece.tensor != self.counting.weights[node]:
                continue
            if i == j:
                costs = [[cost(p) for p in self._at(node, piece, c[piece], c[source])] for c in self.decisions[i]]
                terms += [Term((i,), column) for column in np.array(costs, np.float64).T]
            else:
                grid = [
                    [[cost(p) for p in self._at(node, piece, a[piece], b[source])] for b in self.decisions[j]]
                    for a in self.decisions[i]
                ]
                terms += [Term((i, j), table) for table in np.moveaxis(np.array(grid, np.float64), 2, 0)]
        return terms
