"""Finding what extends codesign: classes by module name in a folder of its own, and by entry point elsewhere."""

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from pkgutil import iter_modules
from typing import TypeVar

from codesign.errors import ContractError, InputError

T = TypeVar("T")


def in_folder(package: str, kind: type[T]) -> dict[str, type[T]]:
    """The class of each module in a package, by module name; modules whose name starts with ``_`` are helpers.

    Raises:
        ContractError: A module holds none, or several.
    """
    names = [info.name for info in iter_modules(import_module(package).__path__) if not info.ispkg]
    return {name: _only(f"{package}.{name}", kind) for name in names if not name.startswith("_")}


def by_entry_point(group: str, sort: str, kind: type[T]) -> list[tuple[str, type[T]]]:
    """What installed packages offer under an entry point group, with its name there.

    Args:
        group: The group, such as ``codesign.passes``.
        sort: What it offers, for messages.
        kind: The class that all of it derives from.

    Raises:
        InputError: A package's offer cannot be imported, or is no such class.
    """
    return [(entry.name, _load(entry, sort, kind)) for entry in entry_points(group=group)]


def plugins(package: str, group: str, kind: type[T], sort: str) -> dict[str, type[T]]:
    """Every class of a kind by name: module names in a package, and entry points.

    Raises:
        ContractError: Two owners claim one name.
        InputError: A package's offer cannot be imported.
    """
    found = in_folder(package, kind)
    for name, offer in by_entry_point(group, sort, kind):
        if found.setdefault(name, offer) is not offer:
            raise claimed(f"{sort} {name!r}", found[name], offer)
    return found


def claimed(what: str, one: type, other: type) -> ContractError:
    """The error of two owners of one name."""
    owners = f"{one.__module__} and {other.__module__}"
    return ContractError(what, f"claimed by {owners}", "one owner", "rename or uninstall one")


def _load(entry: EntryPoint, sort: str, kind: type[T]) -> type[T]:
    owner = entry.dist.name if entry.dist is not None else "an installed package"
    where, hint = f"{sort} {entry.name!r} of {owner} ({entry.value})", f"mend or uninstall {owner}"
    try:
        offer = entry.load()
    except Exception as error:
        raise InputError(where, f"cannot be imported: {type(error).__name__}: {error}", "", hint) from error
    if not (isinstance(offer, type) and issubclass(offer, kind)) or isabstract(offer):
        raise InputError(where, f"{offer!r}", f"a class that derives from {kind.__module__}.{kind.__name__}", hint)
    return offer


def _only(module: str, kind: type[T]) -> type[T]:
    own = [
        value
        for value in vars(import_module(module)).values()
        if isinstance(value, type) and issubclass(value, kind) and value.__module__ == module and not isabstract(value)
    ]
    if len(own) != 1:
        raise ContractError(
            module, f"{len(own)} classes of its kind", "exactly one (a helper module's name starts with _)"
        )
    return own[0]
