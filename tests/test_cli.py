"""The command line: quick help, listings, exit codes."""

import re
import sys
from pathlib import Path

import pytest

import codesign
from codesign.describe import options, with_error
from codesign.passes import registry
from codesign.shipped import shipped_names
from tests.builds import QONNX_PASSES, Project, command, copy, finished, make, python, run

#: Libraries that take long to load.
HEAVY = ("torch", "hls4ml", "onnx", "scipy", "qonnx", "onnxruntime", "tensorflow")
#: A flow with a pass of another package that damages the exported file before it is verified.
FLOW = "summary = \"damaged on purpose\"\npasses = [\n{}\n]\n"  # fmt: skip
CORRUPT = '''"""A pass of another package."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from codesign.design import Artifact
from codesign.passes import Pass


@dataclass(frozen=True)
class Corrupt(Pass):
    """Add one to the largest weight of the exported file."""

    name = "export.corrupt"
    reads = ("artifacts.qonnx",)
    writes = ("artifacts.qonnx",)

    def run(self, design, context):
        model = onnx.load_model_from_string(context.store.path(design.artifacts["qonnx"].digest).read_bytes())
        largest = max(model.graph.initializer, key=lambda item: len(item.dims))
        values = numpy_helper.to_array(largest).copy()
        values.reshape(-1)[0] += 1
        largest.CopyFrom(numpy_helper.from_array(values, largest.name))
        return {"artifacts": {"qonnx": Artifact("network.qonnx.onnx", context.store.put(model.SerializeToString()))}}
'''


def loaded(code: str) -> set[str]:
    """The heavy libraries that a piece of code loads."""
    outcome = python(f"{code}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules], sep='\\n')")
    assert outcome.code == 0, outcome.err
    return set(outcome.out.split("\n")[-len(HEAVY) :]) & set(HEAVY)


@pytest.mark.parametrize("arguments", [["--help"], ["build", "--help"], ["--version"], ["flows"], ["targets"]])
def test_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "from codesign.cli import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
    )
    allowed = {"onnx", "scipy", "qonnx", "onnxruntime"} if arguments[0] in ("flows", "targets") else set[str]()
    assert loaded(code) <= allowed


def test_import_loads_nothing_heavy() -> None:
    assert loaded("import codesign") == set()


def test_help_names_every_command_and_an_example() -> None:
    text = run("--help").out
    for word in ("build", "show", "passes", "flows", "targets", "--version", "examples/jets/build.toml"):
        assert word in text


def test_build_help_names_every_option() -> None:
    text = run("build", "--help").out
    for word in ("--out", "--target", "--flow", "--set", "--seed", "--until", "--force", "Exit codes"):
        assert word in text


def test_version() -> None:
    outcome = run("--version")
    assert (outcome.code, outcome.out) == (0, f"codesign {codesign.__version__}\n")


def test_without_arguments_it_helps() -> None:
    outcome = run()
    assert "Usage" in outcome.out + outcome.err
    assert "Traceback" not in outcome.err


def test_passes_lists_every_pass_with_its_options() -> None:
    outcome = run("passes")
    assert outcome.code == 0
    for name, step in registry().items():
        assert name in outcome.out
        for option in options(step):
            assert f"    {option.name} (" in outcome.out


def test_every_option_shows_a_type_and_a_default() -> None:
    lines = [line.strip() for line in run("passes").out.splitlines() if line.startswith("    ")]
    assert [line for line in lines if not re.fullmatch(r"\w+ \(.*\S, \S.*\)", line)] == []


def test_passes_with_a_name_shows_that_one() -> None:
    outcome = run("passes", "allocate.pareto")
    text = " ".join(outcome.out.split())
    assert outcome.code == 0
    assert "Most of each cost, by the cost's name" in text
    assert "finetune.qat" not in text
    for word in ("[0, 1)", "Args", "dataclass"):
        assert word not in text


@pytest.mark.parametrize(("command_name", "words"), [("costs", ["bops_campos", "LUTs"]), ("solvers", ["lagrangian"])])
def test_costs_and_solvers_are_listed(command_name: str, words: list[str]) -> None:
    from codesign.allocate.costs import costs
    from codesign.allocate.solvers import solvers

    outcome = run(command_name)
    assert (outcome.code, outcome.err) == (0, "")
    for word in (*words, *(costs() if command_name == "costs" else solvers())):
        assert word in outcome.out


def test_flows_lists_the_shipped_ones() -> None:
    outcome = run("flows")
    assert outcome.code == 0
    assert set(shipped_names("flow")) <= set(outcome.out.split())
    for name in QONNX_PASSES:
        assert name in outcome.out


def test_targets_lists_the_shipped_ones() -> None:
    outcome = run("targets")
    assert outcome.code == 0
    assert {"pynq-z2", "vu13p-l1t", "vu9p"} <= set(outcome.out.split())
    for word in ("part: xc7z020clg400-1", "clock_ns: 10.0", "lut: 53200"):
        assert word in outcome.out


def test_a_build_and_its_summary() -> None:
    project = finished()
    outcome = run("show", str(project.out))
    assert outcome.code == 0
    assert outcome.err == ""
    for word in ("fc1", "fc2", "torch → numpy", "exact", "not checked", "accuracy on the test split", "pynq-z2"):
        assert word in outcome.out
    report = project.report()
    assert report["ok"]
    assert f"quantized {report['quality']['accuracy']['quantized']:.4f}" in outcome.out
    assert (project.out / "report.md").read_text().strip()


def test_cached_builds_say_so(tmp_path: Path) -> None:
    project = copy(finished(), tmp_path / "project")
    outcome = project.build()
    assert outcome.code == 0
    assert outcome.err == ""
    lines = [line for line in outcome.out.splitlines() if line.startswith("✓") and "cached" in line]
    assert [line.split()[1] for line in lines] == list(QONNX_PASSES)


def test_set_seed_force_and_until(tmp_path: Path) -> None:
    project = copy(finished(), tmp_path / "project")
    outcome = project.build("--set", "finetune.epochs=3", "--seed", "4", "--force", "load.npz", "--until", "finetune")
    assert outcome.code == 0
    assert "stopped after finetune.qat" in outcome.out
    text = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert any(line.startswith("✓ load.npz ran") and line.endswith("(forced)") for line in text)
    assert any(line.startswith("✓ finetune.qat ran") and "changed: option epochs, seed" in line for line in text)
    assert not (project.out / "report.json").exists()


def test_the_output_of_a_pipe_has_no_empty_lines_between_passes(tmp_path: Path) -> None:
    outcome = make(tmp_path / "project").build("--until", "load")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert [line for line in lines if not line.strip()] == []


def test_programs_of_passes_after_the_last_are_not_needed(tmp_path: Path) -> None:
    project, none = make(tmp_path / "project"), {"PATH": str(tmp_path)}
    partly = project.build("--flow", "hls4ml", "--until", "load", environment=none)
    assert (partly.code, partly.err) == (0, "")
    whole = project.build("--flow", "hls4ml", environment=none)
    assert whole.code == 2
    assert "program 'g++': not on PATH; install a C++ compiler" in whole.err
    assert "load.npz" not in whole.out


# Exit code 1.


def other_package(folder: Path) -> None:
    """An installed package with a pass."""
    metadata = folder / "corrupter-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: corrupter\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[codesign.passes]\ncorrupt = corrupter:Corrupt\n")
    (folder / "corrupter.py").write_text(CORRUPT)


@pytest.fixture(scope="module")
def differing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, int, str]:
    """A build whose exported file differs from the network, its exit code and its output."""
    folder = tmp_path_factory.mktemp("differing")
    other_package(folder / "site")
    project = copy(finished(), folder / "project")
    names = [name for step in QONNX_PASSES for name in ([step, "export.corrupt"] if step == "export.qonnx" else [step])]
    (project.folder / "damaged.toml").write_text(FLOW.format(",\n".join(f'"{name}"' for name in names)))
    environment = {"PYTHONPATH": str(folder / "site")}
    outcome = project.build("--flow", str(project.folder / "damaged.toml"), environment=environment)
    return project, outcome.code, outcome.out + outcome.err


def test_a_check_that_differs_gives_exit_code_1(differing: tuple[Project, int, str]) -> None:
    _, code, text = differing
    assert code == 1
    assert "numpy -> qonnx" in text
    assert "give other integers" in text
    assert "Traceback" not in text
    assert "within" not in text


def test_a_check_that_differs_stands_in_the_report(differing: tuple[Project, int, str]) -> None:
    project, _, _ = differing
    report = project.report()
    assert not report["ok"]
    assert len(report["failures"]) == 1
    check = next(check for check in report["checks"] if check["to"] == "qonnx")
    assert check["status"] == "differs"
    assert 0 < check["mismatches"] <= check["inputs"] == 400
    assert "differs" in (project.out / "report.md").read_text()


def test_a_cached_failure_is_still_a_failure(differing: tuple[Project, int, str]) -> None:
    project, _, _ = differing
    environment = {"PYTHONPATH": str(project.folder.parent / "site")}
    outcome = project.build("--flow", str(project.folder / "damaged.toml"), environment=environment)
    assert outcome.code == 1
    assert set(project.ran()) == set()


def test_a_pass_of_another_package_is_listed(differing: tuple[Project, int, str]) -> None:
    project, _, _ = differing
    outcome = run("passes", "export.corrupt", environment={"PYTHONPATH": str(project.folder.parent / "site")})
    assert (outcome.code, outcome.out) == (0, "export.corrupt  Add one to the largest weight of the exported file.\n")


# Exit codes 2 and 3; more of 2 in test_bad_input.py.


@pytest.mark.parametrize(
    "arguments", [["bulid"], ["build"], ["--no-such"], ["build", "a.toml", "--seed", "x"], ["show"]]
)
def test_wrong_usage_gives_exit_code_2(arguments: list[str]) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert "Usage" in outcome.err


def test_a_defect_gives_exit_code_3_and_no_traceback(tmp_path: Path) -> None:
    """A pass of another package that breaks its contract."""
    other_package(tmp_path / "site")
    broken = CORRUPT.replace("        model = ", "        return {}\n        model = ")
    (tmp_path / "site" / "corrupter.py").write_text(broken)
    project = copy(finished(), tmp_path / "project")
    (project.folder / "damaged.toml").write_text(
        FLOW.format(",\n".join(f'"{name}"' for name in (*QONNX_PASSES[:8], "export.corrupt")))
    )
    outcome = project.build(
        "--flow", str(project.folder / "damaged.toml"), environment={"PYTHONPATH": str(tmp_path / "site")}
    )
    assert outcome.code == 3
    assert "export.corrupt" in outcome.err
    assert "artifacts.qonnx" in outcome.err
    assert "Traceback" not in outcome.err
    assert not (project.out / "report.json").exists()


@pytest.mark.parametrize("kind", ["missing", "empty", "unfinished"])
def test_show_of_no_build(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    if kind != "missing":
        folder.mkdir()
    if kind == "unfinished":
        (folder / ".codesign").mkdir()
    outcome = run("show", str(folder))
    assert outcome.code == 2
    assert "codesign build" in outcome.err
    assert "Traceback" not in outcome.err


def test_python_that_runs_the_tests_runs_codesign() -> None:
    """So that what is tested is this checkout."""
    code = "import codesign; print(codesign.__file__)"
    assert python(code).out.strip() == codesign.__file__
    assert command()[0].startswith(str(Path(sys.executable).parent))


def test_numbers_have_the_digits_that_their_errors_leave() -> None:
    cases = {(59.3, 10.0): "59 ± 10", (0.03929, 0.00051): "0.0393 ± 0.0005", (1074.2, 230.0): "1074 ± 230"}
    cases |= {(2.0, 0.0): "2 ± 0", (-0.5, 0.04): "-0.50 ± 0.04"}
    assert {given: with_error(*given) for given in cases} == cases
