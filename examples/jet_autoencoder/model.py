"""An autoencoder for anomaly detection: what it was not trained on, it reconstructs badly."""

from torch import Tensor, nn


class JetAutoencoder(nn.Module):
    """Squeezes the 16 features of a jet through 4 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.encode1 = nn.Linear(16, 32)
        self.relu1 = nn.ReLU()
        self.encode2 = nn.Linear(32, 4)
        self.relu2 = nn.ReLU()
        self.decode1 = nn.Linear(4, 32)
        self.relu3 = nn.ReLU()
        self.decode2 = nn.Linear(32, 16)

    def forward(self, x: Tensor) -> Tensor:
        """Features ``[batch, 16]`` from features ``[batch, 16]``."""
        x = self.relu1(self.encode1(x))
        x = self.relu2(self.encode2(x))
        x = self.relu3(self.decode1(x))
        return self.decode2(x)
