"""Costs as tables over choices: one term per part of a node with weights, and one per activation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from codesign.allocate._decisions import Choice
from codesign.allocate._pieces import Piece
from codesign.allocate._problem import Quantity, Sum, Term
from codesign.allocate.costs import Activation, Cost
from codesign.allocate.counting.counts import Template, paths, templates
from codesign.graph import Graph

#: Weights that are not zero, per output channel of a piece (or in all), by piece and bits.
Nonzeros = Mapping[Piece, Mapping[int, tuple[int, ...]]]


@dataclass(frozen=True)
class CostTables:
    """What is needed to make the tables of a cost.

    Args:
        graph: The network.
        decisions: Per decision, its choices.
        nonzeros: Weights that are left at each width.
        nodes: The nodes with weights, by name.
        elements: Elements of each activation for one sample, by name.
    """

    graph: Graph
    decisions: Sequence[tuple[Choice, ...]]
    nonzeros: Nonzeros
    nodes: dict[str, Template]
    elements: dict[str, int]

    @classmethod
    def of(cls, graph: Graph, decisions: Sequence[tuple[Choice, ...]], nonzeros: Nonzeros) -> "CostTables":
        """For a network."""
        shapes = graph.shapes()
        elements = {name: prod(shapes[name]) for name in graph.activations()}
        return cls(graph, decisions, nonzeros, templates(graph), elements)

    def quantity(self, name: str, cost: Cost) -> Quantity:
        """A cost as one sum, or as one for each way through the network.

        Raises:
            InputError: There are too many ways.
        """
        activations = [
            Term((index,), np.array([cost.activation(self._activation(piece, c)) for c in self.decisions[index]]))
            for piece, index in self._owners.items()
            if piece.tensor in self.elements
        ]
        nodes = {node: self._terms(template, cost) for node, template in self.nodes.items()}
        ways = paths(self.graph) if cost.form == "longest path" else [frozenset(nodes)]
        sums = [[*activations, *(term for node in nodes if node in way for term in nodes[node])] for way in ways]
        return Quantity(name, tuple(Sum(tuple(terms)) for terms in sums))

    @cached_property
    def _owners(self) -> dict[Piece, int]:
        """The decision that settles each piece."""
        return {piece: index for index, choices in enumerate(self.decisions) for piece in choices[0]}

    def _activation(self, piece: Piece, choice: Choice) -> Activation:
        return Activation(piece.tensor, self.elements[piece.tensor], choice[piece])

    def _terms(self, node: Template, cost: Cost) -> list[Term]:
        """Terms of one decision where weights and input are decided together, else of two."""
        source = Piece(node.activation)
        j = self._owners[source]
        terms: list[Term] = []
        for piece, i in self._owners.items():
            if piece.tensor != node.weight:
                continue
            together = i == j
            grid = [
                [
                    self._parts(node, piece, own[piece], other[source], cost)
                    for other in ((own,) if together else self.decisions[j])
                ]
                for own in self.decisions[i]
            ]
            table = np.moveaxis(np.array(grid, np.float64), 2, 0)  # [parts, own, other]
            terms += [Term((i,), each[:, 0]) if together else Term((i, j), each) for each in table]
        return terms

    def _parts(self, node: Template, piece: Piece, weight_bits: int, activation_bits: int, cost: Cost) -> list[float]:
        """The cost of each part that a piece makes of a node: of the whole node, or of each of its channels."""
        counts = self.nonzeros[piece][weight_bits]
        if piece.channels is None:
            return [cost.of_part(node.part(weight_bits, activation_bits, sum(counts)))]
        return [cost.of_part(node.part(weight_bits, activation_bits, count, channels=1)) for count in counts]
