"""Bundles of real builds: the same bytes twice, and proofs rerun from them alone."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.bundle import proofs, verification
from codesign.bundle.shown import show_verified
from codesign.bundle.verification import verify
from codesign.console import make_console
from codesign.design import Check
from codesign.errors import InputError, ToolError
from codesign.flow import Flow
from tests.builds import Project, copy, finished, make, run, samples
from tests.bundle.archives import owners
from tests.bundle.bundles import NAME, bundle, design, made, manifest_of, repacked


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
    assert manifest["licenses"] and manifest["versions"]["codesign"]


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


#: Manifests that fit each other, but not the files, once new data are run.
ODD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no inputs": lambda manifest: manifest.update(inputs=[], vectors=manifest["vectors"] | {"inputs": []}),
    "a normalization without means": lambda manifest: manifest["normalization"].pop("mean"),
    "means of fewer inputs": lambda manifest: manifest["normalization"].update(mean=[]),
    "means that are no numbers": lambda manifest: manifest["normalization"].update(mean=[["a"] * 4]),
    "inputs of another name": lambda manifest: manifest["inputs"][0].update(name="other"),
    "text in place of a network": lambda manifest: manifest.update(float_network="report.md"),
    "no bits": lambda manifest: manifest.update(mantissa_bits=-1, network="float.onnx"),
    "fewer shifts": lambda manifest: manifest["drift"].update(shifts=[]),
    "fewer layers": lambda manifest: manifest["drift"].update(layers=[]),
    "shifts without a number": lambda manifest: manifest["drift"]["shifts"][0].update(quantiles=[]),
    "no samples": lambda manifest: manifest["drift"].update(samples=0),
    "no status": lambda manifest: manifest.update(proof={}),
    "another status": lambda manifest: manifest.update(proof={"status": "fine", "checks": []}),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_manifests_are_refused_or_found_to_differ_and_no_traceback(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = repacked(made(), tmp_path, lambda _, manifest: ODD[case](manifest))
    np.savez(tmp_path / "new.npz", x=samples(50, 3)[0])
    try:
        found = verify(archive, tmp_path / "new.npz")
    except InputError:
        return
    assert found.failures
    show_verified(make_console(), found, as_json=False)
    show_verified(make_console(), found, as_json=True)


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
    licenses = {row["what"]: row["license"] for row in manifest_of(Path(archive))["licenses"]}
    assert licenses[{"rtl": "rtl/static/*", "hls4ml": "*/firmware/nnet_utils/*"}[flow]]


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


def test_a_tool_that_fails_is_told_with_the_bundle_and_without_a_log_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(case: object) -> Check:
        raise ToolError("g++", "exit status 1", "exit status 0", "log: /tmp/gone/rtl.log; last lines: no such sign")

    monkeypatch.setitem(proofs._PROOFS, "qonnx", fails)
    with pytest.raises(ToolError) as raised:
        verify(made())
    assert str(raised.value) == f"{made()}, qonnx: g++: exit status 1; wanted: exit status 0; last lines: no such sign"
