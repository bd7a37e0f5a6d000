"""Checking values from files and the command line against typed records, with messages for people."""

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from codesign.errors import InputError, did_you_mean

T = TypeVar("T")

_WANTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text in quotes",
    "tuple_type": "a list",
    "list_type": "a list",
    "path_type": "a path",
    "missing": "a value: it has no default",
}


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
        option = ".".join(str(part) for part in first["loc"])
        found = "nothing" if first["type"] == "missing" else f"found {first['input']!r}"
        message = str(first["msg"])
        wanted = _WANTED.get(first["type"], message[0].lower() + message[1:])
        place = where if isinstance(where, str) else where(str(first["loc"][0]) if first["loc"] else "")
        raise InputError(f"{place}, option {option!r}" if option else place, found, wanted) from None


def _plain(value: Any) -> Any:
    """A numpy number as Python's; anything else JSON lacks as text, to be refused with its name."""
    return value.item() if hasattr(value, "item") else str(value)
