"""The TOML files that come with codesign (``flows/``, ``targets/``), and the user's own beside them."""

import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

from codesign.errors import InputError, did_you_mean
from codesign.typed import parse

T = TypeVar("T")
Sort = Literal["flow", "target"]


def shipped_folder(sort: Sort) -> Path:
    """The folder with the shipped files: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / f"{sort}s"
    return installed if installed.is_dir() else package.parent / f"{sort}s"


def shipped_names(sort: Sort) -> list[str]:
    """Names of the shipped files, without ``.toml``."""
    return sorted(path.stem for path in shipped_folder(sort).glob("*.toml"))


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        InputError: The file can't be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(str(path), "no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(str(path), f"not valid TOML: {error}") from error


def read_shipped(kind: type[T], sort: Sort, name: str, folder: Path) -> T:
    """Read a flow or target by its shipped name, or by a path.

    Args:
        kind: The record's class; its ``name`` field is filled in from the file's name.
        sort: Which kind of file it is.
        name: A shipped name, or a path ending in ``.toml`` relative to ``folder``.
        folder: Folder that relative paths start from.

    Raises:
        InputError: There is no such file, or it does not fit the record.
    """
    path = folder / name if name.endswith(".toml") else shipped_folder(sort) / f"{name}.toml"
    if not path.is_file():
        hint = "" if name.endswith(".toml") else did_you_mean(name, shipped_names(sort))
        raise InputError(f"{sort} {name!r}", "no such file" if name.endswith(".toml") else f"no such {sort}", hint)
    return parse(kind, {"name": path.stem, **read_toml(path)}, str(path))
