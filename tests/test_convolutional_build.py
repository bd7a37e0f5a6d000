"""A convolutional residual network through the whole flow up to QONNX, and one that has no integer form."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import codesign
from codesign.errors import InputError

OPTIONS = {
    "allocate.weight_bits": [4, 5],
    "allocate.input_bits": 8,
    "allocate.calibration": 64,
    "sensitivity.hessian_trace.samples": 64,
    "finetune.epochs": 1,
    "finetune.calibration": 64,
}


class Small(nn.Module):
    """A stem, a residual block, a mean and a linear layer."""

    def __init__(self, window: int = 2) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.shrink, self.fc = nn.AvgPool2d(window), nn.Linear(4, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(self.relu(self.norm(self.stem(x))), 2)
        y = self.second(self.relu(self.first(x)))
        y += x
        y = self.shrink(self.relu(y)).mean((2, 3))
        return self.fc(functional.dropout(y, 0.1, training=self.training))


def data() -> codesign.Data:
    """Stripes at one of three heights, in noise."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 400)
    images = random.normal(0, 0.5, (400, 1, 8, 8)).astype(np.float32)
    images[np.arange(400), 0, 1 + 2 * labels] += 2
    return codesign.Data(images, labels, (0, 200), (200, 300), (300, 400))


def network(window: int = 2) -> nn.Module:
    torch.manual_seed(0)
    module = Small(window)
    module(torch.from_numpy(np.asarray(data().inputs)))  # batch norm sees some data
    return module.eval()


def test_every_hop_up_to_qonnx_is_exact(tmp_path: Path) -> None:
    report = codesign.build(network(), data(), "pynq-z2", "qonnx", tmp_path, OPTIONS).report
    checks = {(check["from"], check["to"]): (check["status"], check["inputs"]) for check in report["checks"]}
    assert checks["torch", "numpy"] == checks["numpy", "qonnx"] == ("exact", 100)
    assert checks["qonnx", "hls4ml"] == ("not_checked", 0)
    layers = {layer["name"]: layer for layer in report["layers"]}
    assert {name: layer["macs"] for name, layer in layers.items()} == {
        "stem": 64 * 4 * 9, "first": 16 * 16 * 9, "second": 16 * 8 * 9, "fc": 12
    }  # fmt: skip
    measures = {measure["name"]: measure["value"] for measure in report["measures"]}
    assert 0 < measures["bops_campos"] <= measures["bops_campos_allocated"]
    total = sum(layer["costs"]["bops_campos"] for layer in layers.values())
    assert measures["bops_campos"] == pytest.approx(total)


def test_hls4ml_is_said_not_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"layer 'stem': an operation 'conv', which .* use --flow qonnx"):
        codesign.build(network(), data(), "pynq-z2", "hls4ml", tmp_path, OPTIONS)


def test_an_average_over_nine_is_refused_before_training(tmp_path: Path) -> None:
    design = codesign.build(network(3), data(), "pynq-z2", "qonnx", tmp_path, OPTIONS, until="allocate").design
    assert design.allocation.point.bits["second.weight"] in (4, 5)
    with pytest.raises(InputError, match=r"layer 'shrink': an average over 9 elements.*1, 2, 4, 8"):
        codesign.build(network(3), data(), "pynq-z2", "qonnx", tmp_path, OPTIONS)
