"""Settings: what build files and ``--set`` say of passes' options."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_origin, get_type_hints

from codesign.errors import InputError, did_you_mean
from codesign.passes import STAGES, lookup, registry, stage

if TYPE_CHECKING:
    from codesign.flow import Flow


@dataclass(frozen=True)
class Setting:
    """One option from a build file or the command line.

    Args:
        key: ``stage.option``, for every pass of the stage that has it, or ``stage.method.option``; one entry of an
            option that is a table by one more name, as in ``allocate.budgets.weight_bits``.
        value: Its untyped value.
        where: The file or flag it came from, for messages.
        folder: What relative paths start from.
        explicit: Whether it must apply; a build file may set options for flows that are not used now.
    """

    key: str
    value: Any
    where: str
    folder: Path
    explicit: bool = False


def settings(table: Mapping[str, Any], where: str, folder: Path) -> list[Setting]:
    """The settings of a build file's stage tables (``[allocate]`` or ``[load.torch]``).

    Raises:
        InputError: A table is not a stage's, or a key is not a table.
    """
    found: list[Setting] = []
    for room, options in table.items():
        if room not in STAGES:
            raise InputError(where, f"unknown key {room!r}", "", did_you_mean(room, STAGES))
        if not isinstance(options, dict):
            raise InputError(where, f"{room} = {options!r}", f"a table of options: [{room}]")
        for name, value in cast(dict[str, Any], options).items():
            if isinstance(value, dict) and f"{room}.{name}" in registry():
                inner = cast(dict[str, Any], value)
                found += [Setting(f"{room}.{name}.{key}", item, where, folder) for key, item in inner.items()]
            else:
                found.append(Setting(f"{room}.{name}", value, where, folder))
    return found


def assigned(texts: Sequence[str]) -> list[Setting]:
    """What ``--set`` says.

    Raises:
        InputError: It is no assignment.
    """
    return [Setting(key, value, "--set", Path.cwd(), explicit=True) for key, value in map(assignment, texts)]


def assignment(text: str) -> tuple[str, Any]:
    """``key=value``; the value as TOML has it, or else as text.

    Raises:
        InputError: It is none.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InputError(f"--set {text!r}", "not an assignment", "PASS.OPTION=VALUE")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def seen_from(setting: Setting, flow: "Flow", folder: Path) -> Setting:
    """The same setting for a shell in another folder: a relative path starts there.

    Args:
        setting: A setting.
        flow: What it is of.
        folder: The folder.

    Raises:
        InputError: Its key means nothing.
    """
    names, option, _ = targets(setting, flow)
    if not (isinstance(setting.value, str) and any(_is_path(name, option) for name in names)):
        return setting
    return replace(setting, value=relative(setting.value, setting.folder, folder), folder=folder)


def relative(path: str, start: Path, folder: Path) -> str:
    """A path from one folder as it is called in another; an absolute one stays as it is."""
    if Path(path).is_absolute():
        return path
    # Links to folders are followed, for what is above them is above what they mean; a link to a file keeps its name.
    place = start / path
    return os.path.relpath(place.parent.resolve() / place.name, folder.resolve())


def targets(setting: Setting, flow: "Flow") -> tuple[list[str], str, str]:
    """What a setting's key means.

    Returns:
        The passes: one by name, or all of a stage that have the option; the option; and the entry of it, if it is a
        table and one is named.
    """
    parts = setting.key.split(".")
    if len(parts) < 2 or parts[0] not in STAGES:
        hint = did_you_mean(parts[0], STAGES)
        raise InputError(
            f"{setting.where}, {setting.key}", "no such stage", f"stage.option or stage.method.option; {hint}"
        )
    named = ".".join(parts[:2])
    if named in registry():
        if len(parts) == 2:
            raise InputError(f"{setting.where}, {setting.key}", "a pass, not an option", f"{setting.key}.OPTION")
        return [named], parts[2], _entry([named], parts[2], parts[3:], setting)
    option = parts[1]
    methods = [name for name in flow.passes if stage(name) == parts[0]]
    if not methods and not setting.explicit:  # a build file serves several flows
        return [], option, ""
    if not methods:
        raise InputError(f"{setting.where}, {setting.key}", f"no pass of this stage in flow {flow.name!r}", "")
    having = [name for name in methods if option in _options(name)]
    if not having:
        known = sorted({option for name in methods for option in _options(name)})
        # With a further name, the middle one may have been meant as a pass.
        passes = [name.split(".")[1] for name in registry() if stage(name) == parts[0]] if len(parts) > 2 else []
        hint = _of_others(parts[0], option) or did_you_mean(option, [*known, *passes])
        raise InputError(f"{setting.where}, {', '.join(methods)}", f"unknown option {option!r}", "", hint)
    return having, option, _entry(having, option, parts[2:], setting)


def _of_others(room: str, option: str) -> str:
    """What to do about an option that only passes of a stage have that the flow leaves out; empty if none has it."""
    owners = [name for name in registry() if stage(name) == room and option in _options(name)]
    tables = " or ".join(f"[{name}]" for name in owners)
    return (
        f"it is an option of other passes: in {tables} of a build file, flows without them leave it alone"
        if owners
        else ""
    )


def _entry(names: list[str], option: str, rest: list[str], setting: Setting) -> str:
    """The entry of a table option that a key names; empty if it names the whole option.

    Raises:
        InputError: The option is no table.
    """
    for name in names:
        if rest and option in _options(name) and get_origin(get_type_hints(lookup(name))[option]) is not dict:
            raise InputError(f"{setting.where}, {setting.key}", f"{name}.{option} is one value", "no further name")
    return ".".join(rest)


def require_option(name: str, option: str, where: str) -> None:
    """Refuse an option that a pass does not have.

    Raises:
        InputError: With the closest option's name.
    """
    known = _options(name)
    if option not in known:
        raise InputError(f"{where}, {name}", f"unknown option {option!r}", "", did_you_mean(option, known))


def _options(name: str) -> list[str]:
    return [item.name for item in fields(lookup(name))]  # type: ignore[arg-type]


def resolve_paths(name: str, values: dict[str, Any], folder: Path) -> None:
    """Have relative paths among the options of a pass start from a folder."""
    for option, value in values.items():
        if isinstance(value, str) and _is_path(name, option):
            values[option] = str(folder / value)


def _is_path(name: str, option: str) -> bool:
    return get_type_hints(lookup(name)).get(option) in (Path, Path | None)
