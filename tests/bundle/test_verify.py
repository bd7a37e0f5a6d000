"""Bundles of real builds: the same bytes twice, proofs rerun from them alone, and drift beside a second computation."""

import functools
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from codesign.bundle import verification
from codesign.bundle.archive import pack
from codesign.bundle.verification import verify
from codesign.deployment import deploy
from codesign.design import Design
from codesign.engine import decode
from codesign.errors import InputError
from codesign.flow import Flow, Setting
from codesign.kept import Kept
from codesign.store import Store
from codesign.torch_forward import float_forward, to_tensors
from tests.builds import Project, copy, finished, lasting_folder, make, run, samples
from tests.bundle.archives import owners

NAME = "network_v1.bundle.zip"


def bundle(project: Project, *formats: str, **options: Any) -> Path:
    """The bundle of a finished build."""
    given = [Setting(f"deploy.bundle.{key}", value, "test", Path()) for key, value in options.items()]
    deploy(project.out, ("bundle", *formats), given)
    return project.out / NAME


@functools.cache
def made() -> Path:
    """The bundle of the tiny build, beside its project; normalized outside the network."""
    folder = lasting_folder() / "normalized"
    project = make(folder, changes={"load.npz": {"normalize": "standard"}})
    assert project.build().code == 0
    return bundle(project)


def design(archive: Path) -> Design:
    store = Store(archive.parent / ".codesign")
    return decode(Kept.read(archive.parent, store).fields, store)


def manifest_of(archive: Path) -> dict[str, Any]:
    with zipfile.ZipFile(archive) as opened:
        return json.loads(opened.read("manifest.json"))


def repacked(archive: Path, folder: Path, change: Callable[[Path, dict[str, Any]], None]) -> Path:
    """The bundle with changed files, its hashes made to fit."""
    inside = folder / "inside"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(inside)
    manifest = json.loads((inside / "manifest.json").read_bytes())
    change(inside, manifest)
    files = {name: inside / name for name in manifest["files"]}
    for name, path in files.items():
        content = path.read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    (inside / "manifest.json").write_text(json.dumps(manifest))
    pack({**files, "manifest.json": inside / "manifest.json"}, folder / "changed.zip")
    return folder / "changed.zip"


def test_the_same_build_gives_the_same_bytes(tmp_path: Path) -> None:
    other = make(tmp_path / "elsewhere", changes={"load.npz": {"normalize": "standard"}})
    other.library()
    assert bundle(other).read_bytes() == made().read_bytes()


def test_it_holds_the_build_and_says_what_it_is() -> None:
    manifest, found = manifest_of(made()), design(made())
    given = {path.name: path for path in made().parent.iterdir() if path.is_file() and path.suffix != ".zip"}
    with zipfile.ZipFile(made()) as opened:
        for name in ("network.qonnx.onnx", "front.svg", "sensitivity.svg"):
            assert opened.read(name) == given[name].read_bytes()
        assert sorted(manifest["files"]) == sorted(set(opened.namelist()) - {"manifest.json"})
        report = json.loads(opened.read("report.json"))
    own = json.loads(given["report.json"].read_bytes())
    for key in ("quality", "input", "layers", "allocation", "checks"):
        assert report[key] == own[key]
    assert report["measures"] == own["measures"]
    assert report["passes"] == []
    assert "platform" not in report["environment"]
    (tensor,) = manifest["inputs"]
    assert tensor["formats"] == [str(found.quantized.formats["x"])]
    assert manifest["normalization"]["mean"] == [found.dataset.mean[0].tolist()]  # type: ignore[index]
    assert manifest["outside"] and manifest["decides"] and not manifest["sent"]
    assert manifest["proof"]["status"] == "proven"
    assert {"from": "qonnx", "to": "hls4ml"}.items() <= manifest["proof"]["checks"][2].items()
    assert manifest["proof"]["checks"][2]["status"] == "not_checked"
    assert manifest["licences"] and manifest["versions"]["codesign"]


def test_proofs_are_rerun_from_the_archive_alone(tmp_path: Path) -> None:
    alone = shutil.copy(made(), tmp_path / "alone.zip")
    outcome = run("verify", str(alone), "--json", cwd=tmp_path)
    assert (outcome.code, outcome.err) == (0, "")
    record = json.loads(outcome.out)
    (check,) = record["checks"]
    assert (check["from"], check["to"], check["status"], check["mismatches"]) == ("vectors", "qonnx", "exact", 0)
    assert check["inputs"] == 400 + manifest_of(made())["vectors"]["corners"]
    assert record["sha256"] == hashlib.sha256(made().read_bytes()).hexdigest()
    assert [path.name for path in tmp_path.iterdir()] == ["alone.zip"]
    shown = run("verify", str(alone))
    assert shown.code == 0
    assert "every check that ran is exact" in shown.out


def test_flipped_bytes_are_named_and_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("run before the hashes were checked")

    monkeypatch.setattr(verification, "prove", never)
    whole, whose = made().read_bytes(), owners(made())
    places = set(np.random.default_rng(5).integers(4, len(whole), 60).tolist())
    for owner in set(whose) - {"the archive's end"}:
        places |= {whose.index(owner) + ahead for ahead in (4, 16, 28)} | {len(whole) - 1 - whose[::-1].index(owner)}
    for place in sorted(places):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        (tmp_path / "flipped.zip").write_bytes(flipped)
        with pytest.raises(InputError) as error:
            verify(tmp_path / "flipped.zip")
        assert f"flipped.zip, {whose[place]}: " in str(error.value)


def test_another_integer_is_found(tmp_path: Path) -> None:
    def change(inside: Path, manifest: dict[str, Any]) -> None:
        (name,) = manifest["vectors"]["outputs"]
        codes = np.load(inside / name)
        codes[7, 1] += 1
        np.save(inside / name, codes)

    archive = repacked(made(), tmp_path, change)
    outcome = run("verify", str(archive))
    assert outcome.code == 1
    assert "vectors -> qonnx: 1 of" in outcome.out


BAD: dict[str, Callable[[Path, dict[str, Any]], Any]] = {
    "a file of vectors that is none": lambda inside, _: (inside / "vectors/input_0.npy").write_bytes(b"none"),
    "vectors of another shape": lambda inside, _: np.save(inside / "vectors/input_0.npy", np.zeros((3, 4), np.int8)),
    "vectors that are no integers": lambda inside, _: np.save(inside / "vectors/input_0.npy", np.zeros((9, 4))),
    "vectors to unpickle": lambda inside, _: np.save(inside / "vectors/input_0.npy", np.array([{}]), allow_pickle=True),
    "a network outside": lambda _, manifest: manifest.update(network="../../../etc/hostname"),
    "a network that is not there": lambda _, manifest: manifest.update(network="none.onnx"),
    "a network that is none": lambda inside, _: (inside / "network.qonnx.onnx").write_bytes(b"none"),
    "no vectors": lambda _, manifest: manifest.pop("vectors"),
    "a format that is none": lambda _, manifest: manifest["inputs"][0].update(formats=["float"]),
    "too many formats": lambda _, manifest: manifest["inputs"][0].update(formats=["fixed<8,1>"] * 3),
    "a project that is none": lambda _, manifest: manifest["artifacts"].update(hls4ml="vectors"),
}


@pytest.mark.parametrize("case", BAD)
def test_files_that_are_not_what_the_manifest_says_are_refused(case: str, tmp_path: Path) -> None:
    archive = repacked(made(), tmp_path, BAD[case])
    with pytest.raises(InputError, match=r"changed\.zip|tensor 'x'"):
        verify(archive)


def test_what_is_marked_unproven_fails(tmp_path: Path) -> None:
    def change(_: Path, manifest: dict[str, Any]) -> None:
        manifest["proof"]["status"] = "unproven"

    found = verify(repacked(made(), tmp_path, change))
    assert found.failures == ["the bundle is marked as unproven: a check of its build differs"]


def test_it_is_made_after_the_formats_that_it_holds() -> None:
    for names in (["deploy.bundle", "deploy.emulator"], ["deploy.emulator", "deploy.bundle"]):
        assert Flow("deploy", "", ()).extended(names, "test").passes == ("deploy.emulator", "deploy.bundle")


def test_a_bounded_number_of_vectors(tmp_path: Path) -> None:
    project = copy(Project(made().parent.parent), tmp_path / "project")
    manifest = manifest_of(bundle(project, vectors=10))
    assert manifest["vectors"]["test"] == 10
    assert manifest["drift"] == manifest_of(made())["drift"], "that is of the whole split"
    assert verify(project.out / NAME).checks[0].inputs == 10 + manifest["vectors"]["corners"]


@pytest.mark.parametrize("stretch", [1.0, 30.0])
def test_drift_is_what_a_second_computation_gives(stretch: float, tmp_path: Path) -> None:
    """Torch for the float network, the integer reference for the other, and counting by hand."""
    found, raw = design(made()), samples(500, 3)[0] * np.float32(stretch)
    np.savez(tmp_path / "new.npz", x=raw)
    seen = verify(made(), tmp_path / "new.npz").drift
    assert seen is not None
    dataset, quantized = found.dataset, found.quantized
    x = ((raw - dataset.mean[0]) / dataset.scale[0]).astype(np.float32)  # type: ignore[index]
    with torch.no_grad():
        floats = float_forward(found.graph, to_tensors(found.graph.parameters), [torch.tensor(x)])["fc2"].numpy()
    values = quantized.run(quantized.encode([x]))
    integers = values["fc2"].real()
    assert seen.samples == 500
    assert seen.agreeing == (integers.argmax(1) == floats.argmax(1)).sum()
    for index, shift in enumerate(seen.shifts):
        assert shift.output == f"fc2[{index}]"
        difference = integers[:, index] - floats[:, index]
        assert shift.mean == pytest.approx(difference.mean(), abs=1e-4 * stretch)
        assert shift.quantiles == pytest.approx(np.quantile(difference, (0.01, 0.5, 0.99)), abs=1e-4 * stretch)
    fixed = quantized.formats["x"]
    low, above = float(fixed.low) * 2.0**-fixed.fraction, float(fixed.high + 1) * 2.0**-fixed.fraction
    assert [each.count for each in seen.inputs] == [int(((c < low) | (c >= above)).sum()) for c in x.T.astype(float)]
    assert (sum(each.count for each in seen.inputs) > 0) == (stretch > 1)
    (hidden,) = seen.layers
    node = next(node for node in found.quantized.graph.nodes if node.output == hidden.name)
    before = node.op.integer([values[name] for name in node.inputs], quantized.parameters(node))
    exact = np.floor(before.real() * 2.0 ** quantized.formats[hidden.name].fraction)
    assert hidden.values == exact.size
    assert hidden.count == int((exact != values[hidden.name].values).sum())


def test_the_test_splits_own_drift_is_kept(tmp_path: Path) -> None:
    x, _ = samples()
    np.savez(tmp_path / "test.npz", x=x[1600:])
    found = verify(made(), tmp_path / "test.npz")
    assert found.drift == found.contents.drift


WRONG: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "no arrays": (dict, "arrays none"),
    "another array": (lambda: {"other": np.zeros((3, 4))}, "arrays other.*arrays x"),
    "features that are missing": (lambda: {"x": np.zeros((3, 5))}, "shape \\[3, 5\\]"),
    "no samples": (lambda: {"x": np.zeros((0, 4))}, "shape \\[0, 4\\]"),
    "text": (lambda: {"x": np.array([["a"] * 4])}, "numbers of shape"),
    "one number": (lambda: {"x": np.array(3.0)}, "shape \\[\\]"),
    "not a number": (lambda: {"x": np.full((3, 4), np.nan)}, "12 of 12 values are NaN"),
}


@pytest.mark.parametrize("case", WRONG)
def test_data_that_do_not_fit_are_refused(case: str, tmp_path: Path) -> None:
    make_arrays, words = WRONG[case]
    np.savez(tmp_path / "new.npz", **make_arrays())
    with pytest.raises(InputError, match=words):
        verify(made(), tmp_path / "new.npz")


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more"])
def test_data_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "new.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"not a whole \.npz file"):
        verify(made(), tmp_path / "new.npz")


@pytest.mark.slow
@pytest.mark.parametrize(("flow", "formats"), [("rtl", ("emulator",)), ("hls4ml", ())])
def test_firmware_is_proven_from_the_archive(flow: str, formats: tuple[str, ...], tmp_path: Path) -> None:
    project = copy(finished(flow), tmp_path / "project")
    archive = shutil.copy(bundle(project, *formats), tmp_path / "alone.zip")
    shutil.rmtree(tmp_path / "project")
    found = verify(Path(archive))
    assert [check.end for check in found.checks] == ["qonnx", flow, *formats]
    assert {check.status for check in found.checks} == {"exact"}
    assert len({check.inputs for check in found.checks}) == 1
    licences = {row["what"]: row["licence"] for row in manifest_of(Path(archive))["licences"]}
    assert licences[{"rtl": "rtl/static/*", "hls4ml": "hls4ml/*/nnet_utils/*"}[flow]]


@pytest.mark.slow
@pytest.mark.parametrize("flow", ["rtl", "hls4ml"])
def test_firmware_that_computes_something_else_is_found(flow: str, tmp_path: Path) -> None:
    def change(inside: Path, _: dict[str, Any]) -> None:
        if flow == "hls4ml":
            place = sorted(inside.glob("hls4ml/firmware/weights/w*.h"))[-1]
            head, brace, tail = place.read_text().rpartition("{")
            numbers, end, rest = tail.partition("}")
            place.write_text(f"{head}{brace}{', '.join(reversed(numbers.split(',')))}{end}{rest}")
        else:
            place = inside / "rtl" / "network.v"
            assert ".model_inp(given)" in place.read_text()
            place.write_text(place.read_text().replace(".model_inp(given)", ".model_inp(~given)"))

    archive = repacked(bundle(copy(finished(flow), tmp_path / "project")), tmp_path, change)
    checks = {check.end: check for check in verify(archive).checks}
    assert checks["qonnx"].status == "exact"
    assert checks[flow].status == "differs"
