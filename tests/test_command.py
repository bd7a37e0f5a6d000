"""The command in a report gives the same build again."""

import shlex
from pathlib import Path

import pytest

from codesign import build_file
from codesign.command import build_command
from codesign.flow import load_flow
from codesign.setting import Setting, assigned, assignment, seen_from
from tests.builds import copy, finished, run


@pytest.mark.parametrize(
    "text",
    ["a.b=1", "a.b=0.5", "a.b=true", 'a.b="1"', "a.b=text", 'a.b=["x y", "z"]', 'a.b={lut = "target", "c.d" = 2}'],
)
def test_a_setting_is_written_so_that_it_reads_back_the_same(text: str) -> None:
    key, value = assignment(text)
    words = shlex.split(build_command(Path("build.toml"), None, None, [Setting(key, value, "", Path())], None, ()))
    assert words[:4] == ["codesign", "build", "build.toml", "--set"]
    assert assignment(words[4]) == (key, value)


def test_the_command_of_a_report_repeats_it(tmp_path: Path) -> None:
    project = finished()
    command = shlex.split(project.report()["environment"]["command"])
    again = run(*command[1:], "--out", str(tmp_path / "again"), cwd=project.folder)
    assert again.code == 0, again.err
    report = (tmp_path / "again" / "report.json").read_text()
    assert (project.out / "report.json").read_text().partition('"passes"')[0] == report.partition('"passes"')[0]


def test_the_command_of_a_report_finds_paths_of_options_where_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for in another folder, with a path from there; the same path is found from the build file's."""
    project = copy(finished(), tmp_path / "project")
    (tmp_path / "elsewhere").mkdir()
    (project.folder / "data.npz").rename(tmp_path / "elsewhere" / "data.npz")
    monkeypatch.chdir(tmp_path)
    build_file(Path("project/build.toml"), project.out, set_options=assigned(["load.npz.data=elsewhere/data.npz"]))
    command = project.report()["environment"]["command"]
    assert command == "codesign build build.toml --set 'load.npz.data=\"../elsewhere/data.npz\"'"
    assert command in (project.out / "report.md").read_text()
    again = run(*shlex.split(command)[1:], "--out", "out", cwd=project.folder)
    assert again.code == 0, again.err
    assert project.report()["environment"]["command"] == command


def test_paths_of_options_start_where_they_are_said(tmp_path: Path) -> None:
    flow = load_flow("rtl", Path()).extended(["deploy.patterns"], "test")

    def seen(key: str, value: object) -> object:
        return seen_from(Setting(key, value, "--set", tmp_path / "here"), flow, tmp_path / "project").value

    assert seen("load.npz.data", "data.npz") == "../here/data.npz"
    assert seen("load.data", "../project/data.npz") == "data.npz"
    assert seen("deploy.patterns.links", str(tmp_path / "map.toml")) == str(tmp_path / "map.toml")
    assert seen("load.torch.factory", "Tiny") == "Tiny"
    assert seen("finetune.epochs", 3) == 3
    (tmp_path / "deep" / "real").mkdir(parents=True)
    (tmp_path / "project").symlink_to(tmp_path / "deep" / "real")
    assert seen("load.npz.data", "data.npz") == "../../here/data.npz", "above a link is above what it means"


def test_paths_start_from_the_build_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = build_command(Path("project/build.toml"), "targets/own.toml", "rtl", [], 3, ["verify.anomaly"])
    assert command == "codesign build build.toml --target ../targets/own.toml --flow rtl --seed 3 --also verify.anomaly"
