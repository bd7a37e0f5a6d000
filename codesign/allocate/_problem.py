"""The allocation problem: one choice per decision, and quantities that are sums over decisions and pairs of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import fsum, inf

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
#: One choice index per decision.
Picks = Sequence[int]


@dataclass(frozen=True, eq=False)
class Term:
    """A number that one decision, or two of them together, settle.

    Args:
        decisions: Index of the decision, or of both.
        table: The number per choice ``[first]``, or per pair of choices ``[first, second]``.
    """

    decisions: tuple[int, ...]
    table: Float64


@dataclass(frozen=True, eq=False)
class Sum:
    """A sum of terms, evaluated as if with infinite precision, so that the order of the terms does not matter.

    Args:
        terms: What is summed.
    """

    terms: tuple[Term, ...]

    def value(self, picks: Picks) -> float:
        """The sum for an assignment."""
        return fsum(float(term.table[tuple([picks[i] for i in term.decisions])]) for term in self.terms)

    @cached_property
    def unary(self) -> dict[int, Float64]:
        """What single decisions settle ``[choices]``, terms added up."""
        return self._merged(1)  # type: ignore[return-value]

    @cached_property
    def pairs(self) -> dict[tuple[int, int], Float64]:
        """What pairs of decisions settle ``[first, second]``, the lower index first, terms added up."""
        return self._merged(2)  # type: ignore[return-value]

    def _merged(self, count: int) -> dict[object, Float64]:
        found: dict[object, Float64] = {}
        for term in self.terms:
            if len(term.decisions) != count:
                continue
            if count == 1:
                key: object = term.decisions[0]
                table = term.table
            else:
                first, second = term.decisions
                key, table = ((first, second), term.table) if first < second else ((second, first), term.table.T)
            found[key] = found[key] + table if key in found else table
        return found


@dataclass(frozen=True, eq=False)
class Quantity:
    """A loss or a cost: the largest of one or more sums (of several, for the longest path through a network).

    Args:
        name: What it is, for messages.
        sums: At least one.
    """

    name: str
    sums: tuple[Sum, ...]

    def value(self, picks: Picks) -> float:
        """The quantity for an assignment."""
        return max(each.value(picks) for each in self.sums)


@dataclass(frozen=True, eq=False)
class BlackBox:
    """A cost that is no sum: a function of the whole assignment.

    Args:
        name: What it is, for messages.
        function: The cost of an assignment.
    """

    name: str
    function: Callable[[Picks], float]

    def value(self, picks: Picks) -> float:
        """The cost of an assignment."""
        return self.function(picks)


Cost = Quantity | BlackBox


@dataclass(frozen=True, eq=False)
class Bound:
    """A cost with the most that it may be."""

    cost: Cost
    most: float

    def met(self, picks: Picks) -> bool:
        """Whether an assignment is within it."""
        return self.most == inf or self.cost.value(picks) <= self.most


@dataclass(frozen=True, eq=False)
class Problem:
    """Minimize a quantity under bounds on others.

    Args:
        sizes: Number of choices of each decision.
        objective: What to minimize.
        bounds: What must be met.
    """

    sizes: tuple[int, ...]
    objective: Cost
    bounds: tuple[Bound, ...] = ()

    def feasible(self, picks: Picks) -> bool:
        """Whether an assignment meets every bound, by exact recount."""
        return all(bound.met(picks) for bound in self.bounds)

    def value(self, picks: Picks) -> float:
        """The objective of an assignment."""
        return self.objective.value(picks)

    def bounded(self, *more: Bound) -> "Problem":
        """With more bounds."""
        return replace(self, bounds=(*self.bounds, *more))

    def minimizing(self, objective: Cost) -> "Problem":
        """With another objective under the same bounds."""
        return replace(self, objective=objective)

    @property
    def assignments(self) -> float:
        """How many there are, as a float: it may be astronomical."""
        return float(np.prod(np.array(self.sizes, np.float64)))
