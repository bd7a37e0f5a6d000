"""The library without the command line: a module and arrays in memory, and passes by themselves."""

import importlib.util
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import codesign
from codesign.design import Design
from codesign.errors import CodesignError, InputError
from codesign.load.npz import Npz
from codesign.load.torch import Torch
from codesign.passes import Context, lookup
from codesign.pipeline import BuildResult
from codesign.store import Store
from codesign.target import load_target
from tests.builds import SETTINGS, Project, finished, make, published, python, samples

ROWS: dict[str, tuple[int, int]] = {"train": (0, 1200), "validation": (1200, 1600), "test": (1600, 2000)}
#: The options of the tiny build outside its load passes.
OPTIONS = {
    f"{table}.{key}": value
    for table, values in SETTINGS.items()
    if table and not table.startswith("load.")
    for key, value in values.items()
}
#: The passes up to the choice of bits.
ALLOCATED = ("sensitivity.hessian_trace", "allocate.pareto", "allocate.choose")


def module_of(project: Project) -> Any:
    """The project's network with its weights."""
    from safetensors.torch import load_file

    spec = importlib.util.spec_from_file_location("tiny_model", project.folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.Tiny()
    network.load_state_dict(load_file(project.folder / "tiny.safetensors"))
    return network


def data(**more: Any) -> codesign.Data:
    """The tiny build's data in memory."""
    inputs, labels = samples()
    return codesign.Data(inputs, labels, **ROWS, **more)


def build(network: Any, out: Path, given: codesign.Data, **more: Any) -> BuildResult:
    """The tiny build in memory."""
    return codesign.build(network, given, target="pynq-z2", flow="qonnx", out=out, options={**OPTIONS, **more})


def test_import_loads_neither_torch_nor_hls4ml() -> None:
    code = (
        "import sys, codesign\nprint(sorted({'torch', 'hls4ml', 'onnx', 'scipy', 'numpy', 'typer'} & set(sys.modules)))"
    )
    outcome = python(code)
    assert (outcome.code, outcome.out) == (0, "[]\n"), outcome.err


def test_the_names_of_the_library() -> None:
    for name in codesign.__all__:
        assert getattr(codesign, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        codesign.biuld  # noqa: B018
    assert codesign.__version__ != "0+unknown"


def test_in_memory_gives_the_same_network_as_from_files(tmp_path: Path) -> None:
    reference = finished()
    result = build(module_of(reference), tmp_path / "out", data())
    wanted, files = published(reference)
    assert result.report is not None
    assert result.failures == []
    assert (tmp_path / "out" / "network.qonnx.onnx").read_bytes() == (reference.out / "network.qonnx.onnx").read_bytes()
    for key in ("accuracy", "allocation", "artifacts", "checks", "input", "layers", "measures", "notices"):
        assert result.report[key] == wanted[key], key
    assert list(files) == ["front.svg", "network.qonnx.onnx", "sensitivity.svg"]


def test_in_memory_with_normalization_and_class_names(tmp_path: Path) -> None:
    inputs, labels = samples()
    project = make(tmp_path / "project", changes={"load.npz": {"normalize": "standard", "classes": "names"}})
    project.write_data(inputs, labels, names=np.array(["g", "q", "t"]))
    project.library()
    given = data(normalize="standard", classes=("g", "q", "t"))
    result = build(module_of(project), tmp_path / "out", given)
    assert result.report is not None
    assert result.report["layers"] == project.report()["layers"]
    assert result.report["input"] == project.report()["input"]
    assert result.report["artifacts"] == project.report()["artifacts"]


def test_in_memory_is_cached_by_content(tmp_path: Path) -> None:
    network = module_of(finished())
    assert {run.status for run in build(network, tmp_path / "out", data()).passes} == {"ran"}
    assert {run.status for run in build(network, tmp_path / "out", data()).passes} == {"cached"}
    import torch

    with torch.no_grad():
        network.fc2.bias += 0.5
    statuses = {run.name: run.status for run in build(network, tmp_path / "out", data()).passes}
    assert statuses["sensitivity.hessian_trace"] == "ran"


@pytest.mark.parametrize("training", [True, False])
def test_the_users_module_and_arrays_stay_as_they_were(training: bool, tmp_path: Path) -> None:
    network = module_of(finished()).train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    given = data(normalize="standard")
    inputs, labels = np.array(given.inputs), given.labels.copy()
    build(network, tmp_path / "out", given)
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
    assert np.array_equal(given.inputs, inputs)
    assert np.array_equal(given.labels, labels)
    assert [part.training for part in network.modules()] == [training] * len(list(network.modules()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"finetune.epoch": 3}, "epoch.*did you mean 'epochs'"),
        ({"finetune.epochs": "three"}, "epochs.*'three'"),
        ({"nonsense": 1}, "nonsense"),
    ],
)  # fmt: skip
def test_bad_options_in_memory(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        build(module_of(finished()), tmp_path / "out", data(), **change)
    assert not (tmp_path / "out").exists()


def test_bad_data_in_memory(tmp_path: Path) -> None:
    inputs, labels = samples()
    inputs[3, 1] = np.nan
    with pytest.raises(InputError, match=r"1 of 8000.*NaN"):
        build(module_of(finished()), tmp_path / "out", codesign.Data(inputs, labels, **ROWS))
    assert not (tmp_path / "out").exists()


def test_every_error_of_the_users_is_of_one_family(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    with pytest.raises(CodesignError) as caught:
        codesign.build_file(project.file, project.out, flow="qonx")
    assert (caught.value.where, caught.value.found) == ("flow 'qonx'", "no such flow")


# Passes by themselves.


def loaded(project: Project) -> Design:
    """A design with a target, after the load passes."""
    given = Design({"target": load_target("pynq-z2", project.folder)})
    design = Npz(project.folder / "data.npz", **ROWS)(given)
    return Torch(project.folder / "model.py", "Tiny", project.folder / "tiny.safetensors")(design)


def run_all(design: Design, names: Sequence[str], context: Context | None = None) -> Design:
    """Call passes one after another, with those of the tiny build's options that each has."""
    for name in names:
        known = {field.name for field in fields(cast(Any, lookup(name)))}
        values = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in SETTINGS.get(name.split(".")[0], {}).items()
            if key in known
        }
        design = lookup(name)(**values)(design, context)
    return design


def test_passes_by_themselves_give_what_a_build_gives(tmp_path: Path) -> None:
    project = finished()
    context = Context(Store(tmp_path / "store"), tmp_path, seed=0)
    names = (*ALLOCATED, "finetune.qat", "export.qonnx", "verify.exact")
    design = run_all(loaded(project), names, context)
    artifact = design.artifacts["qonnx"]
    report = project.report()
    assert [artifact.digest] == [item["sha256"] for item in report["artifacts"] if item["name"] == "qonnx"]
    assert context.store.path(artifact.digest).read_bytes() == (project.out / "network.qonnx.onnx").read_bytes()
    assert design.allocation.point.bits == report["allocation"]["front"][report["allocation"]["chosen"]]["bits"]
    assert {check.status for check in design.checks.values()} == {"exact", "not_checked"}


def test_a_pass_by_itself_leaves_the_design_it_was_given() -> None:
    project = finished()
    before = Design({})
    after = Npz(project.folder / "data.npz", **ROWS)(before)
    assert not before.has("dataset")
    assert after.has("dataset")
    assert len(after.dataset.split("test")) == 400
    assert after.dataset.inputs[0].dtype == np.float32


def test_a_pass_by_itself_without_what_it_reads_is_an_error() -> None:
    with pytest.raises(CodesignError, match=r"design\.graph|design\.dataset"):
        lookup("sensitivity.hessian_trace")()(Design({}))


def test_fine_tuning_by_itself_needs_no_store() -> None:
    design = run_all(loaded(finished()), (*ALLOCATED, "finetune.qat"))
    inputs = design.dataset.split("test").inputs
    outputs = design.quantized.outputs(inputs)[0].values
    assert outputs.shape == (400, 3)
    assert outputs.dtype.kind == "i"
    assert np.mean(outputs.argmax(1) == design.dataset.split("test").labels) > 0.9
