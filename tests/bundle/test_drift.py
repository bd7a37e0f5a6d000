"""Drift beside a second computation; new data that do not fit."""

import re
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from rich.console import Console

from codesign.bundle import drift
from codesign.bundle.shown import show_verified
from codesign.bundle.verification import Verified, verify
from codesign.errors import InputError
from codesign.torch_forward import float_forward, to_tensors
from tests.builds import make, samples
from tests.bundle.bundles import bundle, design, made

#: The tiny classifier with its features in two inputs, the second one first.
TWO = """from torch import Tensor, cat, nn


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 6)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(6, 3)

    def forward(self, b: Tensor, a: Tensor) -> Tensor:
        return self.fc2(self.relu1(self.fc1(cat([a, b], 1))))
"""
#: Words of other steps and signs, feature by feature.
FORMATS = ("fixed<12,4>", "fixed<9,4>", "fixed<10,3>", "ufixed<8,2>")


def require_right(archive: Path, new: Path, inputs: Sequence[npt.NDArray[Any]], stretch: float = 1.0) -> Verified:
    """Torch for the float network, the integer reference for the other, and counting by hand.

    Args:
        archive: The bundle.
        new: New data.
        inputs: The same, as the input quantizers see it.
        stretch: How large the outputs are.
    """
    verified = verify(archive, new)
    found, seen = design(archive), verified.drift
    assert seen is not None
    quantized, x = found.quantized, [each.astype(np.float32) for each in inputs]
    with torch.no_grad():
        tensors = float_forward(found.graph, to_tensors(found.graph.parameters), [torch.tensor(each) for each in x])
    floats = tensors["fc2"].numpy()
    values = quantized.run(quantized.encode(x))
    integers = values["fc2"].real()
    assert seen.samples == len(x[0])
    assert seen.agreeing == (integers.argmax(1) == floats.argmax(1)).sum()
    for index, shift in enumerate(seen.shifts):
        assert shift.output == f"fc2[{index}]"
        difference = integers[:, index] - floats[:, index]
        assert shift.mean == pytest.approx(difference.mean(), abs=1e-4 * stretch)
        assert shift.quantiles == pytest.approx(np.quantile(difference, (0.01, 0.5, 0.99)), abs=1e-4 * stretch)
    outside: dict[str, int] = {}
    for name, each in zip(found.graph.inputs, x, strict=True):
        fixed = quantized.formats[name]
        low, above = (
            np.ldexp(np.asarray(end, float), -np.asarray(fixed.fraction)) for end in (fixed.low, fixed.high + 1)
        )
        counts = ((each < low) | (each >= above)).sum(0)
        outside |= {f"{name}[{index}]": int(count) for index, count in enumerate(counts)}
    assert {each.name: each.count for each in seen.inputs} == outside
    assert (sum(outside.values()) > 0) == (stretch > 1)
    for layer in seen.layers:
        node = next(node for node in quantized.graph.nodes if node.output == layer.name)
        before = node.op.integer([values[name] for name in node.inputs], quantized.parameters(node))
        exact = np.floor(before.real() * 2.0 ** quantized.formats[layer.name].fraction)
        assert layer.values == exact.size
        assert layer.count == int((exact != values[layer.name].values).sum())
    assert {layer.name for layer in seen.layers} == set(quantized.formats) & {n.output for n in quantized.graph.nodes}
    return verified


@pytest.mark.parametrize("stretch", [1.0, 30.0])
def test_drift_is_what_a_second_computation_gives(stretch: float, tmp_path: Path) -> None:
    raw, dataset = samples(500, 3)[0] * np.float32(stretch), design(made()).dataset
    np.savez(tmp_path / "new.npz", x=raw)
    x = (raw - dataset.mean[0]) / dataset.scale[0]  # type: ignore[index]
    verified = require_right(made(), tmp_path / "new.npz", [x], stretch)
    console = Console(record=True, width=120, file=StringIO())
    show_verified(console, verified, as_json=False)
    assert verified.drift is not None
    said = " ".join(console.export_text().split())
    if stretch == 1:
        assert re.search(
            r"0 of 4 inputs \(at most \d\.\d%\) and 0 of 1 layers \(at most \d\.\d%\) leave their range", said
        )
    else:
        assert re.search(
            r"4 of 4 inputs \(at most \d\d\.\d%\) and 1 of 1 layers \(at most \S+%\) leave their range", said
        )
    assert f"same decision as the float network for {verified.drift.agreeing / 5:.3f} % of the new samples" in said


def words(count: int, seed: int) -> npt.NDArray[np.int64]:
    """The tiny data as words of ``FORMATS``."""
    fractions = np.array([8, 5, 7, 6])
    codes = np.floor(np.ldexp(samples(count, seed)[0], fractions)).astype(np.int64)
    return np.clip(codes, [-2048, -256, -512, 0], [2047, 255, 511, 255])


def test_words_and_normalization_inside(tmp_path: Path) -> None:
    """Integers are words, each feature's in its own steps; other numbers are what words stand for."""
    own: dict[str, dict[str, Any]] = {"load.npz": {"normalize": "inside", "formats": list(FORMATS)}}
    project = make(tmp_path / "project", changes=own)
    project.write_data(words(2000, 7), samples()[1])
    project.library()
    archive, new = bundle(project), words(300, 5)
    numbers = np.ldexp(new.astype(float), -np.array([8, 5, 7, 6]))
    for name, given in (("words", new), ("numbers", numbers)):
        np.savez(tmp_path / f"{name}.npz", x=given)
        require_right(archive, tmp_path / f"{name}.npz", [numbers])


def test_several_inputs(tmp_path: Path) -> None:
    """Each with its own normalization, found by name."""
    own: dict[str, dict[str, Any]] = {"load.npz": {"normalize": "standard", "inputs": ["late", "early"]}}
    project = make(tmp_path / "project", changes=own)
    x, y = samples()
    project.write_model(TWO)
    np.savez(project.folder / "data.npz", early=x[:, :3], late=x[:, 3:] * 5, y=y)
    project.library()
    archive, new = bundle(project), samples(300, 5)[0]
    given = {"early": new[:, :3], "late": new[:, 3:] * 5}
    np.savez(tmp_path / "new.npz", **given)
    dataset = design(archive).dataset
    columns = zip(("late", "early"), dataset.mean or (), dataset.scale or (), strict=True)
    require_right(archive, tmp_path / "new.npz", [(given[name] - mean) / scale for name, mean, scale in columns])


def test_networks_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many parts the data is run in, all of it counts."""
    x, _ = samples()
    np.savez(tmp_path / "test.npz", x=x[1600:])
    read, load = [], onnx.load_model_from_string
    monkeypatch.setattr(drift, "CHUNK", 64)
    monkeypatch.setattr(onnx, "load_model_from_string", lambda content: read.append(1) or load(content))
    found = verify(made(), tmp_path / "test.npz")
    assert found.drift == found.contents.drift
    assert len(read) == 3, "one of them by the proof of the QONNX file"


def test_the_test_splits_own_drift_is_kept(tmp_path: Path) -> None:
    x, _ = samples()
    np.savez(tmp_path / "test.npz", x=x[1600:])
    found = verify(made(), tmp_path / "test.npz")
    assert found.drift == found.contents.drift


WRONG: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "no arrays": (dict, "arrays none"),
    "another array": (lambda: {"other": np.zeros((3, 4))}, "arrays other.*arrays x"),
    "features that are missing": (lambda: {"x": np.zeros((3, 5))}, "shape \\[3, 5\\]"),
    "no samples": (lambda: {"x": np.zeros((0, 4))}, "shape \\[0, 4\\]"),
    "text": (lambda: {"x": np.array([["a"] * 4])}, "numbers of shape"),
    "one number": (lambda: {"x": np.array(3.0)}, "shape \\[\\]"),
    "not a number": (lambda: {"x": np.full((3, 4), np.nan)}, "12 of 12 values are NaN"),
}


@pytest.mark.parametrize("case", WRONG)
def test_data_that_do_not_fit_are_refused(case: str, tmp_path: Path) -> None:
    make_arrays, words = WRONG[case]
    np.savez(tmp_path / "new.npz", **make_arrays())
    with pytest.raises(InputError, match=words):
        verify(made(), tmp_path / "new.npz")


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more"])
def test_data_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "new.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"not a whole \.npz file"):
        verify(made(), tmp_path / "new.npz")
