"""The archive: a zip with one spelling, so that the same files give the same bytes, and every byte is accounted for.

Files lie in it as they are, without compression: what a compressor writes depends on its version, may carry bits that
nothing reads, and can unpack to any size. ``manifest.json`` is the first and lists all others, which follow sorted by
name. Every header follows from the file that it is for (PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16).
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any
from zlib import crc32

from codesign.bundle.listing import MOST, MOST_MANIFEST, Listed, read_listing, require_names
from codesign.deploy.format.manifest import MANIFEST
from codesign.errors import ContractError, InputError

#: Headers before a file and in the directory at the end, and the end itself.
_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
#: Version of the zip format that is needed, no flags, stored, and midnight of the first day that a zip can name.
_KIND = (20, 0, 0, 0, 0x21)
#: Files of Unix, with its permissions: a script says itself that it is one.
_UNIX, _PLAIN, _SCRIPT = 3 << 8 | 20, 0o100644 << 16, 0o100755 << 16
_CHUNK = 2**20


@dataclass(frozen=True)
class _Entry:
    """A file in the archive: its name, its bytes' checksum and number, whether it is a script, and where it begins."""

    name: str
    crc: int
    size: int
    script: bool
    offset: int

    def local(self) -> bytes:
        """What stands before it."""
        name = self.name.encode()
        return _LOCAL.pack(b"PK\3\4", *_KIND, self.crc, self.size, self.size, len(name), 0) + name

    def central(self) -> bytes:
        """What the directory says of it."""
        name, mode = self.name.encode(), _SCRIPT if self.script else _PLAIN
        sizes = (self.crc, self.size, self.size, len(name), 0, 0, 0, 0, mode, self.offset)
        return _CENTRAL.pack(b"PK\1\2", _UNIX, *_KIND, *sizes) + name

    @property
    def next(self) -> int:
        """Where the one after it begins."""
        return self.offset + _LOCAL.size + len(self.name) + self.size


def pack(files: Mapping[str, Path], archive: Path) -> None:
    """Write an archive.

    Args:
        files: By name in the archive; ``manifest.json`` lists the others.
        archive: Its path.

    Raises:
        InputError: It would be too large, or a name is none that an archive may hold: nothing that ``unpack`` refuses.
        ContractError: The manifest does not list these files.
    """
    where, manifest = str(archive), files[MANIFEST].read_bytes()
    require_names(where, files.keys() - {MANIFEST})
    if len(manifest) > MOST_MANIFEST:
        found = f"a manifest of {len(manifest)} bytes"
        raise InputError(where, found, f"{MOST_MANIFEST} at most", "leave formats of many files out")
    listed = {MANIFEST: None} | {each.name: each for each in read_listing(where, manifest).files}
    if listed.keys() != files.keys():
        raise ContractError(
            where, f"files {sorted(listed.keys() ^ files.keys())} in one of both", "those in the manifest"
        )
    entries: list[_Entry] = []
    size = _END.size
    with archive.open("wb") as out:
        for name, row in listed.items():
            content = files[name].read_bytes()
            if row not in (None, Listed(name, hashlib.sha256(content).hexdigest(), len(content))):
                raise ContractError(f"{where}, {name}", "another content than the manifest lists")
            entry = _Entry(name, crc32(content), len(content), content[:2] == b"#!", entries[-1].next if entries else 0)
            size += len(entry.local()) + len(content) + len(entry.central())
            if size > MOST:
                raise InputError(where, "too large for a bundle", f"{MOST} bytes at most", "bundle fewer vectors")
            out.write(entry.local() + content)
            entries.append(entry)
        out.write(b"".join(part for _, part in _directory(entries)))


def unpack(archive: Path, folder: Path) -> Mapping[str, Any]:
    """Take an archive apart, if every byte of it is as it was packed; the manifest.

    Args:
        archive: Its path.
        folder: An empty folder; nothing is written elsewhere.

    Raises:
        InputError: It is damaged or no bundle; the message names the file inside.
    """
    with archive.open("rb") as file:
        size = archive.stat().st_size
        if size > MOST:
            raise InputError(str(archive), f"{size} bytes", f"a bundle, of {MOST} bytes at most")
        reader = _Reader(archive, file, folder)
        listing = read_listing(str(archive), reader.manifest())
        for listed in listing.files:
            reader.take(listed)
        for name, part in _directory(reader.entries):
            if file.read(len(part)) != part:
                reader.fail(name, "its entry in the archive's directory is not as it was packed")
        if file.read(1):
            reader.fail("the archive's end", "something follows")
    return listing.manifest


def _directory(entries: Sequence[_Entry]) -> Iterator[tuple[str, bytes]]:
    """The end of an archive, in parts: what each is about, and its bytes."""
    parts = [entry.central() for entry in entries]
    for entry, part in zip(entries, parts, strict=True):
        yield entry.name, part
    count, size = len(entries), sum(map(len, parts))
    yield "the archive's end", _END.pack(b"PK\5\6", 0, 0, count, count, size, entries[-1].next, 0)


class _Reader:
    """Reads one file of an archive after the other.

    Args:
        archive: Its path, for messages.
        file: It, open.
        folder: Where files go.
    """

    def __init__(self, archive: Path, file: BufferedReader, folder: Path) -> None:
        self.archive, self.file, self.folder = archive, file, folder
        self.entries: list[_Entry] = []

    def manifest(self) -> bytes:
        """The first file, which nothing but its checksum says anything of."""
        header = self.file.read(_LOCAL.size + len(MANIFEST))
        if not header.startswith(b"PK") and not header[2:].startswith(b"\3\4"):
            raise InputError(str(self.archive), f"no bundle: no archive that begins with {MANIFEST}", "a bundle")
        size = int.from_bytes(header[18:22], "little")
        if size > MOST_MANIFEST:
            self.fail(MANIFEST, f"{size} bytes in its header, more than any manifest has")
        content = self.file.read(size)
        if len(content) < size:
            self.fail(MANIFEST, "the archive ends in it, or its header is damaged")
        self._header(header, _Entry(MANIFEST, crc32(content), size, False, 0))
        self._write(MANIFEST).write_bytes(content)
        return content

    def take(self, listed: Listed) -> None:
        """The next file, which must be the one that the manifest lists."""
        offset = self.entries[-1].next
        header = self.file.read(_LOCAL.size + len(listed.name))
        crc, digest, left, script = 0, hashlib.sha256(), listed.size, False
        # Before a byte of it is read: another file, or one that is packed in another way, may have any length.
        stated = int.from_bytes(header[14:18], "little")
        self._header(header, _Entry(listed.name, stated, listed.size, False, offset), append=False)
        with self._write(listed.name).open("wb") as out:
            while left and (chunk := self.file.read(min(left, _CHUNK))):
                script = script or (left == listed.size and chunk[:2] == b"#!")
                crc, left = crc32(chunk, crc), left - len(chunk)
                digest.update(chunk)
                out.write(chunk)
        if left:
            self.fail(listed.name, f"the archive ends {left} bytes before it does")
        if digest.hexdigest() != listed.sha256:
            self.fail(listed.name, f"its SHA-256 is {digest.hexdigest()}, {listed.sha256} in the manifest")
        self._header(header, _Entry(listed.name, crc, listed.size, script, offset))

    def _header(self, found: bytes, entry: _Entry, append: bool = True) -> None:
        """Hold a header against what it must be."""
        if found != entry.local():
            self.fail(entry.name, _why(found, entry))
        if append:
            self.entries.append(entry)

    def _write(self, name: str) -> Path:
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def fail(self, name: str, what: str) -> None:
        """Raise.

        Raises:
            InputError: Always.
        """
        wanted = "the archive as codesign deploy wrote it"
        raise InputError(f"{self.archive}, {name}", what, wanted, "get it anew; nothing in it was run")


def _why(found: bytes, entry: _Entry) -> str:
    """What is wrong with a header."""
    if len(found) < len(entry.local()):
        return "the archive ends before it"
    signature, _, flags, method, *_ = _LOCAL.unpack_from(found)
    if signature != b"PK\3\4":
        return "it is not there: no file begins where it should"
    if flags & 1:
        return "it is encrypted, or its header is damaged"
    if method:
        return "it is compressed, or its header is damaged"
    if found[:14] + found[18:] == entry.local()[:14] + entry.local()[18:]:
        return "its content is not what its checksum says"
    name = found[_LOCAL.size :]
    if name != entry.name.encode():
        return f"{name.decode('ascii', 'backslashreplace')!r} is in its place, or its header is damaged"
    return "its header is damaged"
