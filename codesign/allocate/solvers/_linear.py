"""The linear form of a problem: one 0/1 place per choice, and one per pair of choices of coupled decisions."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from codesign.allocate._problem import Float64

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Linear:
    """Sums as rows of numbers, one per place.

    Places come decision by decision, one per choice; then pair by pair, one per entry of the pair's table
    ``[first, second]`` in C order. An assignment takes one choice per decision, and the entries that belong to them:

        sum(picks) = offset + row @ x,  x[place] = 1 where taken, else 0

    Args:
        sizes: Number of choices ``[decisions]``.
        pairs: Coupled decisions ``[pairs, 2]``, the lower index first.
        objective: Sums of which the largest is to be minimized ``[sums, places]``.
        offsets: What each of them has beside ``[sums]``.
        rows: Sums that are bounded ``[bounds, places]``.
        limits: The most of each, less what it has beside ``[bounds]``.
        rounding: Largest error of each limit ``[bounds]``.
        settled: Choice of every decision of the problem; of those that are still open, any ``[problem's decisions]``.
        decisions: Index of each open decision in the problem ``[decisions]``.
        choices: Index of each choice in the problem's decision ``[choices]``.
    """

    sizes: Ints
    pairs: Ints
    objective: Float64
    offsets: Float64
    rows: Float64
    limits: Float64
    rounding: Float64
    settled: Ints
    decisions: Ints
    choices: Ints

    @cached_property
    def starts(self) -> Ints:
        """First place of each decision, and the end of the last ``[decisions + 1]``."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)

    @property
    def count(self) -> int:
        """How many places are choices."""
        return int(self.starts[-1])

    @cached_property
    def owner(self) -> Ints:
        """Decision of each choice ``[choices]``."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def pair_sizes(self) -> Ints:
        """Entries of each pair's table ``[pairs]``."""
        return self.sizes[self.pairs].prod(axis=1)

    @cached_property
    def pair_starts(self) -> Ints:
        """First place of each pair's table, and the end of the last ``[pairs + 1]``."""
        return self.count + np.concatenate([[0], np.cumsum(self.pair_sizes)]).astype(np.int64)

    @cached_property
    def heads(self) -> Ints:
        """First place of each decision and of each pair ``[decisions + pairs]``."""
        return np.concatenate([self.starts[:-1], self.pair_starts[:-1]])

    @cached_property
    def entry_pair(self) -> Ints:
        """Pair of each entry ``[entries]``."""
        return np.repeat(np.arange(len(self.pairs)), self.pair_sizes)

    @cached_property
    def entry_places(self) -> tuple[Ints, Ints]:
        """Places of the two choices that each entry belongs to, twice ``[entries]``."""
        first, second = self.pairs[self.entry_pair].T
        inside = np.arange(len(self.entry_pair)) - (self.pair_starts[:-1] - self.count)[self.entry_pair]
        return self.starts[first] + inside // self.sizes[second], self.starts[second] + inside % self.sizes[second]

    def places(self, own: Ints) -> Ints:
        """The places that an assignment takes ``[decisions + pairs]``.

        Args:
            own: Choice of each open decision ``[decisions]``.
        """
        first, second = self.pairs.T
        entries = self.pair_starts[:-1] + own[first] * self.sizes[second] + own[second]
        return np.concatenate([self.starts[:-1] + own, entries])

    def picks(self, own: Ints) -> tuple[int, ...]:
        """The assignment of the whole problem, from the choices of the open decisions."""
        picks = self.settled.copy()
        picks[self.decisions] = self.choices[self.starts[:-1] + own]
        return tuple(picks.tolist())

    def least(self, table: Float64) -> tuple[Float64, Float64]:
        """A lower bound of each sum, and how much more it is at least with each choice.

        From every decision and pair its least number is taken, so that the rest is not negative; a choice then costs
        at least its own rest, and the least of what it leaves in each of its pairs.

        Args:
            table: Sums ``[sums, places]``.

        Returns:
            ``[sums]``, ``[sums, choices]``.
        """
        rest, low = self.shifted(table)
        more = rest[:, : self.count].copy()
        if len(self.pairs):
            for side, places in enumerate(self.entry_places):
                # Of every choice, the least entry of each of its pairs: a pair's entries with that choice are a group.
                group = (
                    self.entry_pair * int(self.sizes.max()) + places - self.starts[self.pairs[self.entry_pair, side]]
                )
                order = np.argsort(group, kind="stable")
                heads = np.nonzero(np.diff(group[order], prepend=-1))[0]
                smallest = np.minimum.reduceat(rest[:, self.count :][:, order], heads, axis=1)
                add_at(more, places[order][heads], smallest)
        return low, more

    def shifted(self, table: Float64) -> tuple[Float64, Float64]:
        """The sums less each decision's and pair's least number ``[sums, places]``, and what was taken ``[sums]``."""
        if not len(self.sizes):
            return table, np.zeros(len(table))
        least = np.minimum.reduceat(table, self.heads, axis=1)
        return table - np.repeat(least, np.concatenate([self.sizes, self.pair_sizes]), axis=1), least.sum(axis=1)


def add_at(table: Float64, places: Ints, values: Float64) -> None:
    """Add values to the places of every row, in place; a place may come several times."""
    for row, value in zip(table, values, strict=True):
        np.add.at(row, places, value)


def every(table: Bools) -> Bools:
    """Whether all rows hold."""
    return np.asarray(np.logical_and.reduce(table, axis=0), np.bool_)
