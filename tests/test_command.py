"""The command in a report gives the same build again."""

import shlex
from pathlib import Path

import pytest

from codesign.cli import _assignment
from codesign.command import build_command
from codesign.flow import Setting
from tests.builds import finished, run


@pytest.mark.parametrize(
    "text",
    ["a.b=1", "a.b=0.5", "a.b=true", 'a.b="1"', "a.b=text", 'a.b=["x y", "z"]', 'a.b={lut = "target", "c.d" = 2}'],
)
def test_a_setting_is_written_so_that_it_reads_back_the_same(text: str) -> None:
    key, value = _assignment(text)
    words = shlex.split(build_command(Path("build.toml"), None, None, [Setting(key, value, "", Path())], None, ()))
    assert words[:4] == ["codesign", "build", "build.toml", "--set"]
    assert _assignment(words[4]) == (key, value)


def test_the_command_of_a_report_repeats_it(tmp_path: Path) -> None:
    project = finished()
    command = shlex.split(project.report()["environment"]["command"])
    again = run(*command[1:], "--out", str(tmp_path / "again"), cwd=project.folder)
    assert again.code == 0, again.err
    report = (tmp_path / "again" / "report.json").read_text()
    assert (project.out / "report.json").read_text().partition('"passes"')[0] == report.partition('"passes"')[0]


def test_paths_start_from_the_build_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = build_command(Path("project/build.toml"), "targets/own.toml", "rtl", [], 3, ["verify.anomaly"])
    assert command == "codesign build build.toml --target ../targets/own.toml --flow rtl --seed 3 --also verify.anomaly"
