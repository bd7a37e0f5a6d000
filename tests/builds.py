"""A tiny but real build for the tests: a network of 42 weights, 2000 samples of 3 classes, few epochs."""

import atexit
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from codesign.pipeline import BuildResult

#: The network's file; tests replace parts of it.
MODEL = '''"""A tiny classifier."""

from torch import Tensor, nn


class Tiny(nn.Module):
    """4 features to 3 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 6)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.relu1(self.fc1(x)))
'''

#: Keys of the build file, by table; ``None`` is the top.
SETTINGS: dict[str, dict[str, Any]] = {
    "": {"name": "tiny", "target": "pynq-z2", "seed": 0},
    "load.npz": {"data": "data.npz", "train": [0, 1200], "validation": [1200, 1600], "test": [1600, 2000]},
    "load.torch": {"model": "model.py", "factory": "Tiny", "checkpoint": "tiny.safetensors"},
    "sensitivity": {"samples": 256},
    "allocate": {"weight_bits": [4, 5], "calibration": 256},
    "finetune": {"epochs": 2, "batch": 128, "calibration": 256},
}

#: The passes of flow ``qonnx``, in order.
QONNX_PASSES = (
    "load.npz", "load.torch", "sensitivity.hessian_trace", "sensitivity.comparison", "allocate.pareto",
    "allocate.choose", "finetune.qat", "export.qonnx", "verify.exact", "verify.accuracy", "report.summary",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a finished command gave."""

    code: int
    out: str
    err: str


def samples(count: int = 2000, seed: int = 7) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Points around three centres: ``[count, 4]`` and labels ``[count]``."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    centres = np.array([[2, 0, -1, 0], [-2, 1, 0, 0.5], [0, -2, 1, -0.5]])
    return (centres[labels] + random.normal(0, 0.6, (count, 4))).astype(np.float32), labels.astype(np.int64)


def weights() -> dict[str, npt.NDArray[np.float32]]:
    """A trained state: hidden units look at the classes' directions, the output adds them up."""
    random = np.random.default_rng(11)
    towards = np.array([[2, 0, -1, 0], [-2, 1, 0, 0.5], [0, -2, 1, -0.5]])
    first = np.concatenate([towards, -towards]) / 4 + random.normal(0, 0.02, (6, 4))
    last = np.concatenate([np.eye(3), -np.eye(3)], 1) + random.normal(0, 0.02, (3, 6))
    arrays = {"fc1.weight": first, "fc1.bias": np.full(6, 0.1), "fc2.weight": last, "fc2.bias": np.zeros(3)}
    return {name: np.ascontiguousarray(value, np.float32) for name, value in arrays.items()}


def toml(settings: dict[str, dict[str, Any]]) -> str:
    """Settings by table as TOML; JSON's numbers, texts and lists are TOML's."""
    lines: list[str] = []
    for table, values in settings.items():
        lines += [f"[{table}]"] if table else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Project:
    """A folder with the files of a tiny build; its build directory is ``out``."""

    folder: Path

    @property
    def file(self) -> Path:
        """The build file."""
        return self.folder / "build.toml"

    @property
    def out(self) -> Path:
        """The build directory."""
        return self.folder / "out"

    def write(self, changes: dict[str, dict[str, Any]] | None = None, flow: str = "qonnx") -> None:
        """Write the build file; ``changes`` by table, None takes a key away."""
        whole = {table: dict(values) for table, values in SETTINGS.items()}
        whole[""]["flow"] = flow
        for table, values in (changes or {}).items():
            own = whole.setdefault(table, {})
            own.update(values)
            whole[table] = {key: value for key, value in own.items() if value is not None}
        self.file.write_text(toml(whole))

    def write_data(self, x: npt.NDArray[Any], y: npt.NDArray[Any], **more: npt.NDArray[Any]) -> None:
        """Write ``data.npz``."""
        np.savez(self.folder / "data.npz", x=x, y=y, **more)

    def write_weights(self, arrays: dict[str, npt.NDArray[np.float32]]) -> None:
        """Write ``tiny.safetensors``."""
        from safetensors.numpy import save_file

        save_file(arrays, self.folder / "tiny.safetensors")

    def write_model(self, text: str) -> None:
        """Write ``model.py``."""
        (self.folder / "model.py").write_text(text)

    def build(self, *arguments: str, environment: dict[str, str] | None = None) -> Outcome:
        """Run ``codesign build`` to its end."""
        return run(*self.arguments(*arguments), cwd=self.folder, environment=environment)

    def library(self, *options: str, **more: Any) -> "BuildResult":
        """Build in this process, torch loaded once for all; ``options`` as ``key=value``, the value as JSON."""
        import codesign
        from codesign.setting import Setting

        given = [Setting(key, json.loads(value), "test", self.folder) for key, value in (o.split("=") for o in options)]
        return codesign.build_file(self.file, self.out, set_options=given, **more)

    def arguments(self, *more: str) -> list[str]:
        """Arguments of the command for this build."""
        return ["build", str(self.file), "--out", str(self.out), *more]

    def report(self) -> dict[str, Any]:
        """The content of ``report.json``."""
        return json.loads((self.out / "report.json").read_bytes())

    def statuses(self) -> dict[str, tuple[str, str]]:
        """Status and reason of every pass in the last report."""
        return {item["name"]: (item["status"], item["reason"]) for item in self.report()["passes"]}

    def ran(self) -> list[str]:
        """Names of the passes that ran in the last build, in order."""
        return [name for name, (status, _) in self.statuses().items() if status == "ran"]


def make(folder: Path, flow: str = "qonnx", changes: dict[str, dict[str, Any]] | None = None) -> Project:
    """A tiny project in a new folder."""
    folder.mkdir(parents=True)
    project = Project(folder)
    project.write(changes, flow)
    project.write_data(*samples())
    project.write_weights(weights())
    project.write_model(MODEL)
    return project


def make_given(folder: Path) -> Project:
    """A tiny project of an ONNX file with quantizers, flow ``given-qonnx``."""
    from tests.load.onnx_nets import quantized_mlp, saved

    own: dict[str, dict[str, Any]] = {
        "finetune": {"epochs": 0},
        "load.onnx": {"model": "net.onnx"},
        "allocate": {"weight_bits": None},
        "allocate.pareto": {"weight_bits": [4, 5]},
    }
    project = make(folder, "given-qonnx", own)
    before, _, after = project.file.read_text().partition("[load.torch]")
    project.file.write_text(before + after[after.index("[sensitivity]") :])
    saved(quantized_mlp(), folder / "net.onnx")
    return project


@functools.cache
def command() -> tuple[str, ...]:
    """How the tests call codesign: ``python -m codesign``, or the script beside this Python."""
    if importlib.util.find_spec("codesign.__main__") is not None:
        return (sys.executable, "-m", "codesign")
    script = shutil.which("codesign", path=str(Path(sys.executable).parent))
    assert script is not None, "codesign is not installed beside this Python"
    return (script,)


def surroundings(changes: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: a plain, wide terminal, so that messages stay on one line."""
    return {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb", **(changes or {})}


def run(*arguments: str, cwd: Path | None = None, environment: dict[str, str] | None = None) -> Outcome:
    """Run the command line to its end."""
    return finish([*command(), *arguments], cwd, environment)


def python(code: str, *arguments: str, cwd: Path | None = None, environment: dict[str, str] | None = None) -> Outcome:
    """Run Python code in a process of its own."""
    return finish([sys.executable, "-c", code, *arguments], cwd, environment)


def finish(argv: list[str], cwd: Path | None, environment: dict[str, str] | None) -> Outcome:
    """Run a program to its end."""
    done = subprocess.run(
        argv, cwd=cwd, env=surroundings(environment), capture_output=True, text=True, check=False, timeout=300
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def start(project: Project, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a build in a process group of its own, its output thrown away."""
    return subprocess.Popen(
        [*command(), *project.arguments(*arguments)], cwd=project.folder, env=surroundings(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def kill(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to the whole process group, compilers included."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what may differ between equal builds: the passes' times and reasons, and how it was asked."""
    names = [{"name": item["name"]} for item in report["passes"]]
    return {**report, "passes": names, "environment": {**report["environment"], "command": None}}


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder by relative path, the cache left out."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".codesign" not in path.relative_to(folder).parts
    }


def published(project: Project) -> tuple[dict[str, Any], dict[str, str]]:
    """All that must be the same in equal builds: the report without times, and every artifact's digest."""
    found = digests(project.out)
    for name in ("report.html", "report.json", "report.md"):
        found.pop(name)
    return without_times(project.report()), found


def lasting_folder() -> Path:
    """A temporary folder for as long as the test process lives."""
    folder = Path(tempfile.mkdtemp(prefix="codesign-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def finished(flow: str = "qonnx") -> Project:
    """An undisturbed finished build, one per test process; copy it to change it."""
    project = make(lasting_folder() / flow, flow)
    outcome = project.build()
    assert outcome.code == 0, outcome.err
    return project


def copy(project: Project, folder: Path) -> Project:
    """A project with its build directory in another folder."""
    shutil.copytree(project.folder, folder)
    return Project(folder)
