"""kill -9 at any moment: the build never looks finished, and running it again gives the same, bit for bit."""

import functools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codesign import tools
from codesign.store import Store
from tests.builds import Project, command, copy, kill, lasting_folder, make, published, start, surroundings

#: More epochs than in other tests, so that about a third of a build is fine-tuning.
CHANGES: dict[str, dict[str, Any]] = {"finetune": {"epochs": 40, "batch": 64}}
#: Kills at a random moment, by flow.
FLOWS = ["qonnx"] * 7 + ["hls4ml"] * 3
#: Fractions of an undisturbed build's duration: one in each tenth, so that ten kills reach all of it.
MOMENTS = [(index + random.Random(f"kill {index}").random()) / 10 for index in range(10)]
#: So that the tenths of both flows are mixed.
ORDER = [0, 3, 9, 6, 2, 5, 7, 1, 4, 8]
#: Those of every run of the tests, slow ones or not.
USUAL = (0, 2)


@functools.cache
def undisturbed(flow: str) -> tuple[Project, float]:
    """A build that nobody disturbed, and how many seconds it took."""
    project = make(lasting_folder() / flow, flow, CHANGES)
    begin = time.perf_counter()
    outcome = project.build()
    assert outcome.code == 0, outcome.err
    return project, time.perf_counter() - begin


def check_after_kill(project: Project, reference: Project) -> None:
    """A report stands only for a whole build."""
    if (project.out / "report.json").exists():
        assert published(project) == published(reference)


def check_finishes(project: Project, reference: Project) -> None:
    """Running it again gives what an undisturbed build gives, and what the report says is there."""
    outcome = project.build()
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    assert published(project) == published(reference)
    files = published(project)[1]
    for artifact in project.report()["artifacts"]:
        path = artifact["path"]
        if artifact["folder"]:
            Store(project.folder / "again").put_folder(project.out / path)
            assert (project.folder / "again" / "blobs" / artifact["sha256"][:2] / artifact["sha256"]).is_file()
        else:
            assert files[path] == artifact["sha256"]


def wait_for(process: "subprocess.Popen[bytes]", happened: Callable[[], bool]) -> None:
    """Until something has happened in a running build."""
    while not happened():
        assert process.poll() is None, "the build was over before it happened"
        try:
            process.wait(0.002)
        except subprocess.TimeoutExpired:
            continue


def epochs_saved(project: Project) -> bool:
    """Whether fine-tuning has saved its state."""
    return any((project.out / ".codesign" / "work").glob("*/state.safetensors"))


def compiling(project: Project) -> bool:
    """Whether the C++ compiler is at work."""
    return any((project.out / ".codesign" / "scratch").glob("*/project/hls4ml_config.yml"))


@pytest.mark.parametrize(
    "number", [pytest.param(number, marks=[pytest.mark.slow] * (number not in USUAL)) for number in range(10)]
)
def test_killed_at_a_random_moment(number: int, tmp_path: Path) -> None:
    flow, moment = FLOWS[number], MOMENTS[ORDER[number]]
    reference, seconds = undisturbed(flow)
    project = make(tmp_path / "project", flow, CHANGES)
    process = start(project)
    try:
        code = process.wait(moment * seconds)
    except subprocess.TimeoutExpired:
        kill(process)
        check_after_kill(project, reference)
    else:
        assert code == 0
    check_finishes(project, reference)


def test_killed_while_fine_tuning_goes_on_from_its_last_epoch(tmp_path: Path) -> None:
    """Two kills in a row, the second with more epochs behind it."""
    reference, _ = undisturbed("qonnx")
    project = make(tmp_path / "project", "qonnx", CHANGES)
    saved: set[bytes] = set()

    def more_epochs() -> bool:
        for path in (project.out / ".codesign" / "work").glob("*/state.safetensors"):
            if (content := path.read_bytes()) not in saved:
                saved.add(content)
                return True
        return False

    for _ in range(2):
        process = start(project)
        wait_for(process, more_epochs)
        kill(process)
        assert epochs_saved(project)
        assert not (project.out / "report.json").exists()
    check_finishes(project, reference)


def test_killed_while_compiling(tmp_path: Path) -> None:
    reference, _ = undisturbed("hls4ml")
    project = make(tmp_path / "project", "hls4ml", CHANGES)
    process = start(project)
    wait_for(process, lambda: compiling(project))
    kill(process)
    assert not (project.out / "report.json").exists()
    assert not (project.out / "hls4ml").exists()
    check_finishes(project, reference)
    assert not compiling(project)


def test_a_finished_build_that_is_built_anew_and_killed_looks_unfinished(tmp_path: Path) -> None:
    reference, _ = undisturbed("qonnx")
    project = copy(reference, tmp_path / "project")
    process = start(project, "--seed", "1")
    wait_for(process, lambda: epochs_saved(project))
    kill(process)
    assert sorted(path.name for path in project.out.iterdir()) == [".codesign"]
    check_finishes(project, reference)


def test_an_interrupted_build_says_how_to_go_on(tmp_path: Path) -> None:
    """Ctrl-C while fine-tuning, which would still take long."""
    project = make(tmp_path / "project", "qonnx", CHANGES)
    process = subprocess.Popen(
        [*command(), *project.arguments(), "--set", "finetune.epochs=100000"], cwd=project.folder, env=surroundings(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        # Tests that run in the background are started with Ctrl-C ignored, and would hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    wait_for(process, lambda: epochs_saved(project))  # pyright: ignore[reportArgumentType]
    process.send_signal(signal.SIGINT)
    try:
        _, message = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in message
    assert "run the same command again" in message
    assert not (project.out / "report.json").exists()
    assert project.build().code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_tool_ends_with_the_build(number: signal.Signals, tmp_path: Path) -> None:
    """Whatever ends it, but SIGKILL: the tool writes its own number, and is gone with the build."""
    tool = "import os, time; open('pid', 'w').write(str(os.getpid())); os.rename('pid', 'running'); time.sleep(600)"
    call = f"[sys.executable, '-c', {tool!r}], Path({str(tmp_path)!r}), Path({str(tmp_path / 'log')!r}), 600"
    build = f"""
import sys
from pathlib import Path
from codesign import cli, tools
cli.app = lambda: tools.run({call})
cli.main()
"""
    process = subprocess.Popen([sys.executable, "-c", build], stderr=subprocess.DEVNULL)
    running = tmp_path / "running"
    while not running.is_file():
        assert process.poll() is None
        time.sleep(0.01)
    child = int(running.read_text())
    process.send_signal(number)
    assert process.wait(60) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_tool_that_is_just_starting_ends_with_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes before anybody knows the new process."""
    started: list[subprocess.Popen[bytes]] = []

    class Slow(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)
            signal.raise_signal(signal.SIGTERM)

    def ended(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, ended)
    monkeypatch.setattr(subprocess, "Popen", Slow)
    try:
        with pytest.raises(SystemExit):
            tools.run([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path, tmp_path / "log", 600)
    finally:
        signal.signal(signal.SIGTERM, before)
    (process,) = started
    left = process.poll()
    process.kill()
    assert left == -signal.SIGKILL
    assert signal.getsignal(signal.SIGTERM) is before
