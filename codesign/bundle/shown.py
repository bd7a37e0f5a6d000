"""What people see of a verified bundle in the terminal."""

import json
from collections.abc import Iterator, Sequence
from math import hypot, sqrt

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from codesign.bundle.drift import Drift, Saturated
from codesign.bundle.verification import Verified
from codesign.console import checks_table

#: Standard errors by which shares differ that are not alike.
SURE = 3


def show_verified(console: Console, found: Verified, as_json: bool) -> None:
    """Print what a verification found: tables, or JSON.

    Args:
        console: Where to.
        found: All of it.
        as_json: Whether to print one object instead.
    """
    record = found.record()
    if as_json:
        console.print_json(json.dumps(record))
        return
    console.print(f"{found.files} files and the manifest are as they were packed")
    console.print(f"SHA-256 of the archive: {found.sha256}", soft_wrap=True)
    console.print(checks_table(record))
    if found.drift is not None:
        for table in _drift(found.drift, found.contents.drift, found.contents.classes):
            console.print(table)
        console.print(_compared(found.drift, found.contents.drift), soft_wrap=True)
    for failure in found.failures:
        console.print(f"[red]✗[/] {escape(failure)}", soft_wrap=True)
    if not found.failures:
        unchecked = sum(check.status == "not_checked" for check in found.checks)
        console.print(f"[green]✓[/] every check that ran is exact{f'; {unchecked} not checked' if unchecked else ''}")


def _drift(data: Drift, test: Drift, classes: Sequence[str]) -> Iterator[Table]:
    """Tables of new data beside the test split; outputs are named by classes, where each is one."""
    decides = test.agreeing is not None and len(classes) == len(data.shifts)
    names = classes if decides else [f"output {each.output}" for each in data.shifts]
    shifts = [
        (f"{name}: mean shift (1 %, median, 99 %)", *(_shift(each.mean, each.quantiles) for each in (new, old)))
        for name, new, old in zip(names, data.shifts, test.shifts, strict=True)
    ]
    yield _table(
        "Integers beside the float network",
        ("", f"{data.samples:,} new samples", f"{test.samples:,} of the test split"),
        [("same decision", *(_share(each.agreeing, each.samples) for each in (data, test))), *shifts],
    )
    for title, what, new, old in (
        ("Inputs beyond the range of their format", "input", data.inputs, test.inputs),
        ("Between layers, beyond the range of the format", "output of layer", data.layers, test.layers),
    ):
        yield _table(title, (what, "new", "test split"), _saturated(new, old))


def _compared(data: Drift, test: Drift) -> str:
    """The tables in one sentence."""
    further = [
        f"{sum(map(_further, ours, theirs))} of {len(ours)} {what} (at most {max(new.share for new in ours):.1%})"
        for what, ours, theirs in (("inputs", data.inputs, test.inputs), ("layers", data.layers, test.layers))
        if ours
    ]
    decided = (
        f"same decision as the float network for {_share(data.agreeing, data.samples)} of the new samples, "
        f"{_share(test.agreeing, test.samples)} of the test split's; "
    )
    more = f"more often than on the test split, by over {SURE} standard errors"
    return f"{decided if data.agreeing is not None else ''}{' and '.join(further)} leave their range {more}"


def _further(new: Saturated, old: Saturated) -> bool:
    """Whether values leave their range more often, and not by chance: counts are known to their roots."""
    error = hypot(sqrt(new.count) / new.values, sqrt(old.count) / old.values)
    return new.share - old.share > SURE * error


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _saturated(data: Sequence[Saturated], test: Sequence[Saturated]) -> Sequence[Sequence[str]]:
    """A row each, the most saturated first; those that never are, in one."""
    pairs = sorted(zip(data, test, strict=True), key=lambda pair: -pair[0].share)
    rows = [
        (new.name, *(f"{each.count:,} ({_share(each.count, each.values)})" for each in (new, old)))
        for new, old in pairs
        if new.count or old.count
    ]
    rest = len(pairs) - len(rows)
    return [*rows, (f"{rest} more" if rows else f"all {rest}", "0", "0")] if rest else rows


def _share(count: int | None, total: int) -> str:
    return "no classes" if count is None else f"{100 * count / total:.3f} %"


def _shift(mean: float, quantiles: Sequence[float]) -> str:
    return f"{mean:+.4g} ({', '.join(f'{each:+.4g}' for each in quantiles)})"
