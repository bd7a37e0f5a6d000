"""The points that training leaves behind: the best at every cost, none of them resting on one evaluation."""

from dataclasses import dataclass, field
from math import floor, log2
from statistics import median

from torch import Tensor

#: Points kept for every doubling of the cost.
PER_DOUBLING = 16


@dataclass(frozen=True)
class Trial:
    """One evaluation.

    Args:
        step: After how many steps.
        cost: By the network's own count.
        loss: Mean validation loss.
        vector: What was learned then, as evaluated.
        square: Mean squares of its gradients.
    """

    step: int
    cost: float
    loss: float
    vector: Tensor
    square: Tensor


@dataclass
class Trials:
    """The best trial for every step of cost, and the last ones.

    A trial counts with the median of its loss and of those before and after it, or with its own where that is worse:
    it is neither chosen for one lucky evaluation nor when it collapsed between two good ones.

    Args:
        best: By step of cost, with the loss that it counts with.
        last: The last three that were made, the newest one last.
    """

    best: dict[int, tuple[float, Trial]] = field(default_factory=dict[int, tuple[float, Trial]])
    last: list[Trial] = field(default_factory=list[Trial])

    def add(self, trial: Trial) -> None:
        """Take in the next trial, and judge the one before it."""
        self.last = [*self.last, trial][-3:]
        if len(self.last) > 1:
            self._judge(self.last[-2], [each.loss for each in self.last])

    def finish(self) -> None:
        """Judge the last one, which has no next."""
        if self.last:
            self._judge(self.last[-1], [each.loss for each in self.last[-2:]])

    def _judge(self, trial: Trial, near: list[float]) -> None:
        place = floor(log2(max(trial.cost, 1.0)) * PER_DOUBLING)
        loss = max(trial.loss, median(near))
        if place not in self.best or loss < self.best[place][0]:
            self.best[place] = loss, trial
