"""Deep sets on the leading particles of a jet, from the words that a trigger sends."""

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

#: Logarithm of a momentum in units of 0.25 GeV, in steps of 1/16.
LOG_MOMENTUM = np.round(np.log2(1 + np.arange(4096)) * 16) / 16


def features(words: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Logarithm of the momentum, and angles in units of 1/8, from words ``[jets, particles, 3]``."""
    momentum = LOG_MOMENTUM[words[:, :, :1]]
    angles = words[:, :, 1:] / 64
    return np.concatenate([momentum, angles], axis=2)


class DeepSet(nn.Module):
    """The same small network for each particle, their mean, and another one on it (arXiv 1703.06114)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.each1, self.each2 = nn.Linear(3, width), nn.Linear(width, width)
        self.all1, self.all2 = nn.Linear(width, width), nn.Linear(width, 5)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[jets, 5]`` from features ``[jets, particles, 3]``."""
        x = self.relu2(self.each2(self.relu1(self.each1(x))))
        return self.all2(self.relu3(self.all1(x.mean(1))))
