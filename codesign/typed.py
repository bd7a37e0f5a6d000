"""Checking values from files and the command line against typed records, with messages for people."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from codesign.errors import InputError, did_you_mean

T = TypeVar("T")


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """The pydantic adapter of a type, made once."""
    made: Any = TypeAdapter
    # Dataclasses configure themselves; a config from outside is refused for them.
    return made(kind) if is_dataclass(kind) else made(kind, config=ConfigDict(arbitrary_types_allowed=True))


def parse(kind: type[T], values: dict[str, Any], where: str | Callable[[str], str]) -> T:
    """Build a record from untyped values, strictly: text never stands for a number.

    Args:
        kind: A dataclass.
        values: Its fields, as a TOML or JSON file holds them (lists for tuples, text for paths).
        where: The file, for messages; or a function that tells it for an option.

    Raises:
        InputError: A field is unknown, missing or of the wrong type.
    """
    names = [field.name for field in fields(kind) if field.init]  # type: ignore[arg-type]
    for name in values:
        if name not in names:
            place = where if isinstance(where, str) else where(name)
            raise InputError(place, f"unknown option {name!r}", "", did_you_mean(name, names))
    try:
        return adapter(kind).validate_json(json.dumps(values, default=_plain), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        path, hint = _innermost(kind, first["loc"])
        option = ".".join(path)
        absent = bool(path) and path[0] not in values
        found = "nothing" if absent else f"found {_at(values, path)!r}"
        wanted = "a value: it has no default" if absent else _wanted(spelt(hint))
        place = where if isinstance(where, str) else where(path[0] if path else "")
        raise InputError(f"{place}, option {option!r}" if option else place, found, wanted) from None


def _innermost(kind: type[Any], loc: Sequence[int | str]) -> tuple[list[str], Any]:
    """The option that a validator's location is of, with the entry if it is a table, and its type.

    What the location says beyond that is the validator's own: which of several allowed types it tried last.
    """
    if not loc:
        return [], kind
    path, hint = [str(loc[0])], get_type_hints(kind).get(str(loc[0]), Any)
    if get_origin(hint) is dict and len(loc) > 1:
        path, hint = [*path, str(loc[1])], get_args(hint)[1]
    return path, hint


def _wanted(words: str) -> str:
    """A type's words in a sentence."""
    if words == "text":
        return "text in quotes"
    if words.startswith("["):
        return f"a list {words}"
    return words if words.startswith(("'", "text", "true")) else f"a {words}"


def _at(values: Mapping[str, Any], path: Sequence[str]) -> object:
    """What was given there."""
    found: Any = values
    for name in path:
        found = found[name]
    return found


#: What plain types are called.
_NAMES = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}


def spelt(hint: Any) -> str:
    """A type in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin in (Union, UnionType):
        return " or ".join(spelt(each) for each in inner if each is not NoneType)
    if origin is dict:
        return f"table of {spelt(inner[1])} by name"
    if origin is tuple:
        return f"list of {spelt(inner[0])}" if inner[-1] is ... else f"[{', '.join(map(spelt, inner))}]"
    return _NAMES.get(hint, getattr(hint, "__name__", str(hint)).lower())


def _plain(value: Any) -> Any:
    """A numpy number as Python's; anything else JSON lacks as text, to be refused with its name."""
    return value.item() if hasattr(value, "item") else str(value)
