# ruff: noqa: E501  (the cases are a table, one line each)
"""Bad input: exit code 2, one clear message on stderr, no traceback, and an earlier build left alone where it can be."""

import fcntl
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builds import (
    MODEL,
    QONNX_PASSES,
    Outcome,
    Project,
    copy,
    digests,
    finished,
    make,
    run,
    samples,
    start,
    weights,
)

Change = Callable[[Project], object]
Build = Callable[..., Outcome]


@dataclass(frozen=True)
class Case:
    """One kind of bad input.

    Args:
        name: For pytest.
        change: What is done to a good project.
        words: Regular expressions that the message must match.
        arguments: More arguments of the command.
    """

    name: str
    change: Change
    words: tuple[str, ...]
    arguments: tuple[str, ...] = ()


def settings(table: str, **values: Any) -> Change:
    """Other options in the build file."""
    return lambda project: project.write({table: values})


def text(old: str, new: str) -> Change:
    """Another text in the build file."""

    def change(project: Project) -> None:
        before = project.file.read_text()
        assert old in before
        project.file.write_text(before.replace(old, new, 1))

    return change


def model(old: str, new: str) -> Change:
    """Another text in the model's file."""
    assert old in MODEL
    return lambda project: project.write_model(MODEL.replace(old, new))


def nothing(project: Project) -> None:
    """The project stays good."""


def remove(name: str) -> Change:
    """A file is missing."""
    return lambda project: (project.folder / name).unlink()


def file(name: str, content: str) -> Change:
    """A file more, which the build file's flow or target may name."""
    return lambda project: (project.folder / name).write_text(content)


def weight(name: str, index: tuple[int, ...], value: float) -> Change:
    """Another number in the checkpoint."""

    def change(project: Project) -> None:
        arrays = weights()
        arrays[name][index] = value
        project.write_weights(arrays)

    return change


def shaped(name: str, shape: tuple[int, ...] | None) -> Change:
    """Another shape in the checkpoint; None to leave the tensor out."""

    def change(project: Project) -> None:
        arrays = weights()
        array = arrays.pop(name)
        project.write_weights(arrays if shape is None else {**arrays, name: np.resize(array, shape)})

    return change


def data(edit: Callable[[Any, Any], tuple[Any, Any]], **options: Any) -> Change:
    """Other data."""

    def change(project: Project) -> None:
        project.write({"load.npz": options})
        project.write_data(*edit(*samples()))

    return change


def put(array: Any, index: Any, value: Any) -> Any:
    """An array with some elements replaced."""
    array[index] = value
    return array


FLOW = 'summary = "mine"\npasses = [{}]\n'
PASSES = ", ".join(f'"{name}"' for name in QONNX_PASSES)
TARGET = 'summary = "mine"\npart = "p"\nclock_ns = {}\ninitiation_interval_ns = 5.0\nlut = 1\nff = 1\ndsp = 1\nbram_36k = 1\nsources = []\n'  # fmt: skip

#: Found before anything runs: an earlier build is left as it was.
EARLY = [
    # Names.
    Case("unknown pass of a flow", file("f.toml", FLOW.format('"load.npz", "finetune.qta"')), ("finetune.qta", "did you mean 'finetune.qat'"), ("--flow", "f.toml")),
    Case("unknown pass in the build file", text("[finetune]", "[finetune.qta]"), ("qta", "did you mean|known:")),
    Case("unknown stage", text("[finetune]", "[finetun]"), ("finetun", "did you mean 'finetune'")),
    Case("unknown option", settings("finetune", epoch=3), ("epoch", "did you mean 'epochs'", r"build\.toml")),
    Case("option of another pass", settings("finetune", restarts=1), ("restarts", r"\[finetune\.per_weight\]")),
    Case("unknown option, --set", nothing, ("epoch", "did you mean 'epochs'", "--set"), ("--set", "finetune.epoch=3")),
    Case("unknown option in a flow", file("f.toml", FLOW.format(PASSES) + "[options.\"load.npz\"]\nlable = 'y'\n"), ("lable", "did you mean 'labels'"), ("--flow", "f.toml")),
    Case("unknown key", text('name = "tiny"', 'name = "tiny"\nsede = 1'), ("sede", "did you mean 'seed'")),
    Case("unknown target", text('target = "pynq-z2"', 'target = "pynq-z3"'), ("pynq-z3", "did you mean 'pynq-z2'")),
    Case("unknown target, --target", nothing, ("pynq", "did you mean 'pynq-z2'"), ("--target", "pynq")),
    Case("unknown flow", text('flow = "qonnx"', 'flow = "qonx"'), ("qonx", "did you mean 'qonnx'")),
    Case("unknown flow, --flow", nothing, ("hls4m'", "did you mean 'hls4ml'"), ("--flow", "hls4m")),
    Case("missing flow file", nothing, (r"none\.toml", "no such file"), ("--flow", "none.toml")),
    Case("--until of an unknown pass", nothing, ("--until 'exprot'", "did you mean 'export"), ("--until", "exprot")),
    Case("--until of a pass outside the flow", nothing, ("--until 'transpile.hls4ml'", "no such pass in this flow"), ("--until", "transpile.hls4ml")),
    Case("--force of an unknown pass", nothing, ("--force 'finetune.qta'", "did you mean 'finetune.qat'"), ("--force", "finetune.qta")),
    # Types.
    Case("text for a number", settings("finetune", epochs="three"), ("epochs", "'three'", "whole number", r"build\.toml")),
    Case("text for a number, --set", nothing, ("epochs", "'three'", "whole number", "--set"), ("--set", "finetune.epochs=three")),
    Case("a fraction for a whole number", nothing, ("epochs", r"2\.5", "whole number"), ("--set", "finetune.epochs=2.5")),
    Case("a truth for a number", nothing, ("epochs", "True", "whole number"), ("--set", "finetune.epochs=true")),
    Case("a number for a list", settings("load.npz", train=1200), ("train", "1200", "list")),
    Case("a list too short", settings("load.npz", train=[1200]), ("train",)),
    Case("a number for a path", settings("load.npz", data=3), ("data", "3", "path|text in quotes")),
    Case("not one of the choices", settings("allocate", activations="bound"), ("activations", "'bound'", "'tied'.*'free'")),
    Case("a table for a number", text("epochs = 2", "epochs = {a = 1}"), ("epochs", "whole number")),
    Case("text for the seed", text("seed = 0", 'seed = "zero"'), ("seed", "'zero'", "whole number")),
    Case("a required option left out", settings("load.torch", factory=None), ("factory", "no default")),
    Case("no name", text('name = "tiny"\n', ""), ("name", "no default")),
    Case("a name that is a path", text('name = "tiny"', 'name = "../tiny"'), ("name", r"\.\./tiny", "letters")),
    # --set.
    Case("--set without a value", nothing, ("--set 'finetune.epochs'", "PASS.OPTION=VALUE"), ("--set", "finetune.epochs")),
    Case("--set without a key", nothing, ("--set '=3'", "PASS.OPTION=VALUE"), ("--set", "=3")),
    Case("--set without a stage", nothing, ("epochs", "stage.option"), ("--set", "epochs=3")),
    Case("--set of a pass", nothing, (r"finetune\.qat", "not an option"), ("--set", "finetune.qat=3")),
    Case("--set with too many names", nothing, (r"finetune\.qat\.epochs\.x",), ("--set", "finetune.qat.epochs.x=3")),
    Case("--set of an option that no pass of the stage has", nothing, (r"load\.npz, load\.torch", "'dta'", "'data'"), ("--set", "load.dta=x.npz")),
    Case("--set with an empty value", nothing, ("epochs", "whole number"), ("--set", "finetune.epochs=")),
    # Files.
    Case("missing build file", remove("build.toml"), (r"build\.toml", "no such file")),
    Case("missing data", remove("data.npz"), (r"data\.npz", "not there")),
    Case("missing checkpoint", remove("tiny.safetensors"), (r"tiny\.safetensors", "not there")),
    Case("missing model", remove("model.py"), (r"model\.py", "not there")),
    Case("malformed TOML", text("epochs = 2", "epochs = = 2"), (r"build\.toml", "TOML", "line")),
    Case("not text", lambda project: project.file.write_bytes(b"\xff\xfe\x00"), (r"build\.toml", "cannot be read|TOML")),
    Case("a target with a key missing", file("t.toml", 'summary = "mine"\npart = "p"\n'), (r"t\.toml", "clock_ns"), ("--target", "t.toml")),
    Case("a target with a wrong type", file("t.toml", TARGET.format('"5 ns"')), (r"t\.toml", "clock_ns", "'5 ns'", "number"), ("--target", "t.toml")),
    Case("a flow without its producer", file("f.toml", FLOW.format(PASSES.replace('"load.torch", ', ""))), ("sensitivity", "'graph'", r"load\.torch"), ("--flow", "f.toml")),
    # Ranges.
    Case("epochs below 0", settings("finetune", epochs=-1), ("epochs", "-1", "0")),
    Case("batch of 0", settings("finetune", batch=0), ("batch", "0")),
    Case("average of 1", settings("finetune", average=1.0), ("average", "1")),
    Case("a learning rate that is not a number", text("epochs = 2", "epochs = 2\nlearning_rate = nan"), ("learning_rate", "nan")),
    Case("weight bits in the wrong order", settings("allocate", weight_bits=[8, 4]), ("weight_bits", "8", "4")),
    Case("one weight bit", settings("allocate", weight_bits=[1, 4]), ("weight_bits", "1", "2 to 24")),
    Case("40 input bits", settings("allocate", input_bits=40), ("input_bits", "40", "2 to 24")),
    Case("no calibration sample", settings("allocate", calibration=0), ("calibration", "0")),
    Case("one sample for the sensitivity", settings("sensitivity", samples=1), ("samples", "1", "2")),
    Case("a project that is no C identifier", text('flow = "qonnx"', 'flow = "hls4ml"'), ("project", "my net", "C identifier"), ("--set", 'transpile.project="my net"')),
    Case("a time limit below 0", text('flow = "qonnx"', 'flow = "hls4ml"'), ("timeout_s", "-1"), ("--set", "transpile.timeout_s=-1")),
    Case("a compiler that is not there", text('flow = "qonnx"', 'flow = "hls4ml"'), ("no-such-c", "PATH"), ("--set", "transpile.compiler=no-such-c")),
    Case("a seed beyond what torch takes", nothing, ("seed",), ("--seed", "99999999999999999999")),
]  # fmt: skip


#: Found while loading: an earlier build's report is gone, as a failed build must not look finished.
LATE = [
    # The checkpoint.
    Case("another shape", shaped("fc1.weight", (7, 4)), (r"fc1\.weight", r"\[7, 4\]", r"\[6, 4\]")),
    Case("a tensor missing", shaped("fc2.bias", None), (r"fc2\.bias", r"\[3\]")),
    Case("a tensor too many", lambda p: p.write_weights({**weights(), "fc9.bias": np.zeros(2, np.float32)}), (r"fc9\.bias",)),
    Case("half a checkpoint", lambda p: (p.folder / "tiny.safetensors").write_bytes((p.folder / "tiny.safetensors").read_bytes()[:-9]), (r"tiny\.safetensors", "safetensors")),
    Case("an empty checkpoint", lambda p: (p.folder / "tiny.safetensors").write_bytes(b""), (r"tiny\.safetensors",)),
    Case("NaN weights", weight("fc1.weight", (2, 1), np.nan), (r"fc1\.weight", "1 of 24", "NaN")),
    Case("infinite weights", weight("fc2.bias", (1,), np.inf), (r"fc2\.bias", "1 of 3", "infinite")),
    # The data.
    Case("NaN data", data(lambda x, y: (put(x, (5, slice(0, 3)), np.nan), y)), ("'x'", "3 of 8000", "NaN")),
    Case("infinite data", data(lambda x, y: (put(x, (5, 0), -np.inf), y)), ("'x'", "1 of 8000", "infinite")),
    Case("data beyond float32", data(lambda x, y: (put(x.astype(np.float64), (5, 0), 1e300), y)), ("'x'", "1 of 8000|1e\\+?300", "finite|float32")),
    Case("labels beyond the outputs", data(lambda x, y: (x, put(y, slice(0, 4), 3))), ("4 labels", "3", "0 to 2", "outputs")),
    Case("labels below 0", data(lambda x, y: (x, put(y, 0, -1))), ("1 labels? out of range", "-1")),
    Case("labels that are fractions", data(lambda x, y: (x, y.astype(np.float32))), ("labels", "float32", "integers")),
    Case("labels one-hot", data(lambda x, y: (x, np.eye(3, dtype=np.int64)[y])), ("labels", r"\[2000, 3\]", "integers")),
    Case("labels too few", data(lambda x, y: (x, y[:1999])), ("2000", "1999")),
    Case("an empty split", data(lambda x, y: (x, y), validation=[1200, 1200]), ("'validation'", "empty")),
    Case("a split backwards", data(lambda x, y: (x, y), validation=[1600, 1200]), ("'validation'", "1600 to 1200")),
    Case("splits that overlap", data(lambda x, y: (x, y), validation=[1100, 1600]), ("'train'", "'validation'", "1100 to 1200")),
    Case("rows beyond the data", data(lambda x, y: (x, y), test=[1600, 2001]), ("'test'", "2001", "0 to 2000")),
    Case("rows below 0", data(lambda x, y: (x, y), train=[-5, 1200]), ("'train'", "-5", "0 to 2000")),
    Case("data without features", data(lambda x, y: (x[:, 0], y)), ("'x'", r"\[2000\]")),
    Case("data that does not fit the network", data(lambda x, y: (x[:, :3], y)), ("fc1", "3", "4")),
    Case("data of another name", data(lambda x, y: (x, y), labels="z"), ("'z'", "x, y|x.*y")),
    Case("text for data", data(lambda x, y: (x.astype(str), y)), ("'x'", "numbers")),
    Case("data that is no archive", lambda p: (p.folder / "data.npz").write_text("a,b\n1,2\n"), (r"data\.npz", "npz")),
    Case("half an archive", lambda p: (p.folder / "data.npz").write_bytes((p.folder / "data.npz").read_bytes()[:999]), (r"data\.npz", "npz")),
    # The model.
    Case("an unsupported operation", model("nn.ReLU()", "nn.GELU()"), ("relu1", r"nn\.GELU", r"nn\.Linear", r"nn\.ReLU")),
    Case("an unsupported call", model("return self.fc2(", "return x.exp() * self.fc2("), ("exp", r"nn\.Linear")),
    Case("a number added", model("return self.fc2(", "return 0.1 + self.fc2("), ("layer 'add'", r"a tensor plus 0\.1", "at most 12 bits")),
    Case("dropout that is left on", model("self.relu1(self.fc1(x))", "nn.functional.dropout(self.fc1(x))"), ("layer 'dropout'", r"dropout is left on \(training=True\)", r"training=self\.training, or use nn\.Dropout")),
    Case("pooling of flat data", model("nn.ReLU()", "nn.MaxPool1d(2)"), ("layer 'relu1'", r"shape \[6\]", r"\[channels, positions\], channels first")),
    Case("a branch on data", model("        return", "        if x.sum() > 0:\n            x = -x\n        return"), ("Tiny", "traced|branch")),
    Case("a factory that raises", model("super().__init__()", "raise ValueError('no such size')"), (r"Tiny\(\)", "ValueError", "no such size")),
    Case("a factory that ends the program", model("super().__init__()", "raise SystemExit(0)"), (r"Tiny\(\)|model\.py", "SystemExit|exit")),
    Case("a file that raises", model("class Tiny", "1 / 0\n\n\nclass Tiny"), (r"model\.py", "ZeroDivisionError")),
    Case("a file that ends the program", model("class Tiny", "import sys\nsys.exit()\n\n\nclass Tiny"), (r"model\.py", "SystemExit|exit")),
    Case("a file that is no Python", model("class Tiny(", "class Tiny((("), (r"model\.py", "SyntaxError")),
    Case("a misspelt factory", settings("load.torch", factory="Tinny"), ("Tinny", "did you mean 'Tiny'")),
    Case("a factory of something else", lambda p: (p.write_model(MODEL + "\n\ndef three() -> int:\n    return 3\n"), p.write({"load.torch": {"factory": "three"}})), (r"three\(\)", "int", "Module")),
    Case("a layer of another width", lambda p: (p.write_model(MODEL.replace("(6, 3)", "(5, 3)")), p.write_weights({**weights(), "fc2.weight": np.ones((3, 5), np.float32)})), ("fc2", "5", "6")),
]  # fmt: skip


def check_message(outcome: Outcome, words: tuple[str, ...]) -> None:
    """Exit code 2, one message, the words in it."""
    assert outcome.code == 2, f"exit code {outcome.code}: {outcome.err}"
    assert "Traceback" not in outcome.out + outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("error: ") == 1
    for word in words:
        assert re.search(word, outcome.err), f"no {word!r} in: {outcome.err}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A finished build of its own."""
    return copy(finished(), tmp_path / "project")


@pytest.fixture
def build(project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Build:
    """Runs the command's main function in this process, with torch loaded once for all."""
    from codesign.cli import main

    def build(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["codesign", *project.arguments(*arguments)])
        monkeypatch.chdir(project.folder)
        monkeypatch.setenv("COLUMNS", "200")
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        code = end.value.code or 0
        assert isinstance(code, int)
        return Outcome(code, *capfd.readouterr())

    return build


@pytest.mark.parametrize("case", EARLY, ids=lambda case: case.name.replace(" ", "-"))
def test_found_before_anything_runs(case: Case, project: Project, build: Build) -> None:
    before = digests(project.out)
    case.change(project)
    check_message(build(*case.arguments), case.words)
    assert "report.json" in before
    assert digests(project.out) == before


@pytest.mark.parametrize("case", LATE, ids=lambda case: case.name.replace(" ", "-"))
def test_found_while_loading(case: Case, project: Project, build: Build) -> None:
    case.change(project)
    check_message(build(*case.arguments), case.words)
    assert not (project.out / "report.json").exists()


def test_the_message_names_the_place_that_holds_the_error(project: Project, build: Build) -> None:
    """Not another place that sets another option of the same pass."""
    project.write({"finetune": {"epochs": "three"}})
    outcome = build("--set", "finetune.batch=64")
    check_message(outcome, ("epochs", r"build\.toml"))
    assert "--set" not in outcome.err


def test_class_names_and_labels(project: Project, build: Build) -> None:
    """Labels are held against the class names where there are some."""
    inputs, labels = samples()
    project.write({"load.npz": {"classes": "names"}})
    project.write_data(inputs, labels, names=np.array(["g", "q"]))
    count = int((labels == 2).sum())
    check_message(build(), (f"{count} labels", "2", "0 to 1", "class names"))


# A budget.


@pytest.mark.parametrize("widths", [[2, 3], [3, 6], [4, 5], [6, 7]])
def test_the_smallest_budget_that_is_named_can_be_met(widths: list[int], tmp_path: Path) -> None:
    """And it is the smallest: nothing chosen under it costs less."""
    project = make(tmp_path / "project", changes={"allocate": {"weight_bits": widths, "budgets.bops_campos": 1}})
    if widths == [4, 5]:
        outcome = project.build()
        check_message(outcome, ("budgets: bops_campos = 1", "at least"))
        message = outcome.err
    else:
        from codesign.errors import InputError

        with pytest.raises(InputError) as caught:
            project.library()
        message = str(caught.value)
    found = re.search(r"at least ([\d.,_]+\d)", message)
    assert found
    smallest = found[1].replace(",", "").replace("_", "")
    project.library(f"allocate.budgets.bops_campos={smallest}")
    report = project.report()
    assert report["ok"]
    least = min(point["costs"]["bops_campos"] for point in report["allocation"]["front"])
    assert least <= float(smallest) < least + 1


# Pickles.


class Dangerous:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("name", ["tiny.pt", "tiny.safetensors"])
@pytest.mark.parametrize("kind", ["pickle", "torch.save", "legacy torch.save"])
def test_a_checkpoint_that_is_a_pickle_is_refused_and_not_run(
    kind: str, name: str, project: Project, build: Build
) -> None:
    marker, path = project.folder / "marker", project.folder / name
    project.write({"load.torch": {"checkpoint": name}})
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"fc1.weight": Dangerous(marker)}))
    else:
        import torch

        torch.save({"a": Dangerous(marker)}, path, _use_new_zipfile_serialization=kind == "torch.save")
    check_message(build(), (re.escape(name), "pickle|not a whole safetensors", "safetensors"))
    assert not marker.exists()


@pytest.mark.parametrize("array", ["x", "y"])
def test_data_that_is_a_pickle_is_refused_and_not_run(array: str, project: Project, build: Build) -> None:
    marker = project.folder / "marker"
    inputs, labels = samples()
    arrays = {"x": inputs, "y": labels} | {array: np.array([Dangerous(marker)] * 2000, dtype=object)}
    np.savez(project.folder / "data.npz", allow_pickle=True, **arrays)
    check_message(build(), (r"data\.npz", "plain numbers|pickle|[Oo]bject"))
    assert not marker.exists()


def test_a_damaged_compressed_archive(project: Project, build: Build) -> None:
    """Right at its ends, damaged inside."""
    inputs, labels = samples()
    path = project.folder / "data.npz"
    np.savez_compressed(path, x=inputs, y=labels)
    with zipfile.ZipFile(path) as archive:
        begin = archive.getinfo("x.npy").header_offset
    content = bytearray(path.read_bytes())
    content[begin + 200 : begin + 1200] = bytes(1000)
    path.write_bytes(content)
    check_message(build(), (r"data\.npz",))


# The compiler.


def test_no_compiler(project: Project) -> None:
    before = digests(project.out)
    nowhere = project.folder / "nowhere"
    nowhere.mkdir()
    outcome = project.build("--flow", "hls4ml", environment={"PATH": str(nowhere)})
    check_message(outcome, (r"g\+\+", "PATH", "install"))
    assert digests(project.out) == before


def test_a_compiler_that_fails(project: Project) -> None:
    """The message ends with what the compiler said; a later build with a good one goes on from there."""
    compiler = project.folder / "bin" / "g++"
    compiler.parent.mkdir()
    compiler.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo g++ 1.0 && exit\necho internal compiler error; exit 4\n'
    )
    compiler.chmod(0o755)
    outcome = project.build("--flow", "hls4ml", environment={"PATH": f"{compiler.parent}:{os.environ['PATH']}"})
    check_message(outcome, (r"g\+\+", "exit status 4", "internal compiler error"))
    assert not (project.out / "report.json").exists()
    project.library()
    assert project.report()["ok"]


# The build directory.


def test_in_use_by_another_build(tmp_path: Path) -> None:
    """The first build waits for a pipe while it loads the model; the second is refused; the first finishes."""
    project = make(tmp_path / "project")
    pipe = project.folder / "pipe"
    os.mkfifo(pipe)
    project.write_model(MODEL + f"\n\nopen({str(pipe)!r}).read()\n")
    first = start(project)
    handle = opened_by_a_reader(pipe, first)
    try:
        outcome = project.build()
        check_message(outcome, ("in use by another build", str(first.pid)))
        assert not (project.out / "report.json").exists()
    finally:
        os.close(handle)
    assert first.wait(60) == 0
    assert project.report()["ok"]


def opened_by_a_reader(pipe: Path, process: "subprocess.Popen[bytes]") -> int:
    """Open a named pipe for writing as soon as a process reads it."""
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert process.poll() is None, "the build is over already"
            try:
                process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue


def test_in_use_leaves_a_finished_build_alone(project: Project) -> None:
    before = digests(project.out)
    with (project.out / ".codesign" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        check_message(project.build(), ("in use by another build",))
    assert digests(project.out) == before
    assert project.build("--until", "load").code == 0


def test_a_folder_that_holds_other_things(project: Project) -> None:
    other = project.folder / "thesis"
    other.mkdir()
    (other / "report.json").write_text("{}")
    outcome = run("build", str(project.file), "--out", str(other))
    check_message(outcome, ("thesis", "other things", "--out"))
    assert digests(other).keys() == {"report.json"}
    assert (other / "report.json").read_text() == "{}"
    assert [path.name for path in other.iterdir()] == ["report.json"]


@pytest.mark.parametrize("place", ["model.py", "model.py/out", "/proc/codesign-out", "/dev/null", "/proc"])
def test_no_folder_to_write(place: str, project: Project) -> None:
    """A file, below a file, where nobody may write."""
    outcome = run("build", str(project.file), "--out", place, cwd=project.folder)
    check_message(outcome, (re.escape(place), "cannot be used|other things", "--out"))
    assert (project.folder / "model.py").read_text() == MODEL


def test_a_defect_in_a_folder_that_cannot_be_written_shows_no_traceback(project: Project) -> None:
    """The log of a defect goes elsewhere then."""
    outcome = run("show", str(project.out), cwd=Path("/proc"))
    assert outcome.code == 0
    (project.out / "report.json").write_text("{}")
    outcome = run("show", str(project.out), cwd=Path("/proc"))
    assert outcome.code in (2, 3)
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_show_of_a_damaged_report(content: str, project: Project) -> None:
    (project.out / "report.json").write_text(content)
    check_message(run("show", str(project.out)), (r"report\.json",))
