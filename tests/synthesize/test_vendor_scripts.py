"""Scripts of vendors' tools, run by Tcl itself: every value is what it was, and commands come in their order."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codesign.synthesize.vendor.tool import VendorTool
from codesign.synthesize.vivado import Vivado
from codesign.tcl import tcl
from tests.synthesize.vendors import CASES, INTERFACE, manifest, project_folder, step_of

tkinter = pytest.importorskip("tkinter")

#: Texts that Tcl makes something of.
ODD = (
    "",
    "a b",
    "{",
    "}",
    "a}b{",
    "\\",
    "$x",
    "[exit]",
    '"',
    ";exit",
    "#",
    "-x",
    "a\nb",
    "\t",
    "{*}x",
    "é",
    "\U0001f600",
)


class Shell:
    """A Tcl interpreter in a folder, to which any command that Tcl does not have is a tool's: it is noted."""

    def __init__(self, fails: str = "") -> None:
        self.tcl = tkinter.Tcl()
        self.calls: list[tuple[str, ...]] = []
        self.fails = fails
        self.tcl.createcommand("unknown", self._note)
        self.tcl.createcommand("exit", lambda *_: None)

    def _note(self, *words: str) -> str:
        self.calls.append(words)
        if words[0] == self.fails:
            raise ValueError(words)
        for file in words[words.index("-file") + 1 :] if "-file" in words else ():
            Path(file).write_text("report")
        return ""

    def run(self, project: Path) -> list[tuple[str, ...]]:
        """Source the project's script."""
        self.tcl.call("source", str(project / "run.tcl"))
        return self.calls


@given(st.text() | st.sampled_from(ODD))
@settings(deadline=None)
def test_any_text_is_one_word(text: str) -> None:
    shell = tkinter.Tcl()
    shell.eval(f"proc back {{args}} {{ return $args }}\nset words [back first {tcl(text)} last]")
    assert shell.eval("llength $words") == "3"
    assert str(shell.eval("lindex $words 1")) == text


def written(tool: str, folder: Path, step: VendorTool | None = None, **changes: object) -> Path:
    """A project with its scripts."""
    project, step = project_folder(folder / "project", CASES[tool][0], tool), step or step_of(tool)
    given = replace(manifest(tool), **changes)
    given.write(project)
    for name, text in step.scripts(project, given).items():
        (project / name).write_text(text)
    return project


def test_vivado_is_told_all_in_order(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = written("vivado", tmp_path)
    calls = Shell().run(project)
    assert [words[0] for words in calls] == [
        "create_project", "read_verilog", "read_verilog", "read_xdc", "synth_design", "report_utilization",
        "report_timing_summary", "opt_design", "place_design", "phys_opt_design", "route_design", "report_utilization",
        "report_timing_summary",
    ]  # fmt: skip
    assert calls[0] == ("create_project", "-in_memory", "-part", "xcvu13p-flga2577-2-e")
    assert [words[-1] for words in calls[1:3]] == ["./network.v", "./static/mux.v"]
    assert calls[3] == ("read_xdc", "-mode", "out_of_context", "./clock.xdc")
    assert calls[4][1:5] == ("-mode", "out_of_context", "-top", "network")
    assert Path.cwd() == project, "the script goes to its own folder"
    assert sorted(path.name for path in Path("reports").iterdir()) == [
        "codesign.json", "timing.rpt", "timing_synthesis.rpt", "utilization.rpt", "utilization_synthesis.rpt",
    ]  # fmt: skip


def test_vivado_ends_after_synthesis_if_told_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    calls = Shell().run(written("vivado", tmp_path, Vivado(implement=False)))
    assert [words[0] for words in calls][-3:] == ["synth_design", "report_utilization", "report_timing_summary"]


@pytest.mark.parametrize("fails", ["create_project", "synth_design", "route_design", "report_timing_summary"])
def test_a_run_that_fails_leaves_no_manifest_and_no_old_one(fails: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = written("vivado", tmp_path)
    Shell().run(project)
    with pytest.raises((tkinter.TclError, ValueError)):
        Shell(fails).run(project)
    assert not (project / "reports/codesign.json").exists()


def test_quartus_is_told_every_pin_by_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = written("quartus", tmp_path)
    calls = Shell().run(project)
    pins = {words[-1] for words in calls if words[0] == "set_instance_assignment"}
    assert pins == {"reset", "in_valid", "out_valid", "in_x", "in_x[*]", "out_y", "out_y[*]"}
    settings = {words[2]: words[3] for words in calls if words[0] == "set_global_assignment"}
    assert settings["DEVICE"] == "10AX115N2F45E1SG"
    assert settings["TOP_LEVEL_ENTITY"] == "network"
    assert calls[-2:] == [("execute_flow", "-compile"), ("project_close",)]
    assert (project / "reports/codesign.json").is_file()


def test_vitis_hls_is_told_what_hls4ml_was_asked_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = written("vitis_hls", tmp_path)
    made = project / "codesign_project/solution/syn"
    for name in ("report/network_csynth.xml", "verilog/network.v", "verilog/rom.dat"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(name)
    calls = Shell().run(project)
    told = {words[0]: words[1:] for words in calls}
    assert told["add_files"] == ("./firmware/network.cpp", "-cflags", "-std=c++0x")
    assert told["set_part"] == ("xcvu13p-flga2577-2-e",)
    assert told["create_clock"] == ("-period", "5.0", "-name", "default")
    assert told["set_clock_uncertainty"] == ("27%", "default")
    assert (project / "reports/csynth.xml").read_text() == "report/network_csynth.xml"
    assert sorted(path.name for path in (project / "hdl").iterdir()) == ["network.v", "rom.dat"]
    assert (project / "reports/codesign.json").is_file()


def test_catapult_runs_the_script_of_hls4ml(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = written("catapult", tmp_path)
    (project / "network_prj/network.v1").mkdir(parents=True)
    (project / "network_prj/network.v1/cycle.rpt").write_text("of an earlier run")
    (project / "build_prj.tcl").write_text(
        "go $::argv\nfile mkdir network_prj/network.v1\nset file [open network_prj/network.v1/cycle.rpt w]\n"
        "puts $file new\nclose $file\n"
    )
    (call,) = Shell().run(project)
    assert call[0] == "go"
    assert "synth=1" in call[1].split()
    assert "vsynth=0" in call[1].split()
    assert (project / "reports/cycle.rpt").read_text() == "new\n"
    assert (project / "reports/codesign.json").is_file()


@given(part=st.text(min_size=1) | st.sampled_from(ODD[1:]), folder=st.sampled_from(["a b", "{", "$x[y]", "-z", "it's"]))
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_odd_names_reach_the_tools_as_they_are(part: str, folder: str, tmp_path_factory, monkeypatch) -> None:
    place = tmp_path_factory.mktemp("odd") / folder
    place.mkdir()
    monkeypatch.chdir(place)
    project = project_folder(place / "project", "rtl", "vivado")
    odd = replace(INTERFACE, files=("-a b$[c]{.v", 'q"u;o#te\\.v'))
    odd.write(project)
    record = manifest("vivado")
    record = replace(record, target=replace(record.target, part=part))
    record.write(project)
    for name, text in step_of("vivado").scripts(project, record).items():
        (project / name).write_text(text)
    shell = Shell()
    calls = shell.run(project)
    assert calls[0] == ("create_project", "-in_memory", "-part", part)
    # Vivado takes lists of files.
    assert [shell.tcl.splitlist(words[-1]) for words in calls[1:3]] == [(f"./{name}",) for name in odd.files]
