"""The allocation problem: one choice per variable, losses that add up, costs that couple neighbours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from codesign.design import Point
from codesign.graph import Graph

Float64 = npt.NDArray[np.float64]
#: A number per tensor and bits. One of expected loss increases is the interface between sensitivity and allocation.
Table = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class Variable:
    """One decision: the bits of a tensor and of those tied to it.

    Args:
        choices: Bits by tensor name, per choice.
        loss: Expected loss increase per choice.
        weights: Those of the tensors that are weights.
    """

    choices: tuple[dict[str, int], ...]
    loss: Float64
    weights: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Problem:
    """Minimize the summed loss under a bound on the cost.

    Args:
        variables: The decisions.
        unary: Cost per choice of each variable.
        pairs: Cost per pair of choices ``[first, second]``, by pair of variable indices.
    """

    variables: tuple[Variable, ...]
    unary: tuple[Float64, ...]
    pairs: dict[tuple[int, int], Float64] = field(default_factory=dict[tuple[int, int], Float64])

    def nonnegative(self) -> "Problem":
        """The same choices with every variable's least loss as zero, where measured losses are below it."""
        if all((variable.loss >= 0).all() for variable in self.variables):
            return self
        return replace(self, variables=tuple(replace(v, loss=v.loss - v.loss.min()) for v in self.variables))

    def loss(self, picks: list[int]) -> float:
        """Predicted loss increase of an assignment, one choice index per variable."""
        return float(sum(variable.loss[pick] for variable, pick in zip(self.variables, picks, strict=True)))

    def cost(self, picks: list[int]) -> float:
        """Cost of an assignment."""
        own = sum(unary[pick] for unary, pick in zip(self.unary, picks, strict=True))
        return float(own + sum(table[picks[i], picks[j]] for (i, j), table in self.pairs.items()))

    def point(self, picks: list[int]) -> Point:
        """The assignment with its bits spelt out."""
        bits = {
            name: width
            for variable, pick in zip(self.variables, picks, strict=True)
            for name, width in variable.choices[pick].items()
        }
        return Point(self.loss(picks), self.cost(picks), bits)


def make_problem(
    graph: Graph,
    choices: list[tuple[dict[str, int], ...]],
    losses: Table,
    layer_cost: Callable[[str, int, int], float],
) -> Problem:
    """Set up the problem for a graph.

    Args:
        graph: The network.
        choices: Per variable, its choices as bits by tensor name.
        losses: Expected loss increase by tensor and bits; tensors that are not listed cost no loss.
        layer_cost: Cost of a weighted node, by its name, weight bits and input activation bits.
    """
    owner = {name: index for index, variable in enumerate(choices) for name in variable[0]}
    variables = tuple(
        Variable(
            variable,
            np.array([sum(losses[n][b] for n, b in bits.items() if n in losses) for bits in variable], np.float64),
            frozenset(variable[0]) & frozenset(graph.parameters),
        )
        for variable in choices
    )
    unary = [np.zeros(len(variable)) for variable in choices]
    pairs: dict[tuple[int, int], Float64] = {}
    for node in graph.weighted():
        weight, activation = node.op.parameters()["weight"], graph.origin(node.inputs[0])
        i, j = owner[weight], owner[activation]
        if i == j:
            unary[i] += [layer_cost(node.name, bits[weight], bits[activation]) for bits in choices[i]]
        else:
            table = [[layer_cost(node.name, a[weight], b[activation]) for b in choices[j]] for a in choices[i]]
            pairs[i, j] = pairs.get((i, j), 0.0) + np.array(table, np.float64)
    return Problem(variables, tuple(unary), pairs)
