"""What there is to choose from, in the terminal: passes, cost models, solvers, flows and targets."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from rich.markup import escape
from rich.table import Table

from codesign.console import make_console
from codesign.describe import options, summary
from codesign.passes import Pass
from codesign.shipped import Sort, read_shipped, shipped_names, shipped_path


def list_passes(shown: Mapping[str, type[Pass]], full: bool) -> None:
    """Print passes with their options.

    Args:
        shown: By name.
        full: Whether to say what each option is.
    """
    console = make_console()
    for name, step in shown.items():
        console.print(f"[bold]{name}[/]  {escape(summary(step))}")
        for option in options(step):
            about = f" [dim]{escape(option.help)}[/]" if full else ""
            console.print(f"    {option.name} [dim]({escape(option.type)}, {escape(option.default)})[/]{about}")


def list_kinds(heading: str, kinds: Mapping[str, tuple[str, type[Any]]]) -> None:
    """Print a row each: name, one fact under a heading, and the first paragraph of the docstring."""
    table = Table("name", heading, "what it is", show_lines=True)
    for name, (fact, kind) in kinds.items():
        table.add_row(name, fact, escape(summary(kind).replace("``", "")))
    make_console().print(table)


def list_shipped(kind: type[Any], sort: Sort) -> None:
    """Print the records of a sort that come with codesign, with what is set in them."""
    console = make_console()
    for name in shipped_names(sort):
        record = read_shipped(kind, shipped_path(sort, name, Path()))
        console.print(f"[bold]{name}[/]  {escape(record.summary)}")
        for field in fields(kind):
            value = getattr(record, field.name)
            if field.name not in ("name", "summary") and value not in (None, {}, ""):
                text = ", ".join(map(str, cast(tuple[Any, ...], value))) if isinstance(value, tuple) else str(value)
                console.print(f"    {field.name}: [dim]{escape(text)}[/]", soft_wrap=True)
