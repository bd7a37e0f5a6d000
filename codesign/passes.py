"""The pass protocol, and the registry that finds passes by module name and by entry point.

A pass is a frozen dataclass: its fields are its options. To add one, write one file in a stage's folder,
or name a class under the entry point group ``codesign.passes`` of another package.
"""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

from codesign.design import COLLECTIONS, FIELDS, Design
from codesign.errors import ContractError, InputError, did_you_mean
from codesign.plugins import by_entry_point, claimed, in_folder
from codesign.store import Store

#: The pipeline, in order; each stage is a folder.
STAGES = (
    *("load", "sensitivity", "allocate", "finetune", "export", "estimate"),
    *("transpile", "verify", "synthesize", "place", "report", "deploy"),
)
ENTRY_POINTS = "codesign.passes"


class Progress(Protocol):
    """Told how far a long pass is."""

    def __call__(self, task: str, done: int, total: int) -> None:
        """``done`` of ``total`` steps of a task are over."""
        ...


def silent(task: str, done: int, total: int) -> None:
    """A progress that nobody sees."""


@dataclass(frozen=True)
class Context:
    """What a pass may use beside the design.

    Args:
        store: Where artifacts go.
        work: A folder of the pass's own that survives a kill, until the pass has finished.
        seed: For everything random.
        progress: Told how far the pass is.
    """

    store: Store
    work: Path
    seed: int = 0
    progress: Progress = silent


class Pass(ABC):
    """One step of a flow: reads fields of the design, returns the fields that it writes.

    ``reads``, ``optional`` (read if there), ``early`` and ``writes`` are fields of ``Design``; ``field.key`` is one
    entry of a collection. A pass is pure: the same fields, options, seed, files and tool versions give the same result.
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()
    #: Optional fields of which at least one must be there.
    any_of: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    #: Fields on whose account the pass may refuse the design, long before its turn.
    early: ClassVar[tuple[str, ...]] = ()
    #: Python distributions whose version the result depends on.
    distributions: ClassVar[tuple[str, ...]] = ()
    #: Whether the result depends on the seed.
    seeded: ClassVar[bool] = False
    #: Whether all it does is give the passes after it another target, from that target alone.
    moves_target: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            cls.name = ".".join(cls.__module__.split(".")[-2:])

    def files(self) -> tuple[Path, ...]:
        """Files outside the build directory that the pass reads; their content counts, not their path."""
        return ()

    def programs(self) -> tuple[str, ...]:
        """Programs that must be on PATH."""
        return ()

    def versions(self) -> Mapping[str, str]:
        """Which versions of tools that it looks for by itself the pass would use now, by tool.

        Raises:
            InputError: One is not there.
        """
        return {}

    def refuse(self, design: Design) -> None:  # noqa: B027  (most passes refuse nothing)
        """Raise if the pass will not be able to take what comes; asked before anything else is done with it.

        Args:
            design: Holds the fields of ``early``.

        Raises:
            InputError: It will not.
        """

    @abstractmethod
    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Do the work.

        Args:
            design: Holds what the pass declared to read, and nothing else.
            context: Store, seed, progress.

        Returns:
            Every declared field, and only those.
        """

    def __call__(self, design: Design, context: Context | None = None) -> Design:
        """Run the pass by itself on a design; without a context, in a temporary folder."""
        if context is not None:
            return design.updated(apply(self, design, context))
        with tempfile.TemporaryDirectory() as folder:
            return design.updated(apply(self, design, Context(Store(Path(folder)), Path(folder))))


def stage(name: str) -> str:
    """The stage of a pass's name."""
    return name.split(".")[0]


def to_ask(
    steps: Sequence[Pass], present: Container[str], asked: set[str]
) -> Iterator[tuple[Pass, Callable[[Design], Design]]]:
    """Passes whose turn it is to refuse the design: all that they look at is there for the first time.

    Args:
        steps: Passes that have not run.
        present: Fields of the design that are there.
        asked: Names of passes that had their turn; grows.

    Returns:
        Each with what makes the design as the pass will see it, of one with the fields of ``early``.
    """
    movers: list[Pass] = []
    for step in steps:
        if step.name not in asked and step.early and all(name in present for name in step.early):
            asked.add(step.name)
            yield step, partial(_moved, tuple(movers) if "target" in step.early else ())
        if step.moves_target:
            movers.append(step)


def _moved(movers: Sequence[Pass], design: Design) -> Design:
    for mover in movers:
        design = mover(design)
    return design


def apply(step: Pass, design: Design, context: Context) -> Mapping[str, object]:
    """Run a pass on what it declared to read, and hold it to what it declared to write.

    Raises:
        ContractError: It wrote something else, or left the design inconsistent.
    """
    changes = step.run(_view(step, design), context)
    written = _names(changes)
    for name in written:
        if name not in step.writes and name.split(".")[0] not in step.writes:
            raise ContractError(f"pass {step.name}", f"wrote {name!r}", f"only {', '.join(step.writes)}")
    for name in step.writes:
        if name not in written and name not in changes:
            raise ContractError(f"pass {step.name}", f"did not write {name!r}, which it declared")
    design.updated(changes).verify()
    return changes


def _names(changes: Mapping[str, object]) -> list[str]:
    """Written fields, collections by entry."""
    names: list[str] = []
    for field, value in changes.items():
        names += [f"{field}.{key}" for key in cast(dict[str, object], value)] if field in COLLECTIONS else [field]
    return names


def _view(step: Pass, design: Design) -> Design:
    """The design with nothing but what the pass declared to read."""
    shown: dict[str, Any] = {}
    for name in (*step.reads, *step.optional):
        field, _, key = name.partition(".")
        if not design.has(field):
            continue
        value = getattr(design, field)
        if not key:
            shown[field] = value
        elif key in value:
            shown[field] = {**shown.get(field, {}), key: value[key]}
    return Design(shown)


@cache
def registry() -> dict[str, type[Pass]]:
    """Every pass by name.

    Raises:
        ContractError: Two owners claim one name, or a class declares a field that the design does not have.
    """
    found: dict[str, type[Pass]] = {}
    for room in STAGES:
        for step in in_folder(f"codesign.{room}", Pass).values():
            _register(found, step)
    for _, step in by_entry_point(ENTRY_POINTS, "pass", Pass):
        _register(found, step)
    return found


def lookup(name: str) -> type[Pass]:
    """A pass by name.

    Raises:
        InputError: There is none of that name.
    """
    known = registry()
    if name not in known:
        raise InputError(f"pass {name!r}", "no such pass", "", did_you_mean(name, known))
    return known[name]


def _register(found: dict[str, type[Pass]], step: type[Pass]) -> None:
    if found.setdefault(step.name, step) is not step:
        raise claimed(f"pass {step.name!r}", found[step.name], step)
    if stage(step.name) not in STAGES:
        raise ContractError(f"pass {step.name!r}", f"stage {stage(step.name)!r}", f"one of {', '.join(STAGES)}")
    for name in (*step.reads, *step.optional, *step.early, *step.writes):
        if name.split(".")[0] not in FIELDS:
            raise ContractError(f"pass {step.name}", f"unknown field {name!r}", ", ".join(FIELDS))
