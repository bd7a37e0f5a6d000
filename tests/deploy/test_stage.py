"""Formats for deployment are passes that are run on the end of a finished build; one of another package here."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from codesign.kept import Kept
from codesign.store import Store
from tests.builds import Outcome, Project, copy, digests, finished, run

#: A format that writes the proof and an option down.
NOTE = '''"""A format of another package."""

from dataclasses import dataclass

from codesign.deploy._format import Format
from codesign.design import Artifact, Check, Measure


@dataclass(frozen=True)
class Note(Format):
    """A file with the proof.

    Args:
        text: What it says beside.
    """

    text: str = "none"

    name = "deploy.note"
    reads = (*Format.reads, "quantized")
    writes = ("artifacts.note", "measures", "checks")

    def make(self, design, context, proof):
        content = f"{self.text} {proof.status} {len(proof.not_checked)} {len(design.quantized.graph.nodes)}"
        check = Check("numpy", "note", 1, 0, "exact", "none")
        digest = context.store.put(content.encode())
        measure = Measure(1.0, "file", "simulated", self.name)
        return {
            "artifacts": {"note": Artifact("note.txt", digest)},
            "measures": {"notes": measure},
            "checks": {"numpy->note": check},
        }


@dataclass(frozen=True)
class Core(Format):
    """A format of what this flow does not make."""

    name = "deploy.core"
    reads = (*Format.reads, "artifacts.rtl")
    writes = ("artifacts.core",)

    def make(self, design, context, proof):
        raise AssertionError
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which another package's formats are installed."""
    folder = tmp_path_factory.mktemp("site")
    metadata = folder / "notes-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: notes\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[codesign.passes]\nnote = notes:Note\ncore = notes:Core\n")
    (folder / "notes.py").write_text(NOTE)
    return {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}


def deploy(project: Project, site: dict[str, str], *arguments: str) -> Outcome:
    return run("deploy", str(project.out), *arguments, environment=site)


def without_order(report: dict[str, Any]) -> dict[str, Any]:
    """A report without times and reasons of passes."""
    return {**report, "passes": sorted(row["name"] for row in report["passes"])}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return copy(finished(), tmp_path_factory.mktemp("built") / "project")


def test_a_format_is_made_of_a_finished_build_and_cached(built: Project, site: dict[str, str], tmp_path: Path) -> None:
    project = copy(built, tmp_path / "project")
    before = project.report()
    outcome = deploy(project, site, "--format", "note", "--set", "deploy.note.text=mine")
    assert (outcome.code, outcome.err) == (0, "")
    assert (project.out / "note.txt").read_text() == "mine proven 1 3"
    report = project.report()
    assert report["passes"][:-1] == before["passes"]
    assert report["passes"][-1]["name"] == "deploy.note"
    assert {row["name"] for row in report["artifacts"]} == {row["name"] for row in before["artifacts"]} | {"note"}
    assert report["checks"][:-1] == before["checks"]
    assert report["checks"][-1]["to"] == "note"
    assert next(row for row in report["measures"] if row not in before["measures"])["name"] == "notes"
    assert "| note | note.txt |" in (project.out / "report.md").read_text()
    again = deploy(project, site, "--format", "note", "--set", "deploy.note.text=mine")
    assert "deploy.note" in again.out
    assert project.statuses()["deploy.note"][0] == "cached"
    other = deploy(project, site, "--format", "note")
    assert other.code == 0
    assert (project.out / "note.txt").read_text() == "none proven 1 3"
    assert len(project.report()["passes"]) == len(before["passes"]) + 1


def test_a_build_file_with_the_format_gives_the_same(built: Project, site: dict[str, str], tmp_path: Path) -> None:
    afterwards, at_once = copy(built, tmp_path / "one"), copy(built, tmp_path / "two")
    deploy(afterwards, site, "--format", "note", "--set", "deploy.note.text=mine")
    at_once.write({"": {"also": ["deploy.note"]}, "deploy.note": {"text": "mine"}})
    assert at_once.build(environment=site).code == 0
    assert without_order(at_once.report()) == without_order(afterwards.report())
    for name in ("report.json", "report.md"):  # with times and reasons
        for project in (afterwards, at_once):
            (project.out / name).unlink()
    assert digests(at_once.out) == digests(afterwards.out)


def test_options_of_the_build_file_are_those_of_formats_made_later(
    built: Project, site: dict[str, str], tmp_path: Path
) -> None:
    project = copy(built, tmp_path / "project")
    project.write({"deploy.note": {"text": "kept"}})
    assert project.build(environment=site).code == 0
    assert not (project.out / "note.txt").exists()
    assert deploy(project, site).code == 0, "the default: what can be made of this build"
    assert (project.out / "note.txt").read_text() == "kept proven 1 3"
    assert not (project.out / "core").exists()


def test_a_new_build_takes_formats_away(built: Project, site: dict[str, str], tmp_path: Path) -> None:
    project = copy(built, tmp_path / "project")
    deploy(project, site, "--format", "note")
    assert project.build("--until", "finetune").code == 0
    assert not (project.out / "note.txt").exists()
    assert not (project.out / ".codesign" / "design.json").exists()
    outcome = deploy(project, site, "--format", "note")
    assert outcome.code == 2
    assert "export.qonnx has not run, nor have verify.exact, verify.accuracy, report.summary" in outcome.err


REFUSED = {
    "an unknown format": (["--format", "xyz"], r"no such format; known: .*note"),
    "a misspelt format": (["--format", "nite"], r"did you mean 'note'"),
    "a field that the build lacks": (
        ["--format", "core"],
        r"no artifacts.rtl, which deploy.core reads.*--also.*transpile.rtl",
    ),
    "an option of another format": (["--format", "note", "--set", "deploy.core.x=1"], r"name it too: --format core"),
    "an option of the build": (["--format", "note", "--set", "finetune.epochs=1"], r"build again"),
    "an unknown option": (["--format", "note", "--set", "deploy.note.tekst=1"], r"unknown option 'tekst'.*'text'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_changes_nothing(built: Project, site: dict[str, str], case: str) -> None:
    arguments, words = REFUSED[case]
    before = digests(built.out)
    outcome = deploy(built, site, *arguments)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert re.search(words, outcome.err), outcome.err
    assert digests(built.out) == before


def test_a_damaged_design_is_refused(built: Project, site: dict[str, str], tmp_path: Path) -> None:
    project = copy(built, tmp_path / "project")
    place = project.out / ".codesign" / "design.json"
    record = json.loads(place.read_bytes())
    record["fields"]["target"]["name"] = "another"
    place.write_text(json.dumps(record))
    outcome = deploy(project, site)
    assert outcome.code == 2
    assert "damaged" in outcome.err
    assert "build again" in outcome.err


def test_what_differs_is_refused_or_marked(built: Project, site: dict[str, str], tmp_path: Path) -> None:
    project = copy(built, tmp_path / "project")
    kept = Kept.read(project.out, Store(project.out / ".codesign"))
    kept.fields["checks"]["numpy->qonnx"] |= {"status": "differs", "mismatches": 7}
    kept.write(project.out)
    before = digests(project.out)
    outcome = deploy(project, site, "--format", "note")
    assert outcome.code == 2
    assert "numpy -> qonnx: 7 of 400 inputs give other integers" in outcome.err
    assert "--allow-unproven" in outcome.err
    assert digests(project.out) == before
    assert deploy(project, site, "--format", "note", "--allow-unproven").code == 0
    assert (project.out / "note.txt").read_text() == "none unproven 1 3"


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_no_build_at_all(kind: str, tmp_path: Path) -> None:
    if kind == "empty":
        (tmp_path / "out").mkdir()
    outcome = run("deploy", str(tmp_path / "out"))
    assert outcome.code == 2
    assert "codesign build" in outcome.err
