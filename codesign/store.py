"""Files by their content: arrays, artifacts and pass results under their SHA-256, written whole or not at all."""

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from codesign.errors import InputError

#: How the names of files begin while they are being written.
WRITING = ".writing-"


def digest_bytes(content: bytes) -> str:
    """SHA-256 of bytes, as hex."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file, as hex.

    Raises:
        InputError: The file can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", "a readable file") from error


def canonical(value: Any) -> bytes:
    """JSON with one spelling: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest_json(value: Any) -> str:
    """SHA-256 of a JSON value."""
    return digest_bytes(canonical(value))


def read_json(path: Path) -> Any:
    """A JSON file's value; None if it is not there or not readable."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a later run after a kill, finds it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=WRITING)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Store:
    """A folder of blobs named by their SHA-256.

    Args:
        folder: Where the blobs are; made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = folder / "blobs"
        self.blobs.mkdir(parents=True, exist_ok=True)
        self.verified: set[str] = set()

    def path(self, digest: str) -> Path:
        """Where the blob with that digest is, or would be."""
        return self.blobs / digest[:2] / digest

    def put(self, content: bytes) -> str:
        """Store bytes; returns their digest."""
        digest = digest_bytes(content)
        if not self.intact(digest):
            write_whole(self.path(digest), content)
        return digest

    def intact(self, digest: str) -> bool:
        """Whether a blob is there and is what its name says; looked at once per process."""
        if digest not in self.verified and self.path(digest).is_file() and digest_file(self.path(digest)) == digest:
            self.verified.add(digest)
        return digest in self.verified and self.path(digest).is_file()

    def put_array(self, array: npt.NDArray[Any]) -> dict[str, Any]:
        """Store an array in numpy's own format; returns its JSON reference."""
        content = io.BytesIO()
        np.save(content, np.asarray(array, order="C"), allow_pickle=False)
        return {"array": self.put(content.getvalue())}

    def get_array(self, reference: dict[str, Any]) -> npt.NDArray[Any]:
        """The array behind a reference, memory-mapped and read-only."""
        return np.load(self.path(reference["array"]), mmap_mode="r", allow_pickle=False)

    def put_folder(self, folder: Path) -> str:
        """Store every file below a folder; returns the digest of its listing.

        The listing has one line ``SHA-256  relative path`` per file, sorted by path as text.
        """
        paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        lines = [f"{self.put(paths[name].read_bytes())}  {name}\n" for name in sorted(paths)]
        return self.put("".join(lines).encode())

    def listing(self, digest: str) -> dict[str, str]:
        """Relative path to digest, for a stored folder."""
        lines = self.path(digest).read_text(encoding="utf-8").splitlines()
        return {path: blob for blob, path in (line.split("  ", 1) for line in lines)}

    def take_out(self, digest: str, place: Path, folder: bool) -> None:
        """Write a stored file or folder to a place, replacing what is there.

        Args:
            digest: Of the file, or of the folder's listing.
            place: Path to write.
            folder: Whether it is a folder.
        """
        if not folder:
            if place.is_dir():
                shutil.rmtree(place)
            write_whole(place, self.path(digest).read_bytes())
            return
        with self.scratch() as scratch:
            for relative, blob in self.listing(digest).items():
                file = scratch / "folder" / relative
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.path(blob), file)
                with file.open("rb") as content:
                    if content.read(2) == b"#!":  # the listing has no modes; a script says itself that it is one
                        file.chmod(0o755)
            if place.is_dir() or place.is_file():
                os.replace(place, scratch / "old")
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(scratch / "folder", place)

    def missing(self, value: Any) -> bool:
        """Whether any blob that a JSON value refers to (arrays, artifacts) is gone or damaged."""
        if isinstance(value, list):
            return any(self.missing(item) for item in cast(list[Any], value))
        if not isinstance(value, dict):
            return False
        table = cast(dict[str, Any], value)
        digest = table.get("array") or table.get("digest")
        if isinstance(digest, str):
            blobs = [digest]
            if table.get("folder") and self.intact(digest):
                blobs += self.listing(digest).values()
            return not all(self.intact(blob) for blob in blobs)
        return any(self.missing(item) for item in table.values())

    @contextmanager
    def scratch(self) -> Generator[Path]:
        """A temporary folder on the same disk, removed afterwards."""
        (self.folder / "scratch").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder / "scratch") as name:
            yield Path(name)
