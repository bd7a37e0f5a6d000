"""Bundles of real builds, and what is inside them."""

import functools
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codesign.bundle.archive import pack
from codesign.deployment import deploy
from codesign.design import Design
from codesign.engine import decode
from codesign.kept import Kept
from codesign.setting import Setting
from codesign.store import Store
from tests.builds import Project, lasting_folder, make

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
    """The end of the build that a bundle lies beside."""
    store = Store(archive.parent / ".codesign")
    return decode(Kept.read(archive.parent, store).fields, store)


def manifest_of(archive: Path) -> dict[str, Any]:
    """What a bundle says of itself."""
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
