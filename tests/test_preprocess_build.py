"""Raw words of jet constituents through the whole flow, and normalization inside the firmware."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import codesign
from codesign.errors import InputError

LOGARITHM = np.round(np.log2(1 + np.arange(4096)) * 16) / 16
FORMATS = ("ufixed<12,10>", "fixed<10,1>", "fixed<10,1>")
OPTIONS = {"finetune.epochs": 1, "sensitivity.samples": 64, "allocate.calibration": 64, "finetune.calibration": 64}


def features(words: Any) -> Any:
    """From (pT in 0.25 GeV, eta and phi in 1/512) of each particle to a logarithm and coarser angles."""
    return np.concatenate([LOGARITHM[words[..., :1]], (words[..., 1:] >> 2) / 128], -1)


def jets() -> codesign.Data:
    """Words of 8 particles with a falling spectrum, in 400 jets of two widths."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 400)
    momenta = np.clip(np.sort(random.exponential(200, (400, 8)))[:, ::-1], 0, 4095)
    angles = random.normal(0, 60, (400, 8, 2)) * (1 + labels[:, None, None])
    words = np.concatenate([momenta[..., None], np.clip(angles, -512, 511)], -1).astype(np.int16)
    return codesign.Data(words, labels, (0, 200), (200, 300), (300, 400), formats=FORMATS)


def test_input_bits_beside_formats_are_refused(tmp_path: Path) -> None:
    """Words have the bits that they are sent with."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    options = {**OPTIONS, "allocate.input_bits": 8}
    with pytest.raises(InputError, match=r"input_bits: 8 beside formats of the data; wanted: one of both; load\.npz"):
        codesign.build(network, jets(), "pynq-z2", "qonnx", tmp_path, options)


@pytest.mark.parametrize("inside", [False, True])
def test_every_hop_is_exact_from_raw_words_on(inside: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = jets()
    if inside:
        data = codesign.Data(
            data.inputs, data.labels, data.train, data.validation, data.test, normalize="inside", formats=FORMATS
        )
        step, network = None, nn.Sequential(nn.Flatten(), nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 2))
    else:
        step, network = features, nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
    result = codesign.build(network, data, "pynq-z2", "qonnx", tmp_path, OPTIONS, preprocess=step)
    report = result.report
    assert report is not None
    assert [(check["status"], check["inputs"]) for check in report["checks"][:2]] == [("exact", 100)] * 2
    assert report["failures"] == []
    (name,) = result.design.graph.inputs
    assert result.design.allocation.point.bits[name] == 20  # 10 bits before the point, 9 behind it, a sign
    applied = report["input"]["normalization"]
    assert (applied is None) is not inside
    assert not inside or applied["applied"].startswith("inside the firmware")
