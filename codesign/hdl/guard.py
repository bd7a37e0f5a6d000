"""alkaid as a tool among others: how to get it is said where it is missing, and what it prints is logged."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from codesign.capture import output_to
from codesign.errors import CodesignError, InputError, ToolError


def require_alkaid(name: str) -> None:
    """Refuse a pass that can't be run without alkaid.

    Args:
        name: The pass's.

    Raises:
        InputError: It is not installed.
    """
    if find_spec("alkaid") is None:
        raise InputError(name, "alkaid is not installed", "", "pip install 'codesign[rtl]'")


@contextmanager
def alkaid_runs(log: Path) -> Generator[None]:
    """Import and use alkaid inside.

    Args:
        log: Takes what it prints.

    Raises:
        ToolError: It failed.
    """
    try:
        with output_to(log):
            yield
    except CodesignError:
        raise
    except Exception as error:
        raise ToolError("alkaid", f"{type(error).__name__}: {error}", "", f"log: {log}") from error
