"""Small archives for tests, made by our own packing, and by Python's as anybody may make them."""

import hashlib
import json
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codesign.bundle.archive import pack

#: A first file's name, one below folders, a script and an empty file.
FILES = {
    "a.txt": b"one\n",
    "folder/inner/b.bin": bytes(range(0, 256, 8)),
    "folder/run.sh": b"#!/bin/sh\n",
    "z": b"",
}


def manifest(files: Mapping[str, bytes], /, **changes: Any) -> dict[str, Any]:
    """What lists some files."""
    listed = {name: {"sha256": hashlib.sha256(c).hexdigest(), "size": len(c)} for name, c in files.items()}
    return {"schema": "codesign-deploy/2", "format": "deploy.bundle", "files": listed} | changes


def packed(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    """An archive of some files."""
    whole = {"manifest.json": json.dumps(manifest(files)).encode(), **files}
    paths: dict[str, Path] = {}
    for index, (name, content) in enumerate(whole.items()):
        paths[name] = folder / f"given{index}"
        paths[name].write_bytes(content)
    pack(paths, folder / "bundle.zip")
    return folder / "bundle.zip"


def zipped(folder: Path, files: Mapping[str, bytes], listed: Mapping[str, Any], kind: int = zipfile.ZIP_STORED) -> Path:
    """The same by Python's own module, with any manifest."""
    archive = folder / "other.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for name, content in {"manifest.json": json.dumps(listed).encode(), **files}.items():
            entry = zipfile.ZipInfo(name)
            script = content.startswith(b"#!")
            entry.external_attr = (stat.S_IFREG | (0o755 if script else 0o644)) << 16
            entry.create_system, entry.compress_type = 3, kind
            out.writestr(entry, content)
    return archive


def owners(archive: Path) -> list[str]:
    """Whose every byte of an archive is, as Python's module finds files in it."""
    with zipfile.ZipFile(archive) as opened:
        entries = opened.infolist()
        start = opened.start_dir
    size, found = archive.stat().st_size, list[str]()
    for entry, end in zip(entries, [*(e.header_offset for e in entries[1:]), start], strict=True):
        found += [entry.filename] * (end - entry.header_offset)
    for entry in entries:
        found += [entry.filename] * (46 + len(entry.filename))
    return found + ["the archive's end"] * (size - len(found))
