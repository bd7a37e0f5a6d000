"""Every byte of an archive is accounted for: what is changed, cut off, added or made by others is refused by name."""

import io
import json
import re
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codesign.bundle.archive import pack, unpack
from codesign.bundle.listing import MOST, MOST_FILES, read_listing, require_names
from codesign.errors import CodesignError, InputError
from tests.bundle.archives import FILES, manifest, owners, packed, zipped


def refused(archive: Path, folder: Path) -> str:
    """What is said of an archive; nothing may be left beside the folder."""
    folder.mkdir(exist_ok=True)
    beside = sorted(folder.parent.rglob("*"))
    with pytest.raises(InputError) as error:
        unpack(archive, folder)
    inside = set(folder.rglob("*"))
    assert sorted({*folder.parent.rglob("*")} - inside) == [path for path in beside if path not in inside]
    return str(error.value)


def test_what_is_packed_comes_out(tmp_path: Path) -> None:
    archive = packed(tmp_path)
    (tmp_path / "out").mkdir()
    assert unpack(archive, tmp_path / "out") == manifest(FILES)
    found = {p.relative_to(tmp_path / "out").as_posix(): p for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert {name: path.read_bytes() for name, path in found.items() if name != "manifest.json"} == FILES


def test_others_read_it_too(tmp_path: Path) -> None:
    archive = packed(tmp_path)
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == ["manifest.json", *sorted(FILES)]
        assert {name: opened.read(name) for name in FILES} == FILES
        assert {info.date_time for info in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        modes = {info.filename: info.external_attr >> 16 for info in opened.infolist()}
    assert modes.pop("folder/run.sh") == stat.S_IFREG | 0o755
    assert set(modes.values()) == {stat.S_IFREG | 0o644}


def test_pythons_own_module_writes_the_same_bytes(tmp_path: Path) -> None:
    assert packed(tmp_path).read_bytes() == zipped(tmp_path, FILES, manifest(FILES)).read_bytes()


def test_any_byte_that_is_flipped_is_named(tmp_path: Path) -> None:
    archive = packed(tmp_path)
    whole, whose = archive.read_bytes(), owners(archive)
    assert len(whole) == len(whose)
    for place, owner in enumerate(whose):
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF if place % 2 else 1 << place // 2 % 8
        archive.write_bytes(flipped)
        said = refused(archive, tmp_path / "out")
        assert f"bundle.zip, {owner}: " in said or (place < 4 and "no archive that begins with" in said), place


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_other_bytes_are_refused(tmp_path: Path, data: st.DataObject) -> None:
    archive = packed(tmp_path)
    whole = archive.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    other = whole[:start] + data.draw(st.binary(max_size=8)) + whole[data.draw(st.integers(start, len(whole))) :]
    if other != whole:
        archive.write_bytes(other)
        refused(archive, tmp_path / "out")


def test_an_archive_that_ends_early_is_refused(tmp_path: Path) -> None:
    archive = packed(tmp_path)
    whole, whose = archive.read_bytes(), owners(archive)
    for size in range(0, len(whole), 7):
        archive.write_bytes(whole[:size])
        said = refused(archive, tmp_path / "out")
        assert whose[size] in said or "manifest.json" in said
    archive.write_bytes(whole + b"\n")
    assert "something follows" in refused(archive, tmp_path / "out")


NAMES = (
    *("../evil", "a/../../evil", "/evil", "a//b", "./a", "a/.", "..", "", "a\\b", "C:evil", "a\0b", "a\nb", "\u00e4"),
    *("a/", "x" * 2000, "~/../x", "a/ b"),
)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_leave_the_archive_are_refused(name: str, tmp_path: Path) -> None:
    files = {**FILES, name: b"evil"}
    with pytest.raises(InputError, match="a plain path inside the archive"):
        read_listing("test", json.dumps(manifest(files)).encode())
    if "\0" not in name:
        assert "a plain path" in refused(zipped(tmp_path, files, manifest(files)), tmp_path / "out")
        said = refused(zipped(tmp_path, {"../evil": b"evil", **FILES}, manifest(FILES)), tmp_path / "out")
        assert "other.zip, a.txt: '../ev" in said, "not listed, but there"


@pytest.mark.parametrize("names", [("a", "A"), ("f/x", "F/y"), ("a", "a/b"), ("b/c", "B"), ("Manifest.JSON",)])
def test_names_that_some_systems_take_for_one_another_are_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(InputError):
        require_names("test", names)
    with pytest.raises(InputError):
        packed(tmp_path, dict.fromkeys(names, b""))


@settings(max_examples=300)
@given(st.text(max_size=12))
def test_a_name_that_is_allowed_stays_inside(name: str) -> None:
    try:
        require_names("test", [name])
    except InputError:
        return
    folder = Path("/somewhere/deep")
    assert (folder / name).resolve().is_relative_to(folder)
    assert (folder / name) != folder
    assert name.isascii()


LISTS: dict[str, tuple[Callable[[], Any], str]] = {
    "no JSON": (lambda: "{", "not JSON"),
    "a list": (list, "schema 'None'"),
    "another version": (lambda: manifest(FILES, schema="codesign-deploy/3"), "'codesign-deploy/3'.*use the codesign"),
    "another format": (lambda: manifest(FILES, format="deploy.emulator"), "'deploy.emulator'"),
    "no files": (lambda: manifest({}), "no list of files"),
    "files that are none": (lambda: manifest(FILES, files=[1]), "no list of files"),
    "a row that is none": (lambda: manifest(FILES, files={"a": 3}), "file 'a'"),
    "a size that is none": (lambda: manifest(FILES, files={"a": {"sha256": "0" * 64, "size": True}}), "file 'a'"),
    "a negative size": (lambda: manifest(FILES, files={"a": {"sha256": "0" * 64, "size": -1}}), "file 'a'"),
    "a bomb": (lambda: manifest(FILES, files={"a": {"sha256": "0" * 64, "size": MOST + 1}}), "file 'a'"),
    "a digest that is none": (lambda: manifest(FILES, files={"a": {"sha256": "x", "size": 1}}), "file 'a'"),
}


@pytest.mark.parametrize("case", LISTS)
def test_manifests_that_are_none_are_refused(case: str) -> None:
    make, words = LISTS[case]
    given = make()
    content = given if isinstance(given, str) else json.dumps(given)
    with pytest.raises(InputError, match=words):
        read_listing("test", content.encode())


def test_manifests_with_a_key_twice_or_without_end_are_refused() -> None:
    row = f'{{"sha256": "{"0" * 64}", "size": 1}}'
    head = '{"schema": "codesign-deploy/2", "format": "deploy.bundle", "files": '
    for content, words in ((f'{head}{{"a": {row}, "a": {row}}}}}', "twice"), ("[" * 100_000, "not JSON")):
        with pytest.raises(InputError, match=words):
            read_listing("test", content.encode())
    many = {f"f{index}": {"sha256": "0" * 64, "size": 0} for index in range(MOST_FILES + 1)}
    with pytest.raises(InputError, match="too many files"):
        read_listing("test", json.dumps(manifest({}, files=many)).encode())


def test_bombs_are_refused_before_they_are_read(tmp_path: Path) -> None:
    files = {"bomb": bytes(10_000_000)}
    said = refused(zipped(tmp_path, files, manifest(files), zipfile.ZIP_DEFLATED), tmp_path / "out")
    assert "manifest.json: it is compressed" in said
    small = {"bomb": b"x"}
    archive = zipped(tmp_path, small, manifest(files))
    assert "bomb: " in refused(archive, tmp_path / "out")
    assert not (tmp_path / "out" / "bomb").exists(), "its header says another size than the manifest"
    huge = io.BytesIO(packed(tmp_path).read_bytes())
    huge.seek(18)
    huge.write(b"\xff\xff\xff\xff")
    (tmp_path / "huge.zip").write_bytes(huge.getvalue())
    assert "manifest.json: 4294967295 bytes" in refused(tmp_path / "huge.zip", tmp_path / "out")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.zip"
    with sparse.open("wb") as file:
        file.truncate(MOST + 1)
    assert f"{MOST + 1} bytes" in refused(sparse, tmp_path / "out")


def test_what_others_pack_differently_is_refused(tmp_path: Path) -> None:
    def changed(change: Callable[[zipfile.ZipInfo], None]) -> str:
        archive = tmp_path / "changed.zip"
        with zipfile.ZipFile(zipped(tmp_path, FILES, manifest(FILES))) as old, zipfile.ZipFile(archive, "w") as new:
            for info in old.infolist():
                content = old.read(info)
                if info.filename == "folder/run.sh":
                    change(info)
                new.writestr(info, content)
        return refused(archive, tmp_path / "out")

    def link(info: zipfile.ZipInfo) -> None:
        info.external_attr = (stat.S_IFLNK | 0o777) << 16

    def later(info: zipfile.ZipInfo) -> None:
        info.date_time = (2020, 1, 1, 0, 0, 0)

    def deflated(info: zipfile.ZipInfo) -> None:
        info.compress_type = zipfile.ZIP_DEFLATED

    assert "folder/run.sh: its entry in the archive's directory" in changed(link)
    assert "folder/run.sh: its header is damaged" in changed(later)
    assert "folder/run.sh: it is compressed" in changed(deflated)
    encrypted = bytearray(packed(tmp_path).read_bytes())
    encrypted[owners(tmp_path / "bundle.zip").index("a.txt") + 6] |= 1
    (tmp_path / "encrypted.zip").write_bytes(encrypted)
    assert "a.txt: it is encrypted" in refused(tmp_path / "encrypted.zip", tmp_path / "out")
    twice = zipped(tmp_path, FILES, manifest(FILES)).with_name("twice.zip")
    with pytest.warns(UserWarning), zipfile.ZipFile(twice, "w") as new:
        for name, content in [("manifest.json", json.dumps(manifest(FILES)).encode()), *[("a.txt", b"one\n")] * 2]:
            new.writestr(zipfile.ZipInfo(name), content)
    refused(twice, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"PK", b"hello world, this is no archive at all and long enough\n" * 9])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert re.search("manifest.json", refused(tmp_path / "file", tmp_path / "out"))


@pytest.mark.parametrize(("limit", "words"), [("MOST", "too large for a bundle"), ("MOST_MANIFEST", "a manifest of")])
def test_what_is_packed_is_as_large_as_what_is_unpacked(
    limit: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte: the largest that is written is read, and one byte more is neither written nor read."""
    archive = packed(tmp_path)
    size = archive.stat().st_size if limit == "MOST" else len(json.dumps(manifest(FILES)))
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(f"codesign.bundle.archive.{limit}", size)
    assert unpack(packed(tmp_path), tmp_path / "out") == manifest(FILES)
    whole = archive.read_bytes()
    monkeypatch.setattr(f"codesign.bundle.archive.{limit}", size - 1)
    with pytest.raises(InputError, match=words):
        packed(tmp_path)
    archive.write_bytes(whole)
    refused(archive, tmp_path / "less")


LISTINGS: dict[str, Callable[[], Any]] = {
    "no manifest": lambda: {},
    "no files": lambda: manifest({}),
    "another version": lambda: manifest(FILES, schema="codesign-deploy/3"),
    "a file less": lambda: manifest({name: FILES[name] for name in ("a.txt", "z")}),
    "a file more": lambda: manifest({**FILES, "more": b""}),
    "another content": lambda: manifest({**FILES, "a.txt": b"two\n"}),
}


@pytest.mark.parametrize("case", LISTINGS)
def test_nothing_is_packed_that_would_be_refused(case: str, tmp_path: Path) -> None:
    paths: dict[str, Path] = {}
    whole = {"manifest.json": json.dumps(LISTINGS[case]()).encode(), **FILES}
    for index, (name, content) in enumerate(whole.items()):
        paths[name] = tmp_path / f"given{index}"
        paths[name].write_bytes(content)
    with pytest.raises(CodesignError):
        pack(paths, tmp_path / "bundle.zip")


def test_unzip_agrees(tmp_path: Path) -> None:
    """Where it is installed."""
    archive = packed(tmp_path)
    try:
        done = subprocess.run(["unzip", "-tq", str(archive)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unzip on PATH")
    assert done.returncode == 0, done.stdout


def test_packing_leaves_other_names_out(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(InputError, match="a plain path"):
        pack({"manifest.json": tmp_path / "x", "../x": tmp_path / "x"}, tmp_path / "bundle.zip")
