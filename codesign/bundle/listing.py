"""What a manifest lists: names, sizes and hashes of the files in a bundle, all of it to be distrusted."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from codesign.deploy.format.manifest import MANIFEST, SCHEMA
from codesign.errors import InputError

#: The largest archive, well below what headers of 32 bits can say; the largest manifest; and the most files.
MOST, MOST_MANIFEST, MOST_FILES = 2**31, 2**24, 2**16 - 2
#: The format that a manifest must be of.
FORMAT = "deploy.bundle"
#: Folders and a file's name: neither ``.`` nor ``..``, nothing that a system reads as a path of its own.
_PART = r"(?!\.\.?(?:/|$))[A-Za-z0-9_+.@~-][A-Za-z0-9_+.@~ -]*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST = 1024


@dataclass(frozen=True)
class Listed:
    """A file."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Listing:
    """A manifest.

    Args:
        manifest: All of it.
        files: What it lists, sorted by name.
    """

    manifest: Mapping[str, Any]
    files: tuple[Listed, ...]


def read_listing(where: str, content: bytes) -> Listing:
    """Read a manifest.

    Args:
        where: The archive, for messages.
        content: Of ``manifest.json``.

    Raises:
        InputError: It is none, of another version, or lists files that no archive may hold.
    """
    place = f"{where}, {MANIFEST}"
    try:
        manifest = json.loads(content, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InputError(place, f"not JSON: {error}", "a bundle's manifest") from None
    table = cast(dict[str, Any], manifest) if isinstance(manifest, dict) else {}
    schema, kind = (str(table.get(key))[:80] for key in ("schema", "format"))
    if (schema, kind) != (SCHEMA, FORMAT):
        found = f"schema {schema!r} of format {kind!r}"
        raise InputError(place, found, f"{SCHEMA!r} of {FORMAT!r}", "use the codesign that made it")
    listed = table.get("files")
    rows = list(cast(dict[str, Any], listed).items()) if isinstance(listed, dict) else []
    if not rows:
        raise InputError(place, "no list of files", "files: {name: {sha256, size}}")
    files = tuple(_listed(place, name, row) for name, row in rows)
    require_names(place, [each.name for each in files])
    return Listing(table, tuple(sorted(files, key=lambda each: each.name)))


def require_names(where: str, names: Iterable[str]) -> None:
    """Refuse names that no archive may hold, or that some systems take for one another.

    Raises:
        InputError: With the first such name.
    """
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        if len(seen) == MOST_FILES:
            raise InputError(where, "too many files", f"{MOST_FILES} at most")
        if len(name) > _LONGEST or not _NAME.fullmatch(name):
            raise InputError(where, f"a file named {name[:80]!r}", "a plain path inside the archive")
        if name.casefold() == MANIFEST or name.casefold() in seen:
            other = seen.get(name.casefold(), MANIFEST)
            raise InputError(where, f"files {other!r} and {name!r}", "names that differ by more than case")
        seen[name.casefold()] = name
        parts = name.split("/")
        for end in range(1, len(parts)):
            above = "/".join(parts[:end])
            if folders.setdefault(above.casefold(), above) != above:
                raise InputError(where, f"folders {folders[above.casefold()]!r} and {above!r}", "one of both")
    if both := folders.keys() & seen.keys():
        raise InputError(where, f"a file and a folder named {min(both)!r}", "one of both")


def _listed(place: str, name: str, row: object) -> Listed:
    table = cast(dict[str, Any], row) if isinstance(row, dict) else {}
    digest, size = table.get("sha256"), table.get("size")
    whole = isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= MOST
    if not (isinstance(digest, str) and _DIGEST.fullmatch(digest) and whole):
        raise InputError(f"{place}, file {name[:80]!r}", f"{row!r:.80}", "{sha256, size}")
    return Listed(name, digest, cast(int, size))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key that is there twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text}, which is no number")
