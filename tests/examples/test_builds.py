"""The table of the examples: a row for each build file, and a whole build gives the row's numbers."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import codesign

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Example, build file, and the float and quantized quality at the end of a row.
ROW = re.compile(r"^\| \[(\w+)\]\(\1/README\.md\) \| `(\w+\.toml)` \|.*\| (0\.\d{4}) \| (0\.\d{4}) \|", re.M)
ROWS = ROW.findall((EXAMPLES / "README.md").read_text())


def quality(report: dict[str, Any]) -> tuple[float, float]:
    """Accuracy, or the area under the curve of top quarks, of floats and integers."""
    found = report["quality"].get("accuracy") or report["quality"]["auc_t"]
    return found["float"], found["quantized"]


def test_every_build_file_has_a_row() -> None:
    files = sorted((path.parent.name, path.name) for path in EXAMPLES.glob("*/*.toml"))
    assert sorted((folder, name) for folder, name, _, _ in ROWS) == files


@pytest.mark.slow
@pytest.mark.parametrize("folder", sorted({row[0] for row in ROWS}))
def test_whole_builds_give_the_numbers_of_their_rows(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    if (script := tmp_path / "examples" / folder / "export.py").exists():
        subprocess.run([sys.executable, script], check=True)
    for _, name, floats, integers in (row for row in ROWS if row[0] == folder):
        report = codesign.build_file(tmp_path / "examples" / folder / name).report
        assert report is not None
        assert report["ok"]
        assert {check["status"] for check in report["checks"] if check["inputs"]} == {"exact"}
        found = quality(report)
        assert found[0] == pytest.approx(float(floats), abs=0.0005)  # a class may be decided by float32's last bit
        assert found[1] == pytest.approx(float(integers), abs=0.01)  # training ends elsewhere on another processor
