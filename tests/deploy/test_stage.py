"""Formats for deployment are passes that are run on the end of a finished build; those of another package here."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codesign import deployment, plugins
from codesign.deployment import deploy
from codesign.directory import read_report
from codesign.errors import InputError
from codesign.kept import Kept
from codesign.passes import registry
from codesign.report.files import publish
from codesign.setting import Setting
from codesign.store import Store, write_whole
from tests.builds import Project, copy, digests, finished, run
from tests.deploy.notes import Core, Note
from tests.test_passes import Entry


@pytest.fixture(autouse=True)
def formats(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which another package's formats are installed, and no others."""
    with monkeypatch.context() as patch:
        offers = {"codesign.passes": [Entry("note", Note), Entry("core", Core)]}
        patch.setattr(plugins, "entry_points", lambda group: offers.get(group, []))
        registry.cache_clear()
        yield
    registry.cache_clear()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a command for which they are."""
    metadata = tmp_path_factory.mktemp("site") / "notes-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: notes\nVersion: 1.0\n")
    entries = "[codesign.passes]\nnote = tests.deploy.notes:Note\ncore = tests.deploy.notes:Core\n"
    (metadata / "entry_points.txt").write_text(entries)
    return {"PYTHONPATH": os.pathsep.join([str(metadata.parent), *sys.path])}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return copy(finished(), tmp_path / "project")


def option(text: str) -> list[Setting]:
    key, _, value = text.partition("=")
    return [Setting(key, value, "--set", Path(), explicit=True)]


def note(project: Project) -> str:
    return (project.out / "note.txt").read_text()


#: What the note says of a build without a C++ or RTL representation.
TOLD = "proven 1 numpy qonnx hls4ml"


def test_a_format_is_made_of_a_finished_build_and_cached(project: Project, site: dict[str, str]) -> None:
    before = project.report()
    command = ["deploy", str(project.out), "--format", "note", "--set", "deploy.note.text=mine"]
    outcome = run(*command, environment=site)
    assert (outcome.code, outcome.err) == (0, "")
    assert "deploy.note" in outcome.out
    assert note(project) == f"mine {TOLD}"
    report = project.report()
    assert report["passes"][:-1] == before["passes"]
    assert report["passes"][-1]["name"] == "deploy.note"
    assert {row["name"] for row in report["artifacts"]} == {row["name"] for row in before["artifacts"]} | {"note"}
    assert report["checks"][:-1] == before["checks"]
    assert report["checks"][-1]["to"] == "note"
    assert next(row for row in report["measures"] if row not in before["measures"])["name"] == "notes"
    assert "| note | note.txt |" in (project.out / "report.md").read_text()
    deploy(project.out, ["note"], option("deploy.note.text=mine"))
    assert project.statuses()["deploy.note"][0] == "cached"
    deploy(project.out, ["note"])
    assert note(project) == f"none {TOLD}"
    assert len(project.report()["passes"]) == len(before["passes"]) + 1


def without_passes(report: dict[str, Any]) -> dict[str, Any]:
    """A report without times and reasons of passes."""
    return {**report, "passes": [row["name"] for row in report["passes"]]}


def test_a_build_file_with_the_format_gives_the_same(project: Project, tmp_path: Path) -> None:
    at_once = copy(project, tmp_path / "other")
    deploy(project.out, ["note"], option("deploy.note.text=mine"))
    at_once.write({"": {"also": ["deploy.note"]}, "deploy.note": {"text": "mine"}})
    result = at_once.library()
    assert result.passes[-1].name == "deploy.note"
    assert "note" in result.design.artifacts
    assert without_passes(at_once.report()) == without_passes(project.report())
    deploy(at_once.out, ["note"])
    assert at_once.statuses()["deploy.note"][0] == "cached"
    for name in ("report.json", "report.md", "report.html"):  # with times and reasons
        for each in (project, at_once):
            (each.out / name).unlink()
    assert digests(at_once.out) == digests(project.out)


def test_options_of_the_build_file_are_those_of_formats_made_later(project: Project) -> None:
    project.write({"deploy.note": {"text": "kept"}})
    project.library()
    assert not (project.out / "note.txt").exists()
    deploy(project.out, ["note"])
    assert note(project).startswith(f"kept {TOLD}")


def test_a_new_build_takes_formats_away(project: Project) -> None:
    deploy(project.out, ["note"])
    project.library(until="finetune")
    assert not (project.out / "note.txt").exists()
    assert not (project.out / ".codesign" / "design.json").exists()
    words = "export.qonnx has not run, nor have verify.exact, verify.accuracy, report.summary"
    with pytest.raises(InputError, match=words):
        deploy(project.out, ["note"])


REFUSED = {
    "an unknown format": ("xyz", "", r"no such format; known: .*note"),
    "a misspelt format": ("nite", "", r"did you mean 'note'"),
    "a field that the build lacks": ("core", "", r"no artifacts.rtl, which deploy.core reads.*transpile.rtl"),
    "an option of another format": ("note", "deploy.core.x=1", r"name it too: --format core"),
    "an option of the build": ("note", "finetune.epochs=1", r"build again"),
    "an unknown option": ("note", "deploy.note.tekst=1", r"unknown option 'tekst'.*'text'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_changes_nothing(project: Project, case: str) -> None:
    name, given, words = REFUSED[case]
    before = digests(project.out)
    with pytest.raises(InputError, match=words):
        deploy(project.out, [name], option(given) if given else [])
    assert digests(project.out) == before


def test_damaged_files_of_the_build_are_put_right(project: Project) -> None:
    place = project.out / "network.qonnx.onnx"
    content = place.read_bytes()
    place.write_bytes(content + b"x")
    (project.out / "front.svg").unlink()
    deploy(project.out, ["note"])
    assert place.read_bytes() == content
    assert (project.out / "front.svg").exists()


def test_an_older_bundle_is_said() -> None:
    row = {"name": "bundle", "path": "n_v1.bundle.zip"}
    report: dict[str, Any] = {"notices": ["other"], "artifacts": [row]}
    said = deployment.of_bundles(report, ["deploy.patterns"])
    assert said == ["other", said[1]]
    assert said[1].startswith("n_v1.bundle.zip was made before deploy.patterns, ")
    again = deployment.of_bundles({**report, "notices": said}, ["deploy.ip"])
    assert again == ["other", again[1]]
    assert "deploy.ip" in again[1]
    assert deployment.of_bundles({**report, "notices": said}, ["deploy.ip", "deploy.bundle"]) == ["other"]
    assert deployment.of_bundles({**report, "artifacts": []}, ["deploy.ip"]) == ["other"]


def test_a_damaged_design_is_refused(project: Project) -> None:
    place = project.out / ".codesign" / "design.json"
    record = json.loads(place.read_bytes())
    record["fields"]["target"]["name"] = "another"
    place.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"damaged.*build again"):
        deploy(project.out, ["note"])


def test_what_differs_is_refused_or_marked(project: Project) -> None:
    kept = Kept.read(project.out, Store(project.out / ".codesign"))
    kept.fields["checks"]["numpy->qonnx"] |= {"status": "differs", "mismatches": 7}
    kept.write(project.out)
    before = digests(project.out)
    with pytest.raises(InputError, match=r"numpy -> qonnx: 7 of 400 inputs give other integers.*--allow-unproven"):
        deploy(project.out, ["note"])
    assert digests(project.out) == before
    deploy(project.out, ["note"], allow_unproven=True)
    assert note(project) == "none unproven 1 numpy qonnx hls4ml"


class Killed(BaseException):
    """The end of a process, as far as files are concerned."""


@pytest.mark.parametrize("again", ["the same", "another", "a new build"])
@pytest.mark.parametrize("step", ["withdraw_report", "publish", "publish_report"])
def test_a_kill_while_formats_are_put_out(
    step: str, again: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing looks finished, and what comes next finds the formats and their report whole, or none of both."""
    plain, undisturbed = project.report(), copy(project, tmp_path / "undisturbed")
    for each in (project, undisturbed):
        deploy(each.out, ["note"], option("deploy.note.text=first"))

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(deployment, step, killed)
        with pytest.raises(Killed):
            deploy(project.out, ["note"], option("deploy.note.text=second"))
    with pytest.raises(InputError, match=r"stopped while formats were put out.*run codesign deploy again"):
        read_report(project.out)
    deploy(undisturbed.out, ["note"], option("deploy.note.text=second"))
    if again == "the same":
        deploy(project.out, ["note"], option("deploy.note.text=second"))
    elif again == "another":
        with pytest.raises(InputError, match=r"no artifacts\.rtl"):
            deploy(project.out, ["core"])
    else:
        project.library()
        assert not (project.out / "note.txt").exists()
        assert without_passes(project.report()) == without_passes(plain)
        return
    assert note(project) == f"second {TOLD}"
    assert without_passes(project.report()) == without_passes(undisturbed.report())


def test_a_kill_amid_the_files_of_a_report(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(path: Path, content: bytes) -> None:
        if path.name == "report.html":
            raise Killed
        write_whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(publish, "write_whole", torn)
        with pytest.raises(Killed):
            deploy(project.out, ["note"])
    assert not (project.out / "report.json").exists()
    deploy(project.out, ["note"])
    assert note(project) == f"none {TOLD}"
    assert "| note | note.txt |" in (project.out / "report.md").read_text()


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_no_build_at_all(kind: str, tmp_path: Path) -> None:
    if kind == "empty":
        (tmp_path / "out").mkdir()
    outcome = run("deploy", str(tmp_path / "out"))
    assert outcome.code == 2
    assert "codesign build" in outcome.err


def test_a_format_needs_a_report(project: Project) -> None:
    """A flow without one ends before formats are made, and says so before it runs."""
    with pytest.raises(InputError, match=r"deploy.note reads 'report', which no pass before it writes.*report.summary"):
        (project.folder / "short.toml").write_text('summary = "short"\npasses = ["load.npz", "load.torch"]\n')
        project.library(flow=str(project.folder / "short.toml"), also=["deploy.note"])


def test_formats_must_be_named(project: Project) -> None:
    with pytest.raises(InputError, match=r"--format: none; wanted: .*emulator.*note"):
        deploy(project.out, [])
