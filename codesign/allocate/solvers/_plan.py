"""The order in which decisions are eliminated, many at a time, and the tables that this takes."""

from collections import defaultdict
from dataclasses import dataclass, field
from math import prod

import numpy as np

from codesign.allocate.solvers._linear import Ints, Linear

#: Larger tables are not made.
LARGEST = 1_000_000
#: Nor more entries than this in all of them.
ALTOGETHER = 20_000_000
#: While this share of the decisions has at most one neighbour left, only those are eliminated.
LEAVES = 0.1


#: Shape of a table, and the axes in it of each factor: tables that look alike are made together.
Look = tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]


@dataclass(frozen=True)
class Projection:
    """Where the tables above some decisions of a group come from: rows of another group's.

    Args:
        group: Index of the group of the decisions below.
        below: Their rows in it.
        above: Rows of the tables that are projected.
        axes: Axes of these tables that stay, in their order below.
    """

    group: int
    below: Ints
    above: Ints
    axes: tuple[int, ...]


@dataclass
class Group:
    """Decisions eliminated together: their tables have the same shape.

    Args:
        shape: Choices of the decision, then of its neighbours by ascending index.
        factors: Of each factor, where it starts per decision ``[decisions]``, and its axes in the shape.
        decisions: Their indices ``[decisions]``.
        neighbours: Indices of those that they leave a message to ``[decisions, neighbours]``.
        messages: Where the message goes ``[decisions]``.
        projections: To the groups below.
    """

    shape: tuple[int, ...]
    factors: list[tuple[Ints, tuple[int, ...]]]
    decisions: Ints
    neighbours: Ints
    messages: Ints
    projections: list[Projection] = field(default_factory=list[Projection])


@dataclass(frozen=True)
class Plan:
    """Groups in order, and the number of places that factors and messages take; the last place is for constants."""

    groups: list[Group]
    places: int


@dataclass
class _Step:
    decision: int
    others: tuple[int, ...]
    scopes: list[tuple[int, ...]]
    place: int


def plan(linear: Linear) -> Plan | None:
    """An order of small degrees; None if its tables are too large.

    A decision with at most two neighbours never makes the others more entangled than they were, so all such decisions
    that are no neighbours of one another go at the same time: chains of any length take a logarithmic number of rounds.
    """
    count, sizes = len(linear.sizes), linear.sizes.tolist()
    slots: dict[tuple[int, ...], int] = {(i,): int(start) for i, start in enumerate(linear.starts[:-1])}
    pairs: list[tuple[int, int]] = [(int(i), int(j)) for i, j in linear.pairs]
    slots |= {pair: int(start) for pair, start in zip(pairs, linear.pair_starts[:-1], strict=True)}
    scopes: list[set[tuple[int, ...]]] = [{(i,)} for i in range(count)]
    near = [set[int]() for _ in range(count)]
    for i, j in pairs:
        scopes[i].add((i, j))
        scopes[j].add((i, j))
        near[i].add(j)
        near[j].add(i)
    end, altogether, left, rounds = int(linear.pair_starts[-1]), 0, list(range(count)), list[list[_Step]]()
    while left:
        steps: list[_Step] = []
        for v in _independent(left, near):
            others = tuple(sorted(near[v]))
            size = sizes[v] * prod(sizes[other] for other in others)
            altogether += size
            if size > LARGEST or altogether > ALTOGETHER:
                return None
            if others and others not in slots:
                slots[others] = end
                end += size // sizes[v]
            steps.append(
                _Step(v, others, sorted(scopes[v], key=lambda scope: (len(scope), scope)), slots.get(others, -1))
            )
            for other in others:
                scopes[other] = {scope for scope in scopes[other] if v not in scope} | {others}
                near[other] = (near[other] | set(others)) - {v, other}
        gone = {step.decision for step in steps}
        left = [v for v in left if v not in gone]
        rounds.append(steps)
    return Plan(_groups(rounds, slots, sizes, end), end + 1)


def _independent(left: list[int], near: list[set[int]]) -> list[int]:
    """Decisions of small degree that are no neighbours of one another."""
    degrees = {v: len(near[v]) for v in left}
    least = min(degrees.values())
    most = least
    if least <= 1:
        leaves = sum(degree <= 1 for degree in degrees.values())
        most = 1 if leaves >= LEAVES * len(left) else 2
    chosen: list[int] = []
    blocked: set[int] = set()
    for v in sorted((v for v in left if degrees[v] <= most), key=lambda v: degrees[v]):
        if v not in blocked:
            chosen.append(v)
            blocked |= near[v]
    return chosen


def _groups(
    rounds: list[list[_Step]], slots: dict[tuple[int, ...], int], sizes: list[int], constant: int
) -> list[Group]:
    groups: list[Group] = []
    home: dict[int, tuple[int, int]] = {}
    order: dict[int, int] = {}
    every: list[_Step] = []
    for steps in rounds:
        alike: dict[Look, list[_Step]] = defaultdict(list)
        for step in steps:
            joint = (step.decision, *step.others)
            axes = tuple(tuple(joint.index(i) for i in scope) for scope in step.scopes)
            alike[tuple(sizes[i] for i in joint), axes].append(step)
        for (shape, axes), same in alike.items():
            factors = [(np.array([slots[step.scopes[k]] for step in same]), own) for k, own in enumerate(axes)]
            messages = np.array([step.place if step.others else constant for step in same])
            neighbours = np.array([step.others for step in same], np.int64).reshape(len(same), -1)
            for row, step in enumerate(same):
                home[step.decision] = len(groups), row
            groups.append(Group(shape, factors, np.array([step.decision for step in same]), neighbours, messages))
        for step in steps:
            order[step.decision] = len(every)
            every.append(step)
    below: dict[tuple[int, int, tuple[int, ...]], list[tuple[int, int]]] = defaultdict(list)
    for step in every:
        if step.others:  # the first of the others to go has all of them in its table
            parent = every[min(order[other] for other in step.others)]
            joint = (parent.decision, *parent.others)
            (above, row), (own, at) = home[parent.decision], home[step.decision]
            below[above, own, tuple(joint.index(i) for i in step.others)].append((at, row))
    for (above, own, axes), rows in below.items():
        table = np.array(rows)
        groups[above].projections.append(Projection(own, table[:, 0], table[:, 1], axes))
    return groups
