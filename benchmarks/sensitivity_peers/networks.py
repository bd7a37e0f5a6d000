"""The networks of the comparison, each with the one batch that every method sees."""

import copy
import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

JETS = Path(__file__).parents[2] / "examples" / "jets"


@dataclass(frozen=True)
class Workload:
    """A trained network and a batch.

    Args:
        name: For the table.
        module: In eval mode, without batch norm.
        x: Inputs ``[batch, ...]``.
        y: Class indices ``[batch]``.
        columns: Directions that curvlinops multiplies at once; more is slower, or needs too much memory.
    """

    name: str
    module: nn.Module
    x: Tensor
    y: Tensor
    columns: int

    def layers(self) -> dict[str, nn.Linear | nn.Conv2d]:
        """Layers that hold a weight tensor, by module path."""
        return {name: m for name, m in self.module.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}

    def copy(self) -> nn.Module:
        """The network for a method that leaves hooks or gradients in it."""
        return copy.deepcopy(self.module)

    def loss(self) -> float:
        """Mean cross-entropy of the batch."""
        with torch.no_grad():
            return float(functional.cross_entropy(self.module(self.x), self.y))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; a 1x1 convolution where shapes differ (option B of arXiv 1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, inputs, height, width]`` to ``[batch, outputs, height / stride, width / stride]``."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + self.shortcut(x))


class ResNet20(nn.Module):
    """ResNet-20 for 32x32 images: three stages of three basic blocks with 16, 32 and 64 channels."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        widths = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.blocks = nn.Sequential(*(BasicBlock(*width) for width in widths))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[batch, classes]`` from ``[batch, 3, 32, 32]``."""
        x = self.blocks(self.relu(self.bn(self.conv(x))))
        return self.fc(self.flatten(self.pool(x)))


def jets(batch: int = 512) -> Workload:
    """The jet tagger with its weights, and the first jets of its training split."""
    from safetensors.torch import load_file

    from codesign.load.npz import Npz

    sys.path.insert(0, str(JETS))
    module: nn.Module = importlib.import_module("model").JetTagger()
    module.load_state_dict(load_file(JETS / "jet_tagger.safetensors"))
    split = Npz(JETS / "lhc_jets.npz", (0, 48000), (48000, 64000), (64000, 80000), normalize="standard").read()
    train = split.split("train")
    x = torch.from_numpy(np.array(train.inputs[0][:batch], np.float32))
    return Workload("jets", module.eval(), x, torch.from_numpy(np.array(train.labels[:batch], np.int64)), 128)


def resnet20(batch: int = 128, steps: int = 100) -> Workload:
    """ResNet-20, trained for a while on scikit-learn's digits, and a batch of digits it was not trained on.

    The 8x8 digits are made 32x32 in three channels by repeating. Batch norm is folded after training.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = torch.from_numpy(digits.images.astype(np.float32) / 8 - 1)
    images = small.repeat_interleave(4, 1).repeat_interleave(4, 2).unsqueeze(1).expand(-1, 3, -1, -1).contiguous()
    labels = torch.from_numpy(digits.target.astype(np.int64))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    held, train = order[:batch], order[batch:]
    torch.manual_seed(0)
    module = ResNet20()
    _train(module, images[train], labels[train], steps)
    folded = fold_batch_norm(module.eval()).requires_grad_()
    return Workload("resnet20", folded, images[held], labels[held], 8)


def _train(module: nn.Module, images: Tensor, labels: Tensor, steps: int) -> None:
    """Adam on random batches; a number of steps, not a time, so that the network is the same in every run."""
    generator = torch.Generator().manual_seed(0)
    adam = torch.optim.Adam(module.parameters(), lr=2e-3)
    for _ in range(steps):
        rows = torch.randint(0, len(images), (128,), generator=generator)
        loss = functional.cross_entropy(module(images[rows]), labels[rows])
        adam.zero_grad()
        loss.backward()
        adam.step()


def fold_batch_norm(module: ResNet20) -> ResNet20:
    """The same function without batch norm: each convolution takes its scale and shift."""
    module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), nn.Identity()
    for block in module.blocks:
        block.conv1, block.bn1 = fuse_conv_bn_eval(block.conv1, block.bn1), nn.Identity()
        block.conv2, block.bn2 = fuse_conv_bn_eval(block.conv2, block.bn2), nn.Identity()
        if isinstance(block.shortcut, nn.Sequential):
            block.shortcut = nn.Sequential(fuse_conv_bn_eval(block.shortcut[0], block.shortcut[1]))
    return module
