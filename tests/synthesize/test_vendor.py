"""Passes that run vendors' tools, against fake tools: how they are called, what is kept, and what can go wrong."""

import errno
import os
import select
from pathlib import Path

import pytest

from codesign import tools
from codesign.design import Artifact, Design
from codesign.engine import Engine
from codesign.errors import InputError, ToolError
from codesign.passes import Context, Pass
from codesign.pipeline import Quiet
from codesign.store import Store
from codesign.synthesize.catapult import Catapult
from codesign.synthesize.vivado import Vivado
from tests.synthesize.vendors import (
    AMD,
    CASES,
    FIGURES,
    INTEL,
    SAVED,
    called,
    fake,
    finishing,
    given,
    on_path,
    project_folder,
    run,
    step_of,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any of the tools."""
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.mark.parametrize("tool", CASES)
def test_a_tool_that_is_there_is_run_in_a_folder_of_its_own(
    tool: str, store: Store, tmp_path: Path, monkeypatch
) -> None:
    _, program, arguments = CASES[tool]
    fake(tmp_path, program, finishing(tool))
    on_path(tmp_path, monkeypatch.setenv)
    design = run(step_of(tool), given(tool, store, tmp_path), store, tmp_path)
    call = called(tmp_path)
    assert call["argv"] == arguments
    assert Path(str(call["cwd"])).is_relative_to(store.folder / "scratch")
    assert {"run.tcl", "codesign.json", "RUN.md"} <= set(call["files"])  # type: ignore[arg-type]
    measures = {name: item.value for name, item in design.measures.items()}
    assert measures == {f"{tool}_{name}": value for name, value in FIGURES[tool].items()}
    assert {(item.kind, item.by) for item in design.measures.values()} == {("reported", f"synthesize.{tool}")}
    assert design.notices == {}
    files = store.listing(design.artifacts[tool].digest)
    assert {f"reports/{file.name}" for file in (SAVED / tool).iterdir()} < set(files)
    assert "leftover.dcp" not in files
    assert not list((store.folder / "scratch").iterdir())


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("tool", CASES)
def test_without_the_tool_the_project_and_one_command_are_given(tool: str, store: Store, tmp_path: Path) -> None:
    _, program, arguments = CASES[tool]
    step = step_of(tool)
    assert step.versions() == {tool: "not on PATH"}
    design = run(step, given(tool, store, tmp_path), store, tmp_path)
    assert design.measures == {}
    command = " ".join([program, *arguments])
    assert f"was not run: {program} is not on PATH. Run `{command}`" in design.notices[step.name]
    assert "codesign report --ingest" in design.notices[step.name]
    files = store.listing(design.artifacts[tool].digest)
    assert {"run.tcl", "codesign.json", "RUN.md"} <= set(files)
    assert not any(name.startswith("reports") for name in files)
    assert f"$ {command}\n" in store.path(files["RUN.md"]).read_text()


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("tool", CASES)
def test_equal_designs_give_equal_projects(tool: str, tmp_path: Path) -> None:
    first, second = (
        run(step_of(tool), given(tool, Store(folder / "s"), folder), Store(folder / "s"), folder)
        for folder in (tmp_path / "a", tmp_path / "another, longer")
        if folder.mkdir() is None
    )
    assert first.artifacts[tool] == second.artifacts[tool]


@pytest.mark.parametrize("tool", CASES)
def test_a_tool_that_came_or_changed_is_a_reason_to_run(tool: str, tmp_path: Path, monkeypatch) -> None:
    step, store = step_of(tool), Store(tmp_path / "store")
    changes = {name.split(".")[0]: {} for name in step.writes}
    changes["artifacts"] = {tool: Artifact(tool, store.put(b""))}
    monkeypatch.setattr(type(step), "run", lambda *_: changes)

    def reason(kind: Pass = step) -> str:
        return Engine(store, 0, Quiet()).step(kind, {})[1].reason

    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert [reason(), reason()] == ["first run", "nothing changed"]
    path = fake(tmp_path, CASES[tool][1], "")
    on_path(tmp_path, monkeypatch.setenv)
    assert [reason(), reason()] == [f"changed: {tool} version", "nothing changed"]
    path.write_text(path.read_text().replace("v2024.1", "v2025.2"))
    assert [reason(), reason()] == [f"changed: {tool} version", "nothing changed"]


@pytest.mark.parametrize("body", ["sys.exit(3)", "print('no number')", "os.kill(os.getpid(), 9)", "not Python"])
def test_a_tool_that_says_no_version_stops_no_plan(body: str, tmp_path: Path, monkeypatch) -> None:
    path = fake(tmp_path, "vivado", "")
    path.write_text(path.read_text().split("\n")[0] + f"\nimport os, sys\n{body}\n")
    on_path(tmp_path, monkeypatch.setenv)
    assert step_of("vivado").versions() == {"vivado": "vivado: no version"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "print('ERROR: unknown option -mode'); sys.exit(1)",
            r"exit status 1; wanted: exit status 0; log: .*vivado\.log; last lines: .*unknown option",
        ),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
        ("signal.pause()", r"not finished after 1 s; log: .*vivado\.log"),
        ("", "ended without reports/codesign.json; wanted: a run to the end; log: "),
        ("os.mkdir('reports')", "ended without reports/codesign.json"),
        ("os.mkdir('reports'); shutil.copy('codesign.json', 'reports')", "utilization.rpt: not there"),
        (finishing("vivado") + "\nopen('reports/timing.rpt', 'wb').write(os.urandom(99999))", "timing.rpt: no line"),
        (finishing("vivado") + "\nos.truncate('reports/utilization.rpt', 2000)", "utilization.rpt: no row"),
        (finishing("vivado") + "\nos.remove('reports/timing.rpt'); os.mkdir('reports/timing.rpt')", "cannot be read"),
    ],
)
def test_a_tool_that_fails_is_an_error(body: str, words: str, store: Store, tmp_path: Path, monkeypatch) -> None:
    fake(tmp_path, "vivado", body)
    on_path(tmp_path, monkeypatch.setenv)
    with pytest.raises(ToolError, match=words):
        run(Vivado(timeout_s=1.0 if "pause" in body else 600.0), given("vivado", store, tmp_path), store, tmp_path)
    assert not list((store.folder / "scratch").iterdir())


def test_a_tool_out_of_time_is_killed_with_what_it_started(tmp_path: Path) -> None:
    """A pipe has an end once nobody holds it open for writing: neither this test nor what the program started."""
    pipe, program = tmp_path / "pipe", tmp_path / "program"
    os.mkfifo(pipe)
    program.write_text(f"#!/bin/sh\nsleep 600 > {pipe} &\nwait\n")
    program.chmod(0o755)
    for ask in (
        lambda: tools.run([program], tmp_path, tmp_path / "log", 0.5),
        lambda: tools.answer([program, "--version"], 0.5),
    ):
        end, own = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), os.open(pipe, os.O_WRONLY)
        with pytest.raises(ToolError, match=r"0\.5 s"):
            ask()
        os.close(own)
        assert select.select([end], [], [], 60)[0], "what the program started is alive"
        assert os.read(end, 1) == b""
        os.close(end)


def test_the_newest_program_is_taken(store: Store, tmp_path: Path, monkeypatch) -> None:
    design = given("vitis_hls", store, tmp_path)
    for program, arguments in (("vitis_hls", ["-f", "run.tcl"]), ("vitis-run", CASES["vitis_hls"][2])):
        fake(tmp_path, program, finishing("vitis_hls"))
        on_path(tmp_path, monkeypatch.setenv)
        run(step_of("vitis_hls"), design, store, tmp_path)
        assert called(tmp_path)["argv"] == arguments


@pytest.mark.parametrize(("tool", "target"), [("vivado", INTEL), ("quartus", AMD)])
def test_parts_of_other_vendors_are_refused_early(tool: str, target, tmp_path: Path) -> None:
    step = step_of(tool)
    assert step.early == ("target",)
    with pytest.raises(InputError, match=rf"part: '{target.part}' for synthesize.{tool}; wanted: a part that starts"):
        step.refuse(Design({"target": target}))
    step.refuse(Design({"target": INTEL if target is AMD else AMD}))


@pytest.mark.parametrize(("tool", "other"), [("vitis_hls", "catapult"), ("catapult", "vitis_hls")])
def test_cpp_for_another_tool_is_refused(tool: str, other: str, store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"C\+\+ for .*; set transpile.hls4ml.backend to"):
        run(step_of(tool), given(other, store, tmp_path), store, tmp_path)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_times_are_positive(seconds: float) -> None:
    with pytest.raises(InputError, match=r"synthesize\.vivado, timeout_s: .*a positive number of seconds"):
        Vivado(timeout_s=seconds)


def after_hls(tool_there: bool, store: Store, folder: Path, monkeypatch) -> Design:
    """A design that Vitis HLS had its turn with; Vivado is on PATH."""
    fake(folder, "vivado", finishing("vivado"))
    if tool_there:
        made = "\nos.mkdir('hdl')\nfor name in ('network.v', 'rom.dat'):\n    pathlib.Path('hdl', name).write_text('')"
        fake(folder, "vitis-run", finishing("vitis_hls") + made)
    on_path(folder, monkeypatch.setenv)
    return run(step_of("vitis_hls"), given("vitis_hls", store, folder), store, folder)


def test_vivado_takes_the_verilog_of_vitis_hls(store: Store, tmp_path: Path, monkeypatch) -> None:
    design = run(Vivado(), after_hls(True, store, tmp_path, monkeypatch), store, tmp_path)
    assert design.measures["vivado_lut"].value == 999
    files = store.listing(design.artifacts["vivado"].digest)
    script, clock = (store.path(files[name]).read_text() for name in ("run.tcl", "clock.xdc"))
    assert "read_verilog -sv [list ./hdl/network.v]\n" in script
    assert "read_mem" in script
    assert clock == "create_clock -name ap_clk -period 5.0 [get_ports ap_clk]\n"
    assert "reports/csynth.xml" not in files, "reports of another tool"


def test_without_verilog_there_is_nothing_for_vivado(store: Store, tmp_path: Path, monkeypatch) -> None:
    design = run(Vivado(), after_hls(False, store, tmp_path, monkeypatch), store, tmp_path)
    assert "vivado" not in design.artifacts
    assert "nothing to run on: Vitis HLS" in design.notices["synthesize.vivado"]
    assert not (tmp_path / "called.json").exists()


def test_catapult_reads_what_its_vivado_said(store: Store, tmp_path: Path, monkeypatch) -> None:
    both = finishing("catapult") + f"\nfor file in pathlib.Path({str(SAVED / 'vivado')!r}).iterdir():\n"
    fake(tmp_path, "catapult", both + "    shutil.copy(file, 'reports')")
    on_path(tmp_path, monkeypatch.setenv)
    design = run(Catapult(vivado=True), given("catapult", store, tmp_path), store, tmp_path)
    found = {name: item.value for name, item in design.measures.items()}
    assert found["catapult_lut"] == 999
    assert (found["catapult_fmax_mhz"], found["catapult_latency_cycles"]) == (250, 12)


def test_a_full_disk_is_said(store: Store, tmp_path: Path, monkeypatch) -> None:
    def full(content: bytes) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "blob")

    fake(tmp_path, "vivado", finishing("vivado"))
    on_path(tmp_path, monkeypatch.setenv)
    design = given("vivado", store, tmp_path)
    monkeypatch.setattr(store, "put", full)
    with pytest.raises(OSError, match="No space left on device: 'blob'"):
        run(Vivado(), design, store, tmp_path)
    assert not list((store.folder / "scratch").iterdir())


@pytest.mark.parametrize("name", ["with space", "it's", '"quoted"', "-leading", "$dollar [exec] {brace"])
def test_odd_paths_are_no_matter(name: str, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / name
    folder.mkdir()
    store = Store(folder / "store")
    fake(tmp_path, "vivado", finishing("vivado"))
    on_path(tmp_path, monkeypatch.setenv)
    digest = store.put_folder(project_folder(folder / "source", "rtl", "vivado"))
    design = Design({"target": AMD, "artifacts": {"rtl": Artifact("rtl", digest, folder=True)}})
    found = Vivado()(design, Context(store, folder))
    assert found.measures["vivado_lut"].value == 999


@pytest.mark.parametrize("tool", CASES)
def test_templates_count(tool: str) -> None:
    assert [path.name for path in step_of(tool).files()] == [f"{tool}.tcl.j2", "vendor.md.j2"]
