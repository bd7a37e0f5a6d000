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


def is_file(path: Path) -> bool:
    """Whether a path is a file; no, if the system can't even look (a name too long, say)."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        InputError: The file can't be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(str(path), "no such file") from None
    except IsADirectoryError:
        raise InputError(str(path), "a folder", "a TOML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(str(path), f"not valid TOML: {error}") from error


def shipped_path(sort: Sort, name: str, folder: Path) -> Path:
    """The file of a flow or target.

    Args:
        sort: Which kind of file it is.
        name: A shipped name, or a path ending in ``.toml``.
        folder: Folder that relative paths start from.

    Raises:
        InputError: There is no such file.
    """
    own = name.endswith(".toml")
    path = folder / name if own else shipped_folder(sort) / f"{name}.toml"
    if not is_file(path):
        hint = "" if own else did_you_mean(name, shipped_names(sort))
        raise InputError(f"{sort} {name!r}", "no such file" if own else f"no such {sort}", "", hint)
    return path


def read_shipped(kind: type[T], path: Path) -> T:
    """Read a flow or target; the record's ``name`` is the file's.

    Raises:
        InputError: The file does not fit the record.
    """
    return parse(kind, {"name": path.stem, **read_toml(path)}, str(path))
