"""`codesign compare`: builds side by side."""

import json
from pathlib import Path
from typing import Any

import pytest

from codesign.errors import InputError
from codesign.report.files.compare import Comparison, compare, comparison_page
from tests.builds import copy, finished, run
from tests.report.pages import Page


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The tiny build, changed."""
    project = copy(finished(), tmp_path / "other")
    report = project.report()
    report["layers"][0]["weight_bits"] = [3, 3]
    report["quality"]["accuracy"]["quantized"] /= 2
    report["measures"].append(
        {
            "name": "yosys_lut",
            "value": 12.0,
            "unit": "LUTs",
            "kind": "synthesized",
            "pass": "synthesize.yosys",
            "limit": None,
        }
    )
    report["checks"][0] |= {"status": "differs", "mismatches": 1}
    (project.out / "report.json").write_text(json.dumps(report))
    return project.out


def differing(found: Comparison) -> dict[str, list[str]]:
    return {
        f"{table.title}: {row.title}": [cell.text for cell in row.cells]
        for table in found.tables
        for row in table.rows
        if row.differs
    }


def test_a_build_is_like_itself() -> None:
    found = compare([finished().out, finished().out])
    assert differing(found) == {}
    assert found.names[0] == str(finished().out)


def test_what_differs_is_marked_and_nothing_else(other: Path) -> None:
    found = differing(compare([finished().out, other]))
    quality = finished().report()["quality"]["accuracy"]
    accuracy, error = quality["quantized"], quality["errors"]["quantized"]
    assert found == {
        "Proofs: the same integers: torch → numpy": ["exact", "differs, 1 of 400 inputs"],
        "On the test split, simulated: accuracy, quantized, fraction": [
            f"{value:.4f} ± {error:.4f}" for value in (accuracy, accuracy / 2)
        ],
        "Synthesized: yosys_lut, LUTs": ["", "12"],
        "Bits of weights, by layer: fc1": [str(finished().report()["layers"][0]["weight_bits"][0]), "3"],
    }


def test_the_command_prints_and_writes(other: Path, tmp_path: Path) -> None:
    outcome = run("compare", str(finished().out), str(other), "--html", str(tmp_path / "page.html"))
    assert outcome.code == 0, outcome.err
    assert "≠ accuracy, quantized" in outcome.out
    assert "-50 %" in outcome.out
    found = Page((tmp_path / "page.html").read_text())
    assert sum(tag == "mark" for tag, _ in found.elements) == 4
    assert not found.scripts


@pytest.mark.parametrize("there", ["data.npz", "report.html", ""])
def test_nothing_else_is_written_over(other: Path, tmp_path: Path, there: str) -> None:
    place = tmp_path / there
    if there:
        place.write_bytes((finished().out / "report.html").read_bytes())
    outcome = run("compare", str(finished().out), str(other), "--html", str(place))
    assert outcome.code == 2
    assert f"{place}: a f" in outcome.err
    assert not there or place.read_bytes() == (finished().out / "report.html").read_bytes()


def test_an_earlier_page_is_written_over(other: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert run("compare", str(finished().out), str(other), "--html", str(tmp_path / "page.html")).code == 0


def test_what_is_far_is_told_in_times(other: Path) -> None:
    report: dict[str, Any] = json.loads((other / "report.json").read_text())
    for row in report["measures"]:
        row["value"] *= 40 if row["name"] == report["allocation"]["cost"] else 1
    (other / "report.json").write_text(json.dumps(report))
    changes = [
        cell.change for table in compare([finished().out, other]).tables for row in table.rows for cell in row.cells
    ]
    assert "40 times" in changes


def test_names_are_text(other: Path) -> None:
    nasty = "<script>alert(1)</script>"
    report: dict[str, Any] = json.loads((other / "report.json").read_text())
    report["layers"][0]["name"] = nasty
    (other / "report.json").write_text(json.dumps(report))
    found = Page(comparison_page(compare([finished().out, other])))
    assert nasty in found.texts
    assert not found.scripts


def test_one_build_or_an_unfinished_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 build directory; wanted: two or more"):
        compare([finished().out])
    (tmp_path / "empty").mkdir()
    outcome = run("compare", str(finished().out), str(tmp_path / "empty"))
    assert outcome.code == 2
    assert "no report.json" in outcome.err
