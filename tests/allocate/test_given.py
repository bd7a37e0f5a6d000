"""Bits that a network came with: taken as they are, counted, compared with the file, fine-tuned, chosen anew."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.allocate._effect import effects
from codesign.allocate._given import formats_given
from codesign.design import Dataset, Design
from codesign.errors import InputError
from codesign.fixed import Fixed
from tests.builds import Project, make_given, samples
from tests.load.onnx_nets import quantized_mlp, read, saved


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_given(tmp_path / "project")


def formats(report: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {layer["name"]: (layer["weight_format"], layer["activation_format"]) for layer in report["layers"]}


def test_a_file_goes_through_as_it_is(project: Project) -> None:
    """Formats are the file's; the report says where bits come from, and has no picture of a front."""
    outcome = project.build()
    assert outcome.code == 0, outcome.err
    report = project.report()
    assert formats(report) == {"fc1": ("fixed<5,2>", "fixed<8,4>"), "fc2": ("fixed<4,2>", "ufixed<5,3>")}
    assert {check["status"] for check in report["checks"][:2]} == {"exact"}
    assert report["allocation"]["solver"] == "given"
    assert not (project.out / "front.svg").exists()
    assert "bits: those of the quantizers that the network came with\n" in outcome.out
    assert "Those of the quantizers that the network came with" in (project.out / "report.md").read_text()
    measures = {item["name"]: item["value"] for item in report["measures"]}
    assert measures["bops_campos"] == measures["bops_campos_allocated"]


def test_what_differs_from_the_file_is_told(project: Project) -> None:
    """The input is rounded down here, to nearest in the file."""
    assert project.build("--until", "allocate").code == 0
    assert project.build().code == 0
    notices = project.report()["notices"]
    assert any(notice.startswith("fc1: output differs from the file's by ") for notice in notices)
    assert "rounded down here, to nearest in the file: x" in notices
    assert any("another class for" in notice and "on 256 training samples" in notice for notice in notices)


def test_budgets_are_held_against_it(project: Project) -> None:
    outcome = project.build("--set", "allocate.budgets.bops_campos=10")
    assert outcome.code == 1
    assert "exceeds the budget of 10" in outcome.out


def test_fine_tuning_starts_from_it(project: Project) -> None:
    assert project.build("--set", "finetune.epochs=2").code == 0
    assert formats(project.report())["fc1"] == ("fixed<5,2>", "fixed<8,4>")


def test_bits_can_be_chosen_anew(project: Project) -> None:
    """In a flow that chooses bits, the file is a network of floats."""
    assert project.build("--flow", "qonnx", "--set", "finetune.epochs=1").code == 0
    assert project.report()["allocation"]["solver"] == "exhaustive"


def test_a_file_without_quantizers(tmp_path: Path) -> None:
    from tests.load.onnx_nets import plain_mlp

    project = make_given(tmp_path / "project")
    saved(plain_mlp(), project.folder / "net.onnx")
    outcome = project.build()
    assert outcome.code == 2
    assert "no quantizer for 'dense/Relu', 'w1', 'w2' in the file" in outcome.err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("input_bits=1", "1; wanted: 2 to 24"),
        ("bits.relu=99", "99; wanted: 2 to 24"),
        ("calibration=0", "calibration: 0"),
        ("reuse_factor=0", "reuse_factor: 0"),
        ('metric="hutchinson"', "'hutchinson', which was not measured"),
        ("costs=['luts']", "luts"),
    ],
)
def test_bad_options(option: str, words: str, project: Project) -> None:
    outcome = project.build("--set", f"allocate.given.{option}")
    assert outcome.code == 2
    assert words in outcome.err


def test_from_memory(tmp_path: Path) -> None:
    """The path of a file in place of a module."""
    import codesign

    x, y = samples()
    path = saved(quantized_mlp(), tmp_path / "net.onnx")
    arrays = codesign.Data(x, y, (0, 1200), (1200, 1600), (1600, 2000))
    options = {"allocate.calibration": 256, "sensitivity.samples": 256}
    result = codesign.build(path, arrays, "pynq-z2", "given-qonnx", tmp_path / "out", options)
    assert result.report is not None
    assert formats(result.report)["fc1"] == ("fixed<5,2>", "fixed<8,4>")


def data(x: np.ndarray) -> Dataset:
    rows = {"train": (0, len(x)), "validation": (0, len(x)), "test": (0, len(x))}
    return Dataset((x,), np.zeros(len(x), np.int64), rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR"])
def test_effects_of_a_file_in_our_arithmetic(rounding: str, tmp_path: Path) -> None:
    """None where it rounds down, or where nothing is rounded."""
    x = (np.round(samples()[0] * 16) / 16).astype(np.float32)
    network = read(saved(quantized_mlp(rounding=rounding), tmp_path / "net.onnx"), x)
    design = Design({"graph": network.graph, "given": network.quantizers, "dataset": data(x)})
    lines = effects(design, formats_given(design, {}).known, 512)
    if rounding == "FLOOR":
        assert lines == ["quantizers of the file: every layer gives the same numbers as there, on 512 training samples"]
    else:  # ties go to even there, up here
        assert len(lines) in (1, 4)


def test_effects_of_moved_scales(tmp_path: Path) -> None:
    x = samples()[0]
    network = read(saved(quantized_mlp({"sw1": 0.1}), tmp_path / "net.onnx"), x)
    design = Design({"graph": network.graph, "given": network.quantizers, "dataset": data(x)})
    known = formats_given(design, {}).known
    assert known["w1"] == Fixed(True, 5, 2)
    first = effects(design, known, 512)[0]
    assert first.startswith("fc1: output differs from the file's by 0.")


def test_a_format_that_is_none(tmp_path: Path) -> None:
    x = samples()[0]
    built = quantized_mlp({"sh": 2.0**-600})
    with pytest.raises(InputError, match="scale"):
        read(saved(built, tmp_path / "net.onnx"), x)
