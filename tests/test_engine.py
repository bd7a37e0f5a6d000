"""What reruns and why, what is cached, and what a damaged cache does."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import codesign
from codesign import engine, sources
from codesign.design import Design
from codesign.engine import Engine, Fields, PassRun, _digest
from codesign.errors import CodesignError, InputError
from codesign.passes import Context, Pass, lookup
from codesign.pipeline import BuildResult, Quiet
from codesign.store import Store
from tests.builds import MODEL, QONNX_PASSES, Project, copy, finished, make, published, python, samples, weights

#: What reads the dataset, and so reruns when any row of it changes.
DATASET_READERS = (
    "load.torch", "sensitivity.hessian_trace", "allocate.pareto", "finetune.qat", "verify.exact", "verify.accuracy",
    "report.summary",
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A finished build of its own."""
    return copy(finished(), tmp_path / "project")


def reasons(result: BuildResult) -> dict[str, str]:
    """The reason of every pass that ran, in order."""
    return {run.name: run.reason for run in result.passes if run.status == "ran"}


def test_everything_is_cached_the_second_time(project: Project) -> None:
    before = published(project)
    result = project.library()
    assert [run.name for run in result.passes] == list(QONNX_PASSES)
    assert {run.status for run in result.passes} == {"cached"}
    assert published(project) == before


def test_where_the_files_are_does_not_matter(project: Project) -> None:
    moved = Project(project.folder.parent / "elsewhere")
    project.folder.rename(moved.folder)
    assert reasons(moved.library()) == {}


# Each kind of change.


def test_an_option_with_another_result_reruns_whoever_reads_it(project: Project) -> None:
    assert reasons(project.library("finetune.epochs=3")) == {
        "finetune.qat": "changed: option epochs",
        "export.qonnx": "changed: quantized",
        "verify.exact": "changed: trained, quantized, artifacts.qonnx",
        "verify.accuracy": "changed: quantized",
        "report.summary": "changed: quantized, artifacts.qonnx, trained",
    }


def test_an_option_set_back_is_found_in_the_cache(project: Project) -> None:
    before = published(project)
    project.library("finetune.epochs=3")
    assert published(project) != before
    assert reasons(project.library()) == {}
    assert published(project) == before
    assert reasons(project.library("finetune.epochs=3")) == {}


def test_two_options_are_both_named(project: Project) -> None:
    result = project.library("finetune.epochs=3", "finetune.batch=100")
    assert reasons(result)["finetune.qat"] == "changed: option epochs, option batch"


def test_an_early_cut_off_where_the_result_is_the_same(project: Project) -> None:
    """A budget that the chosen point meets anyway: fine-tuning does not run again."""
    assert reasons(project.library("allocate.budgets.bops_campos=5000")) == {
        "allocate.pareto": "changed: option budgets",
        "allocate.choose": "changed: front",
        "report.summary": "changed: front",
    }


def test_a_comment_in_the_model_reruns_its_loading_and_nothing_else(project: Project) -> None:
    before = published(project)
    project.write_model(MODEL + "# a comment\n")
    assert reasons(project.library()) == {"load.torch": "changed: file model.py"}
    assert published(project) == before


def test_the_seed_counts_for_seeded_passes_only(project: Project) -> None:
    found = reasons(project.library(seed=1))
    assert found.pop("finetune.qat") == found.pop("allocate.pareto") == "changed: seed"
    assert found.pop("sensitivity.hessian_trace") == "changed: seed"  # it draws where there are many classes
    assert not any("seed" in reason for reason in found.values())
    assert set(found) <= {"export.qonnx", "verify.exact", "verify.accuracy", "report.summary"}


def test_the_checkpoint_counts_by_content(project: Project) -> None:
    project.write_weights(weights())
    assert reasons(project.library()) == {}
    changed = weights()
    changed["fc1.weight"][0, 0] += 0.5
    project.write_weights(changed)
    found = reasons(project.library())
    assert found["load.torch"] == "changed: file tiny.safetensors"
    assert found["sensitivity.hessian_trace"] == "changed: graph"
    assert "load.npz" not in found


def test_data_counts_for_whoever_reads_it(project: Project) -> None:
    """The last row is of the test split: fine-tuning gives the same, and its export stays cached."""
    inputs, labels = samples()
    inputs[-1] += 0.1
    project.write_data(inputs, labels)
    found = reasons(project.library())
    assert list(found) == ["load.npz", *DATASET_READERS]
    assert found["load.npz"] == "changed: file data.npz"
    assert {found[name] for name in DATASET_READERS[:-1]} == {"changed: dataset"}
    assert found["report.summary"].startswith("changed: dataset")


def test_the_target_counts_where_it_is_read(project: Project) -> None:
    assert reasons(project.library(flow="hls4ml")) == {
        "transpile.hls4ml": "first run",
        "verify.exact": "changed: artifacts.hls4ml",
        "report.summary": "changed: checks",
    }
    assert (project.out / "hls4ml" / "firmware").is_dir()
    found = reasons(project.library(flow="hls4ml", target="vu9p"))
    assert found["transpile.hls4ml"] == found["allocate.pareto"] == "changed: target"
    assert set(found) <= {"allocate.pareto", "transpile.hls4ml", "verify.exact", "report.summary"}
    assert project.report()["environment"]["target"] == "vu9p"
    # Another flow, in which only costs read it: the bits stay, and the project is taken away.
    found = reasons(project.library(flow="qonnx", target="vu13p-l1t"))
    assert set(found) <= {"allocate.pareto", "verify.exact", "report.summary"}
    assert project.report()["environment"]["target"] == "vu13p-l1t"
    assert not (project.out / "hls4ml").exists()


@pytest.mark.parametrize(
    ("name", "module"),
    [("finetune.qat", "codesign.finetune._train"), ("export.qonnx", "codesign.export.writers.qonnx")],
)
def test_a_source_file_counts_for_the_passes_that_import_it(
    name: str, module: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = sources.source_digests

    def changed(of: str) -> dict[str, str]:
        return {key: "0" * 64 if key == module else digest for key, digest in true(of).items()}

    monkeypatch.setattr(engine, "source_digests", changed)
    importers = [step for step in QONNX_PASSES if module in true(f"codesign.{step}")]
    assert name in importers
    assert reasons(project.library()) == dict.fromkeys(importers, f"changed: source {module}")


@pytest.mark.parametrize("distribution", ["torch", "scipy", "onnx", "numpy"])
def test_a_library_version_counts_for_the_passes_that_use_it(
    distribution: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = sources.distribution_version
    monkeypatch.setattr(engine, "distribution_version", lambda name: "99" if name == distribution else true(name))
    users = [n for n in QONNX_PASSES if distribution in (*lookup(n).distributions, "numpy")]
    assert users
    assert reasons(project.library()) == dict.fromkeys(users, f"changed: {distribution} version")


def test_an_edited_package_reruns_by_itself(tmp_path: Path) -> None:
    """The whole way: a copy of codesign, one of its files edited between two builds."""
    package = Path(codesign.__file__).parent
    for name in ("codesign", "flows", "targets"):
        shutil.copytree(package.parent / name, tmp_path / "code" / name, ignore=shutil.ignore_patterns("__pycache__"))
    project = make(tmp_path / "project")
    code = "import sys; from codesign.cli import main; main()"
    environment = {"PYTHONPATH": str(tmp_path / "code")}
    assert python(code, *project.arguments(), cwd=project.folder, environment=environment).code == 0
    edited = tmp_path / "code" / "codesign" / "export" / "writers" / "qonnx.py"
    edited.write_text(edited.read_text() + "# edited\n")
    outcome = python(code, *project.arguments(), cwd=project.folder, environment=environment)
    assert outcome.code == 0, outcome.err
    ran = {name: reason for name, (status, reason) in project.statuses().items() if status == "ran"}
    module = "codesign.export.writers.qonnx"
    importers = [name for name in QONNX_PASSES if module in sources.source_digests(f"codesign.{name}")]
    assert "export.qonnx" in importers
    assert ran == dict.fromkeys(importers, f"changed: source {module}")
    assert "changed: source codesign.export.writers.qonnx" in outcome.out


# What a model file imports.


HELPER = "SIZE = {}\n"
MODEL_WITH_HELPER = (
    MODEL.replace("from torch", "from {module} import SIZE\nfrom torch").replace("6)", "SIZE)").replace("(6,", "(SIZE,")
)


def with_helper(folder: Path, size: int, module: str = "sizes") -> Project:
    """A project whose model imports its hidden size from another file."""
    project = make(folder)
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(HELPER.format(size))
    project.write_model(MODEL_WITH_HELPER.replace("{module}", module))
    arrays = weights()
    project.write_weights(
        {
            "fc1.weight": np.resize(arrays["fc1.weight"], (size, 4)),
            "fc1.bias": np.resize(arrays["fc1.bias"], size),
            "fc2.weight": np.resize(arrays["fc2.weight"], (3, size)),
            "fc2.bias": arrays["fc2.bias"],
        }
    )
    return project


def test_a_file_beside_the_model_counts(tmp_path: Path) -> None:
    project = with_helper(tmp_path / "project", 6)
    project.library(until="load")
    (project.folder / "sizes.py").write_text("SIZE = 2 * 3\n")
    assert reasons(project.library(until="load")) == {"load.torch": "changed: file sizes.py"}


def test_a_package_beside_the_model_counts(tmp_path: Path) -> None:
    """The model may import from a folder beside it as well."""
    project = with_helper(tmp_path / "project", 6, "blocks.sizes")
    project.library(until="load")
    (project.folder / "blocks" / "sizes.py").write_text("SIZE = 2 * 3\n")
    assert "load.torch" in reasons(project.library(until="load"))


def test_two_models_in_one_process_import_each_its_own_files(tmp_path: Path) -> None:
    """A sweep builds many projects in one process; helper files of the same name are not mixed up."""
    for size in (5, 6):
        project = with_helper(tmp_path / f"project{size}", size)
        project.library()
        assert project.report()["layers"][0]["shape"] == [size]


# Force, until, and going on.


def test_force_runs_a_pass_or_a_stage_and_nothing_else(project: Project) -> None:
    before = published(project)
    assert reasons(project.library(force=["finetune.qat"])) == {"finetune.qat": "forced"}
    assert reasons(project.library(force=["load", "export.qonnx"])) == {
        "load.npz": "forced",
        "load.torch": "forced",
        "export.qonnx": "forced",
    }
    assert published(project) == before


def test_until_stops_and_the_next_build_goes_on(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    result = project.library(until="allocate")
    assert [run.name for run in result.passes] == list(QONNX_PASSES[: QONNX_PASSES.index("finetune.qat")])
    assert result.report is None
    assert not (project.out / "report.json").exists()
    result = project.library(until="export.qonnx")
    assert list(reasons(result)) == ["finetune.qat", "export.qonnx"]
    assert (project.out / "network.qonnx.onnx").is_file()
    assert list(reasons(project.library())) == list(QONNX_PASSES[QONNX_PASSES.index("verify.exact") :])
    assert published(project) == published(finished())


def test_until_takes_an_earlier_report_away(project: Project) -> None:
    project.library(until="load")
    assert sorted(path.name for path in project.out.iterdir()) == [".codesign"]


def test_a_failing_pass_leaves_no_report_and_the_next_build_goes_on(project: Project) -> None:
    before = published(project)
    with pytest.raises(InputError, match="at least"):
        project.library("allocate.budgets.bops_campos=1")
    assert not (project.out / "report.json").exists()
    assert reasons(project.library()) == {}
    assert published(project) == before


# A damaged cache.


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    """Change the last bits, the size kept."""
    content = bytearray(path.read_bytes())
    content[-2] ^= 0x41
    path.write_bytes(content)


DAMAGES = [delete, empty, truncate, flip]


def cached_files(project: Project, folder: str) -> list[Path]:
    """Files of a folder of the cache, sorted."""
    return sorted(path for path in (project.out / ".codesign" / folder).rglob("*") if path.is_file())


def damaged_builds(project: Project, folder: str, damage: Callable[[Path], None], changes: list[str]) -> list[str]:
    """Damage every file of a folder of the cache, one at a time; what was built otherwise than before."""
    after = copy(project, project.folder.parent / "after")
    after.library(*changes)
    wanted = [published(project), published(after)]
    shutil.rmtree(after.folder)
    wrong: list[str] = []
    for path in cached_files(project, folder):
        name = path.relative_to(project.folder)
        one = copy(project, project.folder.parent / "damaged")
        damage(one.folder / name)
        for build, options in enumerate(([], changes)):
            try:
                one.library(*options)
                same = published(one) == wanted[build]
                wrong += [] if same else [f"{name.name[:20]}: another result, build {build}"]
            except Exception as error:  # noqa: BLE001  (all are counted)
                wrong.append(f"{name.name[:20]}: {type(error).__name__}: {error}")
        shutil.rmtree(one.folder)
    return wrong


#: One of them always; a build for each takes long.
ONE = [pytest.param(damage, marks=[pytest.mark.slow] * (damage is not DAMAGES[0])) for damage in DAMAGES]


@pytest.mark.parametrize("damage", ONE)
def test_a_damaged_blob_is_made_again(damage: Callable[[Path], None], project: Project) -> None:
    """The same result at once, and after a change for which the damaged blob is read."""
    assert damaged_builds(project, "blobs", damage, ["finetune.epochs=3"]) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_is_made_again(damage: Callable[[Path], None], project: Project) -> None:
    assert damaged_builds(project, "results", damage, ["finetune.epochs=3"]) == []


def test_a_result_with_another_number_is_made_again(project: Project) -> None:
    """Still JSON, and yet not what the pass gave."""
    before = published(project)
    for path in cached_files(project, "results"):
        text = path.read_text()
        path.write_text(re.sub(r"\.(\d)", lambda found: f".{9 - int(found[1])}", text))
    project.library()
    assert published(project) == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_memory_of_the_last_build(damage: Callable[[Path], None], project: Project) -> None:
    """It only serves the reason that is shown."""
    for path in cached_files(project, "last"):
        damage(path)
    assert next(iter(reasons(project.library("finetune.epochs=3")))) == "finetune.qat"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_list_of_what_was_published(damage: Callable[[Path], None], project: Project) -> None:
    before = published(project)
    damage(project.out / ".codesign" / "published.json")
    assert reasons(project.library()) == {}
    assert published(project) == before


@pytest.mark.parametrize("folder", ["blobs", "results", "last"])
def test_a_whole_folder_of_the_cache_gone(folder: str, project: Project) -> None:
    before = published(project)
    shutil.rmtree(project.out / ".codesign" / folder)
    ran = reasons(project.library())
    if folder == "blobs":  # results that hold numbers only are whole without
        assert {"load.npz", "load.torch", "finetune.qat", "export.qonnx"} <= set(ran)
        assert set(ran.values()) == {"result was gone"}
    else:
        assert list(ran) == ([] if folder == "last" else list(QONNX_PASSES))
    assert published(project) == before
    assert reasons(project.library()) == {}


def test_the_reason_after_a_deleted_blob(project: Project) -> None:
    digest = next(item["sha256"] for item in project.report()["artifacts"] if item["name"] == "qonnx")
    (project.out / ".codesign" / "blobs" / digest[:2] / digest).unlink()
    assert reasons(project.library()) == {"export.qonnx": "result was gone"}


# What is left behind.


def test_scratch_and_work_are_empty_after_a_build(project: Project) -> None:
    assert cached_files(project, "scratch") == cached_files(project, "work") == []


def test_what_a_killed_build_left_is_cleared(project: Project) -> None:
    """Scratch folders, and files that were being written when the build was killed."""
    cache = project.out / ".codesign"
    left = [
        cache / "scratch" / "tmpabc" / "project" / "file",
        cache / "blobs" / "00" / ".writing-abc",
        cache / "results" / ".writing-abc",
        project.out / ".writing-abc",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    project.library()
    assert [str(path.relative_to(project.out)) for path in left if path.exists()] == []


# Single passes.


@dataclass(frozen=True)
class Noted(Pass):
    """Write a notice with the content of a file, if there is one.

    Args:
        text: The notice.
        file: Read if given.
        program: Must be on PATH.
        fails: Raise after having written to the work folder.
    """

    text: str = "hello"
    file: Path | None = None
    program: str = ""
    fails: bool = False

    name: ClassVar[str] = "report.noted"
    optional: ClassVar[tuple[str, ...]] = ("notices.before",)
    writes: ClassVar[tuple[str, ...]] = ("notices",)
    seeded: ClassVar[bool] = True

    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.file,) if self.file else ()

    def programs(self) -> tuple[str, ...]:
        """The program."""
        return (self.program,) if self.program else ()

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Write the notice, and how often this work folder was used before."""
        log = context.work / "log"
        used = len(log.read_text()) if log.exists() else 0
        log.write_text("x" * (used + 1))
        if self.fails and used == 0:
            raise InputError("noted", "fails the first time")
        content = self.file.read_text() if self.file else ""
        return {"notices": {"noted": f"{self.text} {content} {context.seed} {used}"}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def step(store: Store, one: Pass, seed: int = 0, fields: Fields | None = None) -> tuple[Fields, PassRun]:
    """Run one pass."""
    return Engine(store, seed, Quiet()).step(one, fields or {})


def test_a_pass_is_cached_by_options_file_seed_and_optional_fields(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("1")
    assert step(store, Noted(file=file))[1].reason == "first run"
    assert step(store, Noted(file=file))[1].status == "cached"
    assert step(store, Noted("other", file=file))[1].reason == "changed: option text"
    file.write_text("2")
    fields, run = step(store, Noted("other", file=file))
    assert run.reason == "changed: file file"
    assert fields["notices"]["noted"] == "other 2 0 0"
    assert step(store, Noted("other", file=file), seed=5)[1].reason == "changed: seed"
    before: dict[str, Any] = {"notices": {"before": "1", "hidden": "1"}}
    fields, run = step(store, Noted("other", file=file), 5, before)
    assert run.reason == "changed: notices.before"
    assert set(fields["notices"]) == {"before", "hidden", "noted"}
    before["notices"]["hidden"] = "2"
    assert step(store, Noted("other", file=file), 5, before)[1].status == "cached"


def test_the_version_of_a_program_counts(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "fakecc"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    for version, reason in [("1.0", "first run"), ("1.0", "nothing changed"), ("1.1", "changed: fakecc version")]:
        program.write_text(f"#!/bin/sh\necho fakecc {version}\necho built today\n")
        program.chmod(0o755)
        assert step(store, Noted(program="fakecc"))[1].reason == reason


def test_a_work_folder_survives_a_failure_and_not_a_success(store: Store) -> None:
    with pytest.raises(CodesignError, match="fails the first time"):
        step(store, Noted(fails=True))
    fields, _ = step(store, Noted(fails=True))
    assert fields["notices"]["noted"].endswith(" 1"), "the second run finds what the first left"
    assert [path for path in (store.folder / "work").rglob("*") if path.is_file()] == []


def test_a_failed_pass_is_not_remembered(store: Store) -> None:
    step(store, Noted())
    with pytest.raises(CodesignError):
        step(store, Noted(fails=True))
    assert step(store, Noted())[1].status == "cached"
    assert step(store, Noted(fails=True))[1].reason == "changed: option fails"


# The sources of a pass.


@pytest.mark.parametrize(
    "imports",
    ["from other.helper import VALUE", "import other.helper", "from .helper import VALUE", "from . import helper"],
)
def test_sources_follow_every_kind_of_import(imports: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass of another package depends on the files of that package that it imports, function bodies included."""
    package = tmp_path / "other"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("from other import deep\nVALUE = 1\n")
    (package / "deep.py").write_text("import json\n")
    (package / "unused.py").write_text("")
    (package / "mine.py").write_text(f"def run():\n    {imports}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    sources.source_digests.cache_clear()
    found = set(sources.source_digests("other.mine")) - {"other"}
    sources.source_digests.cache_clear()
    assert found == {"other.mine", "other.helper", "other.deep"}


def test_the_order_of_a_collection_is_part_of_what_a_pass_depends_on() -> None:
    one: Fields = {"sensitivity": {"a": 1, "b": 2}}
    other: Fields = {"sensitivity": {"b": 2, "a": 1}}
    assert _digest(one, "sensitivity") != _digest(other, "sensitivity")
    assert _digest(one, "sensitivity.a") == _digest(other, "sensitivity.a")


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("codesign.transpile.rtl", "hdl/top.v.j2"),
        ("codesign.transpile.hls4ml", "transpile/nnet_codesign.h"),
        ("codesign.estimate.resources", "model/fitted.json"),
    ],
)
def test_templates_and_data_count_as_sources(module: str, file: str) -> None:
    assert file in sources.source_digests(module)
