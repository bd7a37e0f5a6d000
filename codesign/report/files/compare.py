"""Builds side by side: what differs between their reports."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codesign.describe import amount, figure_of, span
from codesign.directory import read_report
from codesign.errors import InputError
from codesign.report.files._fit import KINDS
from codesign.report.files.page import render

Report = Mapping[str, Any]
#: Ends of measures' names that have a table of their own, or that another measure says better.
OWN = ("_float", "_quantized", "_difference", "_allocated")
#: How many times as large a number is whose change is no longer told in %.
FAR = 10


@dataclass(frozen=True)
class Cell:
    """What one build has in a row.

    Args:
        text: Its value in words; empty if it has none.
        differs: Whether it is another value than the first build's.
        change: By how much, as in ``+3.2 %``; empty where that says nothing.
    """

    text: str
    differs: bool
    change: str = ""


@dataclass(frozen=True)
class Row:
    """One thing of every build."""

    title: str
    cells: tuple[Cell, ...]

    @property
    def differs(self) -> bool:
        """Whether the builds are not all alike in it."""
        return any(cell.differs for cell in self.cells)


@dataclass(frozen=True)
class Table:
    """Rows of one sort; numbers that are known in another way stand in another table."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Comparison:
    """Builds side by side.

    Args:
        names: Of the builds, the first being what the others are held against.
        tables: What was compared.
    """

    names: tuple[str, ...]
    tables: tuple[Table, ...]


def compare(directories: Sequence[Path]) -> Comparison:
    """Read the reports of finished builds and put them side by side.

    Raises:
        InputError: There are fewer than two, or one is not finished.
    """
    if len(directories) < 2:
        raise InputError("codesign compare", f"{len(directories)} build directory", "two or more")
    reports = [read_report(directory) for directory in directories]
    short = [directory.resolve().name for directory in directories]
    names = short if len(set(short)) == len(short) else [str(directory) for directory in directories]
    tables = [_build(reports), _proofs(reports), _quality(reports)]
    tables += [_measures(reports, kind) for kind in KINDS]
    tables += [_bits(reports, "weight_bits", "Bits of weights, by layer")]
    tables += [_bits(reports, "activation_bits", "Bits of layers' inputs")]
    return Comparison(tuple(names), tuple(table for table in tables if table.rows))


def comparison_page(comparison: Comparison) -> str:
    """The HTML of a comparison."""
    return render("compare.html.j2", comparison=comparison)


def require_own(path: Path) -> None:
    """Something else than a page of this command is not written over.

    Raises:
        InputError: A folder or another file is there.
    """
    found = "a folder" if path.is_dir() else "a file that codesign compare did not write" if path.exists() else ""
    if path.is_file():
        with path.open("rb") as file:
            if b'content="codesign compare"' in file.read(2000):
                return
    if found:
        raise InputError(f"--html {path}", found, "a file that is not there yet, or an earlier page")


def _build(reports: Sequence[Report]) -> Table:
    said: dict[str, Callable[[Report], object]] = {
        "flow": lambda report: report["environment"]["flow"],
        "target": lambda report: report["environment"]["target"],
        "firmware for": lambda report: report["environment"]["firmware_target"],
        "seed": lambda report: report["environment"]["seed"],
        "built": _verdict,
    }
    return Table("Build", tuple(_row(title, [says(report) for report in reports]) for title, says in said.items()))


def _verdict(report: Report) -> str:
    kept = "within its budgets" if report["allocation"]["budgets"] else "no budget was set"
    return kept if report["ok"] else "; ".join(report["failures"])


def _proofs(reports: Sequence[Report]) -> Table:
    found = [
        {
            f"{check['from']} → {check['to']}": f"{check['status'].replace('_', ' ')}"
            + (f", {check['mismatches']} of {check['inputs']} inputs" if check["status"] == "differs" else "")
            for check in report["checks"]
        }
        for report in reports
    ]
    return Table("Proofs: the same integers", _rows(found))


def _quality(reports: Sequence[Report]) -> Table:
    names = dict.fromkeys((name, value["unit"]) for report in reports for name, value in report["quality"].items())
    rows: list[Row] = []
    for name, unit in names:
        of_builds = [report["quality"].get(name) for report in reports]
        values = [value if value is not None and value["unit"] == unit else None for value in of_builds]
        for network in ("float", "quantized"):
            title = ", ".join(part for part in (name.replace("_", " "), network, unit) if part)
            row = _row(title, [value and value[network] for value in values])
            texts = ["" if value is None else figure_of(value, network) for value in values]
            cells = [replace(cell, text=text) for cell, text in zip(row.cells, texts, strict=True)]
            rows.append(Row(title, tuple(cells)))
    return Table("On the test split, simulated", tuple(rows))


def _measures(reports: Sequence[Report], kind: str) -> Table:
    """Costs, resources and latency that are known in one way; of layers alone, and quality, are left out."""
    found = [
        {
            f"{row['name']}, {_counted_in(row['unit'])}": row["value"]
            for row in report["measures"]
            if row["kind"] == kind and ":" not in row["name"] and not row["name"].endswith(OWN)
        }
        for report in reports
    ]
    return Table(kind.capitalize(), _rows(found))


def _counted_in(unit: str) -> str:
    """A unit up to its first comma outside brackets: chip and tool stay, how far an estimate may be off goes."""
    found = re.match(r"(\([^)]*\)|[^,(])*", unit)
    return found[0].strip() if found else unit


def _bits(reports: Sequence[Report], key: str, title: str) -> Table:
    def words(bits: int | list[int]) -> int | str:
        return bits if isinstance(bits, int) else span(bits)

    return Table(title, _rows([{layer["name"]: words(layer[key]) for layer in report["layers"]} for report in reports]))


def _rows(found: Sequence[Mapping[str, Any]], number: Callable[[float], str] = amount) -> tuple[Row, ...]:
    """A row for each name that any build has; real numbers are written by ``number``."""
    names: Iterable[str] = dict.fromkeys(name for each in found for name in each)
    return tuple(_row(name, [each.get(name) for each in found], number) for name in names)


def _row(title: str, values: Sequence[object], number: Callable[[float], str] = amount) -> Row:
    first = values[0]
    cells = [Cell(_text(value, number), value != first, _change(first, value)) for value in values]
    return Row(title, tuple(cells))


def _text(value: object, number: Callable[[float], str]) -> str:
    if isinstance(value, float):
        return number(value)
    return "" if value is None else str(value)


def _change(first: object, value: object) -> str:
    """How much larger a number is than the first, as a share of it."""
    if not isinstance(first, float) or not isinstance(value, float) or first in (0, value):
        return ""
    times = value / first
    return f"{times:.3g} times" if abs(times) >= FAR else f"{100 * (times - 1):+.3g} %"
