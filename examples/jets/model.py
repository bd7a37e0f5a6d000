"""The jet tagger of arXiv 2304.06745: an MLP 16-64-32-32-5."""

from torch import Tensor, nn


class JetTagger(nn.Module):
    """Classifies a jet (g, q, w, z, t) by 16 high-level features.

    Args are none, so that ``factory = "JetTagger"`` in the build file makes it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(16, 64)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(64, 32)
        self.relu2 = nn.ReLU()
        self.fc3 = nn.Linear(32, 32)
        self.relu3 = nn.ReLU()
        self.fc4 = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[batch, 5]`` from features ``[batch, 16]``."""
        x = self.relu1(self.fc1(x))
        x = self.relu2(self.fc2(x))
        x = self.relu3(self.fc3(x))
        return self.fc4(x)
