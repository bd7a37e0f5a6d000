"""A small residual CNN for 8x8 images."""

from torch import Tensor, nn


class DigitNet(nn.Module):
    """A convolution, a residual block, pooling, a linear layer."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.4)
        self.head = nn.Linear(channels * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[batch, 10]`` from images ``[batch, 1, 8, 8]`` of 0 to 16."""
        x = self.pool1(self.relu1(self.stem(x)))
        x = self.relu3(x + self.conv2(self.relu2(self.conv1(x))))
        return self.head(self.dropout(self.flatten(x)))
