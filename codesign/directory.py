"""The build directory: its lock, its cache, and what is published in it."""

import fcntl
import json
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from codesign.errors import InputError
from codesign.store import WRITING, Store, read_json, write_whole

#: Folder with the cache, inside the build directory.
CACHE = ".codesign"
#: The report's files; a directory without them is not a finished build.
REPORT_JSON, REPORT_MD, REPORT_HTML = "report.json", "report.md", "report.html"
#: Inside the cache: the design that a finished build ended with, and the passes that an unfinished one has not done.
DESIGN, LEFT = "design.json", "left.json"
#: And the paths of what was published, and the formats that are being put out with a new report.
PUBLISHED, PENDING = "published.json", "pending.json"
#: Version of report.json: raised when a key is taken away or changes its meaning; new keys may come without it.
SCHEMA = "codesign-report/4"

#: What a report of this schema is taken to have that was written before these keys were.
ADDED: dict[str, Any] = {"allowed": {}, "classes": [], "confusion": {}, "roc": [], "finetune": None}


@contextmanager
def opened(folder: Path) -> Generator[Store]:
    """Lock a build directory and open its store; what a killed build left half done is cleared away.

    Raises:
        InputError: Another build is using it, it holds other things, or it can't be written.
    """
    try:
        if folder.is_dir() and any(folder.iterdir()) and not (folder / CACHE).is_dir():
            raise InputError(
                str(folder), "a folder that holds other things", "a new or empty folder, or a build's", "--out"
            )
        (folder / CACHE).mkdir(parents=True, exist_ok=True)
        lock = (folder / CACHE / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise InputError(
            str(folder), f"cannot be used: {error.strerror}", "a folder that can be written", "--out"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise InputError(
                str(folder), f"in use by another build (process {owner})", "", "wait for it, or choose another --out"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        shutil.rmtree(folder / CACHE / "scratch", ignore_errors=True)
        for left in (*folder.glob(f"{WRITING}*"), *(folder / CACHE).rglob(f"{WRITING}*")):
            left.unlink(missing_ok=True)
        yield Store(folder / CACHE)


def withdraw(folder: Path) -> None:
    """Take published files away before a build starts, the report first: a killed build must not look finished."""
    for name in (PENDING, DESIGN):
        (folder / CACHE / name).unlink(missing_ok=True)
    withdraw_report(folder)
    for name in _published(folder):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    (folder / CACHE / PUBLISHED).unlink(missing_ok=True)


def withdraw_report(folder: Path) -> None:
    """Take the report away: without it, a directory is that of no finished build."""
    for name in (REPORT_JSON, REPORT_MD, REPORT_HTML):
        (folder / name).unlink(missing_ok=True)


def _published(folder: Path) -> list[str]:
    """Paths of what lies in a build directory for people, but for the report."""
    found = read_json(folder / CACHE / PUBLISHED)
    return cast(list[str], found) if isinstance(found, list) else []


def publish(folder: Path, store: Store, artifacts: Mapping[str, Mapping[str, Any]]) -> None:
    """Write artifacts of a build, beside those that are there.

    Args:
        folder: The build directory.
        store: Where their content is.
        artifacts: ``Artifact`` records as JSON, by name.
    """
    names = dict.fromkeys([*_published(folder), *(item["path"] for item in artifacts.values())])
    write_whole(folder / CACHE / PUBLISHED, json.dumps(list(names)).encode())
    for item in artifacts.values():
        store.take_out(item["digest"], folder / item["path"], item["folder"])


def note_left(folder: Path, names: Sequence[str]) -> None:
    """Write down which passes a build has not done yet."""
    write_whole(folder / CACHE / LEFT, json.dumps(names).encode())


def read_report(folder: Path) -> dict[str, Any]:
    """The report of a finished build.

    Raises:
        InputError: The folder holds none.
    """
    path = folder / REPORT_JSON
    wanted = "the directory of a finished build"
    if (folder / CACHE / PENDING).is_file():
        raise InputError(str(folder), "stopped while formats were put out", wanted, "run codesign deploy again")
    if not path.is_file():
        found = f"no report.json{_left(folder)}" if folder.is_dir() else "no such folder"
        raise InputError(str(folder), found, wanted, f"run: codesign build BUILD.toml --out {folder}")
    try:
        report = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(str(path), f"not JSON: {error}") from error
    table = cast(dict[str, Any], report) if isinstance(report, dict) else {}
    whole = {"quality", "allocation", "checks", "environment", "layers", "measures", "passes"} <= set(table)
    if not whole or table.get("schema") != SCHEMA:
        same = table.get("schema") == SCHEMA
        found = "damaged: keys are missing" if same else "a report of another version of codesign"
        raise InputError(str(path), found, SCHEMA, "build again")
    return completed(table)


def completed(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report with the keys that came after it was written, or after what it is made of was."""
    quality = {name: {"unit": "", "errors": None, **value} for name, value in report["quality"].items()}
    environment = {"command": None, "name": "", **report["environment"]}
    return {**ADDED, **report, "quality": quality, "environment": environment}


def _left(folder: Path) -> str:
    """Which passes a build has not done, for messages; empty if that is not known."""
    left = read_json(folder / CACHE / LEFT)
    if not isinstance(left, list) or not left:
        return ""
    first, *rest = cast(list[str], left)
    return f": {first} has not run" + (f", nor have {', '.join(rest)}" if rest else "")
