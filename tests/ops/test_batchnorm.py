"""Batch norm folded into layers before and after it: the module's outputs, or an error that says why not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from codesign.errors import InputError
from codesign.load._fx import graph_from_module
from tests.load.test_fx import assert_converts, moving_statistics

LINE, IMAGE = (4, 9), (4, 7, 8)
FOLDED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "after conv1d": (lambda: nn.Sequential(nn.Conv1d(4, 6, 3, padding=1), nn.BatchNorm1d(6), nn.ReLU()), LINE),
    "after conv2d": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()), IMAGE),
    "after, no bias": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6)), IMAGE),
    "after, groups": (lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=4), nn.BatchNorm2d(8)), IMAGE),
    "without factors": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, affine=False)), IMAGE),
    "before conv1d": (lambda: nn.Sequential(nn.BatchNorm1d(4), nn.Conv1d(4, 6, 3, stride=2, dilation=2)), LINE),
    "before conv2d": (lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, (2, 3)), nn.ReLU()), IMAGE),
    "before, no bias": (lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, bias=False)), IMAGE),
    "before, groups": (lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2)), IMAGE),
    "before, depthwise": (lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3, groups=4)), IMAGE),
    "after, where after pads": (
        lambda: nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3, padding=1)),
        IMAGE,
    ),
    "behind dropout": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.Dropout2d(), nn.BatchNorm2d(4)), IMAGE),
}


@pytest.mark.parametrize("name", FOLDED)
def test_folding_gives_the_modules_outputs(name: str) -> None:
    make, shape = FOLDED[name]
    torch.manual_seed(len(name))
    graph, notices = assert_converts(moving_statistics(make()), shape)
    assert {node.op.kind for node in graph.nodes} <= {"conv", "relu"}
    assert len(notices) == 1
    assert "folded into" in notices[0]


def test_a_convolution_that_two_read_is_left_alone() -> None:
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.head = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return self.head(self.norm(x)) + x

    _, notices = assert_converts(moving_statistics(Fork()), IMAGE)
    assert notices == ["norm: folded into head"]


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (
            nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, padding=1)),
            IMAGE,
            "layer '0': batch norm before '1', which pads its output with zeros; wanted: a convolution without padding",
        ),
        (
            nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1)),
            IMAGE,
            "layer '2': batch norm with no linear or convolutional layer next to it; wanted: such a layer right before",
        ),
        (
            nn.Sequential(nn.Linear(9, 9), nn.BatchNorm1d(4)),  # torch normalizes positions here, not features
            LINE,
            "layer '1': batch norm with no linear or convolutional layer next to it",
        ),
        (
            nn.Sequential(nn.BatchNorm1d(4), nn.Linear(9, 9)),
            LINE,
            "layer '0': batch norm with no linear or convolutional layer next to it",
        ),
        (nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(5)), LINE, r"\[6, 7\]; wanted: \[5\] or \[5, positions\]"),
        (
            nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm2d(6)),
            LINE,
            r"layer '1': input of shape \[6, 7\]; wanted: \[6, positions, positions\]",
        ),
    ],
)
def test_what_is_refused(module: nn.Module, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        graph_from_module(module, [shape])
