"""The store: files whole or not at all, folders by a listing anyone can compute, arrays without pickles."""

import hashlib
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from codesign.store import Store, digest_bytes, digest_file, digest_json, write_whole

#: Names that sort differently as text and as path parts ("a.b" and "a/b").
PARTS = st.text("ab.-_0", min_size=1, max_size=4).filter(lambda part: part.strip("."))
TREES = st.dictionaries(st.lists(PARTS, min_size=1, max_size=3).map("/".join), st.binary(max_size=40), max_size=8)
ARRAYS = hnp.arrays(
    st.sampled_from([np.dtype(kind) for kind in ("f4", "f8", "i8", "u1", "bool")]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


def write_tree(folder: Path, tree: dict[str, bytes]) -> None:
    """Files by relative path; a path below another file is left out."""
    for relative, content in sorted(tree.items(), key=lambda item: item[0].count("/")):
        path = folder / relative
        if not path.exists() and all(not parent.is_file() for parent in path.parents):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def independent_listing(folder: Path) -> str:
    """What ``find -type f | LC_ALL=C sort | xargs sha256sum`` prints, with hashlib alone."""
    names = sorted(os.path.relpath(Path(base, name), folder) for base, _, files in os.walk(folder) for name in files)
    return "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)


def refuse(*arguments: Any) -> NoReturn:
    """A full disk."""
    raise OSError(28, "No space left on device")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_failure_while_writing_leaves_the_old_file(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse)
        with pytest.raises(OSError, match="No space"):
            write_whole(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_while_writing_a_new_file_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(OSError, match="No space"):
            write_whole(tmp_path / "deep" / "file", b"new")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_write_whole_makes_folders_and_replaces(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b", b"1")
    write_whole(tmp_path / "a" / "b", b"22")
    assert (tmp_path / "a" / "b").read_bytes() == b"22"


@given(content=st.binary(max_size=200))
def test_blobs_are_named_by_their_sha256(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name))
        digest = store.put(content)
        assert digest == store.put(content) == hashlib.sha256(content).hexdigest() == digest_bytes(content)
        assert store.path(digest).read_bytes() == content
        assert digest_file(store.path(digest)) == digest


def test_json_digest_does_not_depend_on_key_order() -> None:
    assert digest_json({"a": 1, "b": [2]}) == digest_json({"b": [2], "a": 1})
    assert digest_json({"a": 1}) != digest_json({"a": 2})


@given(tree=TREES)
def test_folder_digest_is_what_anyone_computes(tree: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, store = Path(name, "folder"), Store(Path(name, "store"))
        folder.mkdir()
        write_tree(folder, tree)
        digest = store.put_folder(folder)
        assert store.path(digest).read_text() == independent_listing(folder)
        assert digest == hashlib.sha256(independent_listing(folder).encode()).hexdigest()


@given(tree=TREES)
def test_folder_comes_out_as_it_went_in(tree: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, store = Path(name, "folder"), Store(Path(name, "store"))
        folder.mkdir()
        write_tree(folder, {"there": b"", **tree})
        place = Path(name, "out", "place")
        store.take_out(store.put_folder(folder), place, folder=True)
        assert independent_listing(place) == independent_listing(folder)
        assert list((Path(name) / "store" / "scratch").iterdir()) == []


def test_a_program_in_a_folder_stays_a_program(store: Store, tmp_path: Path) -> None:
    """hls4ml runs ``./build_lib.sh`` of the project that it is given."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "folder" / "run.sh").chmod(0o755)
    store.take_out(store.put_folder(tmp_path / "folder"), tmp_path / "place", folder=True)
    assert os.access(tmp_path / "place" / "run.sh", os.X_OK)


@pytest.mark.parametrize("before", ["nothing", "file", "folder"])
def test_take_out_of_a_file_replaces(before: str, store: Store, tmp_path: Path) -> None:
    put_before(tmp_path / "place", before)
    store.take_out(store.put(b"new"), tmp_path / "place", folder=False)
    assert (tmp_path / "place").read_bytes() == b"new"


@pytest.mark.parametrize("before", ["nothing", "file", "folder"])
def test_take_out_of_a_folder_replaces(before: str, store: Store, tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "new").write_bytes(b"new")
    put_before(tmp_path / "place", before)
    store.take_out(store.put_folder(tmp_path / "folder"), tmp_path / "place", folder=True)
    assert [path.relative_to(tmp_path / "place").as_posix() for path in (tmp_path / "place").rglob("*")] == [
        "deep",
        "deep/new",
    ]


def put_before(place: Path, kind: str) -> None:
    """Something that stands where an artifact goes."""
    if kind == "file":
        place.write_bytes(b"old")
    elif kind == "folder":
        place.mkdir()
        (place / "old").write_bytes(b"old")


@given(array=ARRAYS)
def test_arrays_come_back_bit_for_bit_and_read_only(array: npt.NDArray[Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name))
        found = store.get_array(store.put_array(array))
        assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
        assert not found.flags.writeable


class Dangerous:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def test_an_object_array_is_never_stored(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        store.put_array(np.array([Dangerous(tmp_path / "marker")], dtype=object))


@pytest.mark.parametrize("kind", ["object array", "bare pickle"])
def test_a_pickle_in_the_store_is_refused_and_not_run(kind: str, store: Store, tmp_path: Path) -> None:
    marker, file = tmp_path / "marker", tmp_path / "file.npy"
    if kind == "object array":
        np.save(file, np.array([Dangerous(marker)], dtype=object), allow_pickle=True)
    else:
        file.write_bytes(pickle.dumps(Dangerous(marker)))
    digest = store.put(file.read_bytes())
    with pytest.raises(ValueError, match=r"[Oo]bject|pickle"):
        store.get_array({"array": digest})
    assert not marker.exists()


def test_missing_finds_a_deleted_blob_wherever_it_is_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_bytes(b"inside")
    listing, array, file = store.put_folder(tmp_path / "folder"), store.put_array(np.arange(3)), store.put(b"file")
    value = {
        "deep": [{"parameters": {"w": array}}],
        "artifacts": {"a": {"digest": file}, "f": {"digest": listing, "folder": True}},
    }
    assert not store.missing(value)
    for digest in (listing, array["array"], file, digest_bytes(b"inside")):
        content = store.path(digest).read_bytes()
        store.path(digest).unlink()
        assert store.missing(value)
        store.put(content)
    assert not store.missing(value)


def test_scratch_is_removed_even_after_a_failure(store: Store) -> None:
    with pytest.raises(RuntimeError), store.scratch() as scratch:
        (scratch / "file").write_bytes(b"1")
        raise RuntimeError
    assert list((store.folder / "scratch").iterdir()) == []
