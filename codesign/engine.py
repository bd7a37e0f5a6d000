"""Running a plan: each pass's result is kept under the hash of all it depends on, so nothing is done twice."""

import json
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_type_hints

from codesign import tools
from codesign.design import COLLECTIONS, Design
from codesign.errors import CodesignError
from codesign.passes import Context, Pass, Progress, apply, silent, to_ask
from codesign.sources import distribution_version, source_digests
from codesign.store import Store, digest_bytes, digest_file, digest_json, read_json, write_whole
from codesign.typed import adapter

_HINTS = get_type_hints(Design)
#: Fields as JSON; a collection is a dictionary of entries.
Fields = dict[str, Any]


@dataclass(frozen=True)
class PassRun:
    """What became of a pass in a build."""

    name: str
    status: Literal["ran", "cached"]
    seconds: float
    reason: str


class Observer(Protocol):
    """Told what the engine does."""

    def started(self, step: Pass, reason: str) -> Progress:
        """A pass begins; the progress it may report to."""
        ...

    def finished(self, step: Pass, run: PassRun) -> None:
        """A pass is over, or was found in the cache."""
        ...


class Quiet:
    """An observer that says nothing."""

    def started(self, step: Pass, reason: str) -> Progress:
        """Nothing to say."""
        return silent

    def finished(self, step: Pass, run: PassRun) -> None:
        """Nothing to say."""


def encode(design: Design, store: Store) -> Fields:
    """A design as JSON, its arrays in the store."""
    return {
        name: adapter(_HINTS[name]).dump_python(value, mode="json", context={"store": store})
        for name, value in vars(design).items()
    }


def decode(fields: Mapping[str, Any], store: Store) -> Design:
    """A design from JSON."""
    return Design(
        {name: adapter(_HINTS[name]).validate_python(value, context={"store": store}) for name, value in fields.items()}
    )


@dataclass(frozen=True)
class Engine:
    """Runs passes over a store.

    Args:
        store: Blobs, results and unfinished work.
        seed: The build's seed.
        observer: Told what happens.
        force: Names of passes to run even if their result is known.
    """

    store: Store
    seed: int
    observer: Observer
    force: frozenset[str] = frozenset()

    def run(self, steps: Sequence[Pass], fields: Fields, later: Sequence[Pass] = ()) -> tuple[Fields, list[PassRun]]:
        """Run a plan from given fields.

        Args:
            steps: The passes.
            fields: What is there already.
            later: Passes that will be run after these; they are asked now whether they refuse what is found.

        Returns:
            The fields at the end, and what became of each pass.
        """
        runs: list[PassRun] = []
        asked: set[str] = set()
        for index, step in enumerate(steps):
            self._ask([*steps[index:], *later], fields, asked)
            fields, run = self.step(step, fields)
            self.observer.finished(step, run)
            runs.append(run)
        return fields, runs

    def _ask(self, steps: Sequence[Pass], fields: Fields, asked: set[str]) -> None:
        """Let passes to come refuse what has been found, once, as soon as it is there."""
        for step, seen in to_ask(steps, fields, asked):
            try:
                step.refuse(seen(decode({name: fields[name] for name in step.early}, self.store)))
            except CodesignError as error:
                error.add_note(f"in pass {step.name}, asked beforehand")
                raise

    def step(self, step: Pass, fields: Fields) -> tuple[Fields, PassRun]:
        """Run one pass, or take its result from the cache."""
        begin = time.perf_counter()
        depends = self._depends(step, fields)
        key = digest_json(depends)
        place = self.store.folder / "results" / f"{key}.json"
        changes = None if step.name in self.force else self._known(place)
        if changes is not None:
            self._remember(step, depends)
            return _merged(fields, changes), PassRun(
                step.name, "cached", time.perf_counter() - begin, "nothing changed"
            )
        reason = "forced" if step.name in self.force else self._reason(step, depends)
        progress = self.observer.started(step, reason)
        work = self.store.folder / "work" / key
        work.mkdir(parents=True, exist_ok=True)
        view = decode({name: fields[name] for name in _read_fields(step) if name in fields}, self.store)
        try:
            written = apply(step, view, Context(self.store, work, self.seed, progress))
        except CodesignError as error:
            error.add_note(f"in pass {step.name}")
            raise
        changes = encode(Design(written), self.store)
        write_whole(place, json.dumps({"changes": changes, "sha256": digest_json(changes)}).encode())
        self._remember(step, depends)
        shutil.rmtree(work, ignore_errors=True)
        return _merged(fields, changes), PassRun(step.name, "ran", time.perf_counter() - begin, reason)

    def _depends(self, step: Pass, fields: Fields) -> dict[str, str]:
        """Everything the result depends on, each with its digest or version."""
        options = adapter(type(step)).dump_python(step, mode="json")
        paths = {name for name, hint in get_type_hints(type(step)).items() if hint in (Path, Path | None)}
        depends = {f"option {name}": json.dumps(value) for name, value in options.items() if name not in paths}
        for path in step.files():  # by name, not by place: a moved project has not changed
            depends[f"file {path.name}"] = depends.get(f"file {path.name}", "") + digest_file(path)
        depends |= {name: _digest(fields, name) for name in (*step.reads, *step.optional)}
        depends |= {f"source {name}": digest for name, digest in source_digests(type(step).__module__).items()}
        depends |= {f"{name} version": distribution_version(name) for name in ("numpy", *step.distributions)}
        depends |= {f"{name} version": tools.version(name) for name in step.programs()}
        depends |= {f"{name} version": said for name, said in step.versions().items()}
        depends["python version"] = platform.python_version()
        return depends | ({"seed": str(self.seed)} if step.seeded else {})

    def _known(self, place: Path) -> Fields | None:
        """A stored result, if it is whole."""
        kept = read_json(place)
        if not isinstance(kept, dict):
            return None
        changes = cast(Fields, kept).get("changes")
        if not isinstance(changes, dict) or digest_json(changes) != cast(Fields, kept).get("sha256"):
            return None
        return None if self.store.missing(changes) else cast(Fields, changes)

    def _reason(self, step: Pass, depends: Mapping[str, str]) -> str:
        """Why a pass has to run: what changed since it last did."""
        place = self._memory(step)
        before = read_json(place)
        if not isinstance(before, dict):
            return "first run"
        before = cast(dict[str, str], before)
        changed = [name for name in {**before, **depends} if before.get(name) != depends.get(name)]
        return f"changed: {', '.join(changed)}" if changed else "result was gone"

    def _remember(self, step: Pass, depends: Mapping[str, str]) -> None:
        content = json.dumps(depends).encode()
        place = self._memory(step)
        if not place.is_file() or digest_bytes(place.read_bytes()) != digest_bytes(content):
            write_whole(place, content)

    def _memory(self, step: Pass) -> Path:
        return self.store.folder / "last" / f"{step.name}.json"


def _read_fields(step: Pass) -> list[str]:
    return list(dict.fromkeys(name.split(".")[0] for name in (*step.reads, *step.optional)))


def _digest(fields: Fields, name: str) -> str:
    field, _, key = name.partition(".")
    value = fields.get(field)
    if field in COLLECTIONS and not key and value is not None:
        return digest_json([list(value), value])  # which entry is the first can matter
    return digest_json(value.get(key) if key and value is not None else value)


def _merged(fields: Fields, changes: Fields) -> Fields:
    merged = dict(fields)
    for name, value in changes.items():
        merged[name] = {**merged.get(name, {}), **value} if name in COLLECTIONS else value
    return merged
