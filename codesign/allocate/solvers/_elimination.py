"""The least of a sum over all assignments, exactly, by eliminating one decision after another.

Bucket elimination (Dechter 1999): a decision goes by taking the minimum over its choices of all that depends on it,
which leaves a table over its neighbours. On trees that is dynamic programming. A second pass, backwards, gives the
least sum with every single choice (min-marginals).
"""

from dataclasses import dataclass

import numpy as np

from codesign.allocate._problem import Float64
from codesign.allocate.solvers._linear import Ints, Linear
from codesign.allocate.solvers._plan import Group, Plan


@dataclass(frozen=True, eq=False)
class Elimination:
    """Minima of sums of one problem's structure.

    Args:
        linear: The structure: decisions, choices and pairs.
        plan: The order of elimination.
    """

    linear: Linear
    plan: Plan

    def minimum(self, numbers: Float64) -> tuple[float, Ints]:
        """The least sum, and an assignment that has it.

        Args:
            numbers: One per place ``[places]``.

        Returns:
            The sum, and the choice of each decision ``[decisions]``.
        """
        least, joints, _ = self._forwards(numbers)
        own = np.zeros(len(self.linear.sizes), np.int64)
        for group, joint in zip(reversed(self.plan.groups), reversed(joints), strict=True):
            others = tuple(own[group.neighbours].T)
            own[group.decisions] = joint[(np.arange(len(joint)), slice(None), *others)].argmin(axis=1)
        return least, own

    def marginals(self, numbers: Float64) -> Float64:
        """The least sum with each choice ``[choices]``.

        Args:
            numbers: One per place ``[places]``.
        """
        least, joints, messages = self._forwards(numbers)
        groups = self.plan.groups
        above = [np.full_like(message, least) for message in messages]
        found = np.zeros(self.linear.count)
        for index in reversed(range(len(groups))):
            group, joint = groups[index], joints[index]
            # Least sums over the table's decisions: the table, and what the others have beside its message.
            belief = joint + (above[index] - messages[index])[:, None]
            for way in group.projections:
                gone = tuple(axis + 1 for axis in range(len(group.shape)) if axis not in way.axes)
                kept = sorted(way.axes)
                table = belief[way.above].min(axis=gone)
                above[way.group][way.below] = table.transpose(0, *(1 + kept.index(axis) for axis in way.axes))
            places = self.linear.starts[group.decisions][:, None] + np.arange(group.shape[0])
            found[places] = belief.reshape(*belief.shape[:2], -1).min(axis=2)
        return found

    def _forwards(self, numbers: Float64) -> tuple[float, list[Float64], list[Float64]]:
        """The least sum; per group, its tables ``[decisions, *shape]`` and messages ``[decisions, *shape[1:]]``."""
        store = np.zeros(self.plan.places)
        store[: len(numbers)] = numbers
        joints: list[Float64] = []
        messages: list[Float64] = []
        for group in self.plan.groups:
            joint = _joint(group, store)
            message = joint.min(axis=1)
            count = int(np.prod(group.shape[1:]))
            np.add.at(store, group.messages[:, None] + np.arange(count), message.reshape(-1, count))
            joints.append(joint)
            messages.append(message)
        return float(store[-1]), joints, messages


def _joint(group: Group, store: Float64) -> Float64:
    """The sum of all that depends on each decision of a group ``[decisions, *shape]``."""
    count = len(group.decisions)
    joint = np.zeros((count, *group.shape))
    for starts, axes in group.factors:
        own = tuple(group.shape[axis] for axis in axes)
        table = store[starts[:, None] + np.arange(int(np.prod(own)))].reshape(count, *own)
        order = sorted(range(len(axes)), key=lambda k: axes[k])
        wide = [size if axis in axes else 1 for axis, size in enumerate(group.shape)]
        joint += table.transpose(0, *(1 + k for k in order)).reshape(count, *wide)
    return joint
