"""A flow: an ordered list of passes with options, checked as a whole before anything runs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from codesign import tools
from codesign.errors import InputError, did_you_mean
from codesign.passes import STAGES, Pass, lookup, registry, stage
from codesign.setting import Setting, require_option, resolve_paths, targets
from codesign.shipped import is_file, read_shipped, shipped_names, shipped_path
from codesign.typed import parse

#: Collections that passes of all stages add to; who reads them wants what is there, not a certain entry.
SHARED = {"notices", "measures", "checks", "artifacts", "separation"}


@dataclass(frozen=True)
class Flow:
    """The steps of a build.

    Args:
        name: Name of the flow.
        summary: One line for listings.
        passes: Names of passes, in order.
        options: Options by pass name, where the flow sets other than a pass's defaults.
    """

    name: str
    summary: str
    passes: tuple[str, ...]
    options: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def extended(self, names: Sequence[str], where: str) -> "Flow":
        """With more passes, each before the first pass that reads what it writes, or else at the end of its stage.

        A stage that the flow does not have begins after the last pass of the stages before it.

        Args:
            names: The passes; those that the flow has already stay where they are.
            where: Who asks, for messages.

        Raises:
            InputError: There is no such pass.
        """
        passes = list(self.passes)
        for name in names:
            if name not in registry():
                raise InputError(f"{where}, pass {name!r}", "no such pass", "", did_you_mean(name, registry()))
            if name not in passes:
                passes.insert(_place_for(name, passes), name)
        return replace(self, passes=tuple(passes))

    def reading(self, named: Collection[str]) -> "Flow":
        """With the loader that a build file has options for in place of the flow's own, if it has none for that.

        Args:
            named: Passes that the build file names.
        """
        passes = list(self.passes)
        for index, own in enumerate(passes):
            if stage(own) != "load" or own in named:
                continue
            alike = [other for other in named if stage(other) == "load" and _same_source(own, other, passes)]
            passes[index] = alike[0] if alike else own
        return replace(self, passes=tuple(passes))


def _place_for(name: str, passes: Sequence[str]) -> int:
    """The index at which a pass is added to others."""
    # Of collections that all stages add to, only a reader of the very entry is one, or of all files that there are.
    written = {
        field if field.split(".")[0] in SHARED else field.split(".")[0] for field in lookup(name).writes
    } - SHARED
    made = any(field.startswith("artifacts.") for field in lookup(name).writes)
    alike = [index for index, other in enumerate(passes) if stage(other) == stage(name)]
    earlier = [index for index, other in enumerate(passes) if STAGES.index(stage(other)) < STAGES.index(stage(name))]
    end = (alike or earlier or [-1])[-1] + 1
    readers = [
        index
        for index, other in enumerate(passes)
        if index >= (alike[0] if alike else end)
        and any(
            read in written or read.split(".")[0] in written or (made and read == "artifacts")
            for read in (*lookup(other).reads, *lookup(other).optional)
        )
    ]
    return min([*readers, end])


def _same_source(own: str, other: str, passes: Sequence[str]) -> bool:
    """Whether a loader that a flow does not have gives what one of the flow's gives."""
    if other in passes or other not in registry():
        return False
    first, second = (set(lookup(name).writes) - SHARED for name in (own, other))
    return first <= second


def load_flow(name: str, folder: Path) -> Flow:
    """Read a flow by its shipped name, or by a path to a TOML file relative to ``folder``.

    Raises:
        InputError: There is no such flow, or a pass of it does not exist.
    """
    path = shipped_path("flow", name, folder)
    flow = read_shipped(Flow, path)
    for step in (*flow.passes, *flow.options):
        if step not in registry():
            raise InputError(f"flow {flow.name!r}, pass {step!r}", "no such pass", "", did_you_mean(step, registry()))
    for step, options in flow.options.items():
        resolve_paths(step, options, path.parent)
    return flow


def plan(flow: Flow, given: Sequence[Setting], present: Sequence[str] = ()) -> list[Pass]:
    """Make the passes of a flow, and check what is known of them before the first one runs, programs apart.

    Args:
        flow: The flow.
        given: Settings; a later one wins.
        present: Fields that the design has already.

    Raises:
        InputError: An unknown pass or option, a wrong type, a field that nothing writes, a missing file.
    """
    values: dict[str, dict[str, Any]] = {name: dict(flow.options.get(name, {})) for name in flow.passes}
    if not flow.passes or len(set(flow.passes)) < len(flow.passes):
        raise InputError(f"flow {flow.name!r}", f"passes {list(flow.passes)}", "at least one pass, and each only once")
    wheres = {(name, option): f"flow {flow.name!r}" for name in flow.passes for option in values[name]}
    for setting in given:
        names, option, entry = targets(setting, flow)
        for name in names:
            if name in values:
                one = {option: _with_entry(values[name].get(option, {}), entry, setting.value)}
                resolve_paths(name, one, setting.folder)
                values[name].update(one)
                wheres[name, option] = setting.where
            elif setting.explicit:
                raise _not_there(setting, name, flow, given)
            require_option(name, option, setting.where)
    steps = [parse(lookup(name), values[name], partial(_place, wheres, name)) for name in flow.passes]
    _check_fields(steps, flow, present)
    for step in steps:
        for path in step.files():
            if not is_file(path):
                found = f"{str(path)!r} is a folder" if path.is_dir() else f"file {str(path)!r} is not there"
                raise InputError(f"pass {step.name}", found, "an existing file")
    return steps


def require_programs(steps: Sequence[Pass]) -> None:
    """Miss a program before the first pass runs.

    Args:
        steps: Those that are to run: what a flow has after them needs none.

    Raises:
        InputError: One is not there.
    """
    for step in steps:
        for program in step.programs():
            tools.find(program)
        step.versions()


def _not_there(setting: Setting, name: str, flow: Flow, given: Sequence[Setting]) -> InputError:
    """The error of an option of a pass that the flow does not have, with what brings it there."""
    ways: list[str] = []
    if instead := [own for own in flow.passes if stage(own) == "load" and _same_source(own, name, flow.passes)]:
        sources = {other.where for other in given if other.key.startswith(f"{instead[0]}.")}
        ways.append(f"take the options of {instead[0]}, which is in its place, out of {', '.join(sorted(sources))}")
    elif stage(name) != "load":
        ways.append(f"add it by --also {name}")
    if having := [other for other in shipped_names("flow") if name in load_flow(other, Path()).passes]:
        ways.append(f"choose a flow that has it by --flow: {', '.join(having)}")
    found, where = f"{name} is not in flow {flow.name!r}", f"{setting.where}, {setting.key}"
    return InputError(where, found, "one of its passes", "; or ".join(ways))


def _with_entry(before: Any, entry: str, value: Any) -> Any:
    """An option's new value, from the one before: another entry of a table, or another value."""
    if not entry:
        return value
    if not isinstance(before, dict):
        return before  # parsing it will say so
    return {**cast("dict[str, Any]", before), entry: value}


def _place(wheres: Mapping[tuple[str, str], str], name: str, option: str) -> str:
    """Where an option was set, for messages."""
    return f"{wheres.get((name, option), 'build file')}, {name}"


def _covered(name: str, there: Collection[str]) -> bool:
    """Whether a field is there: by itself, in its whole collection, or as a collection with an entry.

    Artifacts that a pass may or may not write are not there for another one.
    """
    field, _, entry = name.partition(".")
    whole = field in there and not (entry and field == "artifacts")
    return name in there or whole or any(other.startswith(f"{name}.") for other in there)


def _check_fields(steps: Sequence[Pass], flow: Flow, present: Sequence[str]) -> None:
    """Every field that a pass reads must be there already, or be written by a pass before it."""
    there = set(present)
    for step in steps:
        for names, writers in unmet(step, there):
            hint = f"put one of these before it: {', '.join(writers)}" if writers else ""
            found = f"{step.name} reads {' or '.join(map(repr, names))}, which no pass before it writes"
            raise InputError(f"flow {flow.name!r}", found, hint)
        there.update(step.writes)


def unmet(step: Pass | type[Pass], there: Collection[str]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """What a pass reads that is not there: fields of which one would do, each time with the passes that write one."""
    for names in (*((name,) for name in step.reads), *([step.any_of] if step.any_of else [])):
        if not any(_covered(name, there) for name in names):
            others = {other: kind.writes for other, kind in registry().items() if other != step.name}
            yield names, [other for other, writes in others.items() if any(_covered(n, writes) for n in names)]
