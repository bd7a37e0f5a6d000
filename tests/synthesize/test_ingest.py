"""What was run elsewhere comes back into the report of its build, or not at all."""

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from codesign.directory import opened, read_report
from codesign.errors import InputError
from codesign.flow import load_flow
from codesign.limits import LIMITS
from codesign.report.files import ingest as ingesting
from codesign.report.files.ingest import ingest
from tests.builds import QONNX_PASSES, Outcome, Project, copy, finished, run
from tests.synthesize.vendors import FIGURES, SAVED, fake, finish, finishing

#: The passes of the tiny build, which is for a small chip, with Verilog for the chip of the saved reports.
PASSES = [*QONNX_PASSES]
PASSES[PASSES.index("verify.exact") : PASSES.index("verify.exact")] = ["transpile.retarget", "transpile.rtl"]
FLOW = f"""summary = "RTL"
passes = {json.dumps(PASSES)}

[options."transpile.retarget"]
target = "vu13p-l1t"
"""


def built(folder: Path, environment: dict[str, str] | None = None) -> tuple[Project, Outcome]:
    """The tiny build that all tests share, gone on with to Verilog and Vivado."""
    project = copy(finished(), folder)
    (project.folder / "rtl.toml").write_text(FLOW)
    project.write(flow="rtl.toml")
    return project, project.build("--also", "synthesize.vivado", environment=environment)


@cache
def without_vivado() -> Project:
    """A build on a machine without Vivado, made once."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    project, outcome = built(Path(folder) / "project")
    assert outcome.code == 0, outcome.err
    return project


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A copy of its build directory."""
    return Path(shutil.copytree(without_vivado().out, tmp_path / "build"))


def elsewhere(build: Path, folder: Path) -> Path:
    """The project as it comes back."""
    shutil.copytree(build / "vivado", folder)
    finish(folder, "vivado")
    return folder


def files(build: Path) -> dict[str, bytes]:
    """The report's files."""
    return {name: (build / name).read_bytes() for name in ("report.json", "report.md", "report.html")}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_without_the_tool_the_build_says_what_to_run(build: Path) -> None:
    report = read_report(build)
    (notice,) = [text for text in report["notices"] if "synthesize.vivado" in text]
    assert "was not run: vivado is not on PATH" in notice
    assert not [row for row in report["measures"] if row["kind"] == "reported"]
    assert report["ok"]
    assert "vivado -mode batch -nojournal -nolog -notrace -source run.tcl" in (build / "vivado/RUN.md").read_text()


@pytest.mark.parametrize("whole", [True, False], ids=["project", "reports"])
def test_what_comes_back_is_in_the_report(whole: bool, build: Path, tmp_path: Path) -> None:
    folder = elsewhere(build, tmp_path / "came back")
    before = read_report(build)
    outcome = run("report", "--ingest", str(folder if whole else folder / "reports"), str(build))
    assert outcome.code == 0, outcome.err
    assert "vivado_fmax_mhz" in outcome.out
    report = read_report(build)
    rows = {row["name"]: row for row in report["measures"] if row["kind"] == "reported"}
    assert {name: row["value"] for name, row in rows.items()} == {
        f"vivado_{k}": v for k, v in FIGURES["vivado"].items()
    }
    limited = {name.removeprefix("vivado_") for name, row in rows.items() if row["limit"]}
    assert limited == {"lut", "ff", "dsp", "bram_36k", "fmax_mhz", "hold_slack_ns"} <= set(LIMITS)
    assert rows["vivado_fmax_mhz"]["limit"] == {"value": 200.0, "least": True}
    assert report["ok"]
    assert not [text for text in report["notices"] if "synthesize.vivado" in text]
    assert "## Measures, reported" in (build / "report.md").read_text()
    assert "vivado_fmax_mhz" in (build / "report.html").read_text()
    changed = {"measures", "notices"}
    assert {key: value for key, value in report.items() if key not in changed} == {
        key: value for key, value in before.items() if key not in changed
    }
    assert [row["name"] for row in report["measures"]] == sorted(row["name"] for row in report["measures"])


def test_a_second_time_is_as_the_first(build: Path, tmp_path: Path) -> None:
    folder = elsewhere(build, tmp_path / "back")
    ingest(folder, build)
    once = files(build)
    ingest(folder, build)
    assert files(build) == once


def test_limits_that_break_and_are_kept_again(build: Path, tmp_path: Path) -> None:
    folder = elsewhere(build, tmp_path / "back")
    ingest(folder, build)
    good = files(build)
    edit(folder / "reports/timing.rpt", "      1.000  ", "     -1.000  ")
    outcome = run("report", "--ingest", str(folder), str(build))
    assert outcome.code == 1
    (failure,) = read_report(build)["failures"]
    assert failure.startswith("vivado_fmax_mhz (reported) is 166.")
    assert "wants at least 200" in failure
    assert "166." in outcome.out
    edit(folder / "reports/timing.rpt", "     -1.000  ", "      1.000  ")
    ingest(folder, build)
    assert files(build) == good


def test_a_hold_that_fails_is_a_failure(build: Path, tmp_path: Path) -> None:
    folder = elsewhere(build, tmp_path / "back")
    edit(folder / "reports/timing.rpt", "        0.033  ", "       -0.033  ")
    _, report = ingest(folder, build)
    (failure,) = report["failures"]
    assert failure.startswith("vivado_hold_slack_ns (reported) is -0.033")
    edit(folder / "reports/timing.rpt", "      1.000  ", "         NA  ")
    _, report = ingest(folder, build)
    assert "synthesize.vivado: the reports give no fmax_mhz, setup_slack_ns" in report["notices"]
    assert not any(row["name"] == "vivado_fmax_mhz" for row in report["measures"])


def test_a_run_in_place_finds_its_build(build: Path) -> None:
    finish(build / "vivado", "vivado")
    place, report = ingest(build / "vivado")
    assert place.samefile(build)
    assert any(row["kind"] == "reported" for row in report["measures"])


def test_building_again_takes_it_out(tmp_path: Path) -> None:
    project = copy(without_vivado(), tmp_path / "project")
    folder = elsewhere(project.out, tmp_path / "back")
    before = read_report(project.out)["measures"]
    ingest(folder, project.out)
    outcome = project.build("--also", "synthesize.vivado")
    assert outcome.code == 0, outcome.err
    assert read_report(project.out)["measures"] == before
    ingest(folder, project.out)


def _other_build(folder: Path) -> None:
    record = json.loads((folder / "codesign.json").read_text())
    record["digest"] = "f" * 64
    for place in ("codesign.json", "reports/codesign.json"):
        (folder / place).write_text(json.dumps(record))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing ran": (lambda folder: shutil.rmtree(folder / "reports"), "no reports: there is no codesign.json"),
    "not finished": (
        lambda folder: (folder / "reports/codesign.json").unlink(),
        "a run that did not finish: there is no codesign.json; wanted: a finished run; run the command",
    ),
    "gone": (shutil.rmtree, "no such folder; wanted: the folder that came back"),
    "empty": (lambda folder: (shutil.rmtree(folder), folder.mkdir()), "no reports"),
    "a file": (lambda folder: (shutil.rmtree(folder), folder.write_text("")), "no such folder"),
    "truncated": (
        lambda folder: (folder / "reports/utilization.rpt").write_text("Copyright"),
        "utilization.rpt: no line 'Tool Version' in it; wanted: a whole report, as the tool wrote it; run the tool",
    ),
    "no report": (lambda folder: (folder / "reports/timing.rpt").unlink(), "timing.rpt: not there"),
    "garbage": (lambda folder: (folder / "reports/timing.rpt").write_bytes(bytes(range(256))), "timing.rpt: no line"),
    "garbage manifest": (lambda folder: (folder / "reports/codesign.json").write_bytes(b"\xff"), "no project of"),
    "another build": (_other_build, "reports of rtl ffffffffffff, made for another build; wanted: "),
    "newer format": (
        lambda folder: edit(folder / "reports/codesign.json", "codesign-vendor/1", "codesign-vendor/2"),
        "schema 'codesign-vendor/2'; wanted: codesign-vendor/1; use the version of codesign that made the project",
    ),
    "another pass": (
        lambda folder: edit(folder / "reports/codesign.json", "synthesize.vivado", "synthesize.yosys"),
        "made by synthesize.yosys; wanted: a pass that runs a vendor's tool",
    ),
    "no such pass": (
        lambda folder: edit(folder / "reports/codesign.json", "synthesize.vivado", "synthesize.vivad"),
        "pass 'synthesize.vivad': no such pass; did you mean 'synthesize.vivado'",
    ),
    "no project in the build": (
        lambda folder: edit(folder / "reports/codesign.json", "synthesize.vivado", "synthesize.quartus"),
        "a build without a project for quartus; wanted: the build that it is from; build again",
    ),
    "changed Verilog": (
        lambda folder: (folder / "network.v").write_text("module network; endmodule"),
        "network.v: changed since codesign wrote it; wanted: the file of the build",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_and_nothing_is_written(name: str, build: Path, tmp_path: Path) -> None:
    damage, words = BAD[name]
    folder = elsewhere(build, tmp_path / "back")
    damage(folder)
    before = files(build)
    outcome = run("report", "--ingest", str(folder), str(build))
    assert outcome.code == 2
    assert words in " ".join(outcome.err.split())
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert files(build) == before


def test_a_build_that_is_none_is_said(build: Path, tmp_path: Path) -> None:
    folder = elsewhere(build, tmp_path / "back")
    with pytest.raises(InputError, match="not in a build directory; wanted: the build that it is from; name it"):
        ingest(folder)
    with pytest.raises(InputError, match=r"no report\.json"):
        ingest(folder, tmp_path)
    shutil.rmtree(build / ".codesign")
    with pytest.raises(InputError, match=r"no \.codesign in it"):
        ingest(folder, build)


def test_a_build_that_is_running_is_left_alone(build: Path, tmp_path: Path) -> None:
    folder = elsewhere(build, tmp_path / "back")
    with opened(build), pytest.raises(InputError, match="in use by another build"):
        ingest(folder, build)


def test_a_full_disk_leaves_the_report_whole(build: Path, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    folder, before = elsewhere(build, tmp_path / "back"), files(build)
    monkeypatch.setattr("codesign.store.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        ingest(folder, build)
    assert files(build) == before
    assert ingesting.Returned.at(folder).manifest.top == "network"


def test_the_build_runs_a_tool_that_is_there(tmp_path: Path) -> None:
    """Through the command line; the fake is the first on PATH."""
    fake(tmp_path, "vivado", finishing("vivado"))
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    project, outcome = built(tmp_path / "project", {"PATH": path})
    assert outcome.code == 0, outcome.err
    report = read_report(project.out)
    found = {row["name"]: row["value"] for row in report["measures"] if row["kind"] == "reported"}
    assert found == {f"vivado_{name}": value for name, value in FIGURES["vivado"].items()}
    assert (project.out / "vivado/reports/utilization.rpt").read_bytes() == (
        SAVED / "vivado/utilization.rpt"
    ).read_bytes()

    folder = Path(shutil.copytree(project.out / "vivado", tmp_path / "run once more"))
    edit(folder / "reports/timing.rpt", "      1.000  ", "      2.500  ")
    _, report = ingest(folder, project.out)
    assert {row["name"]: row["value"] for row in report["measures"]}["vivado_fmax_mhz"] == 400


def test_passes_of_vendors_have_their_place() -> None:
    also = ["synthesize.vivado", "synthesize.vitis_hls"]
    passes = load_flow("hls4ml", Path()).extended(also, "test").passes
    assert passes[-3:] == ("synthesize.vitis_hls", "synthesize.vivado", "report.summary")
    assert load_flow("rtl", Path()).extended(also[:1], "test").passes[-2:] == ("synthesize.vivado", "report.summary")
