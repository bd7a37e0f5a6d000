"""What people see in the terminal: passes as they run, and the summary at the end."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from codesign import passes
from codesign.describe import amount, figure_of, span, with_error
from codesign.design import Design
from codesign.engine import PassRun
from codesign.passes import Pass
from codesign.ranking import Ranked, disagreements, groups, ranking, unit
from codesign.report.files.compare import Cell, Comparison

if TYPE_CHECKING:
    from codesign.check import Finding


def make_console() -> Console:
    """A console on its own copy of standard output, so that passes may redirect the original."""
    return Console(
        file=os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="backslashreplace"), highlight=False
    )


class Watcher:
    """Shows each pass with its reason, a progress bar while it runs, and its time.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None

    def started(self, step: Pass, reason: str) -> passes.Progress:
        """Show a bar until the pass is over."""
        columns = (
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(),
        )  # fmt: skip
        # Off a terminal there is nothing to redraw: the line at the end says it all.
        self.bar = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        line = self.bar.add_task(f"{step.name}: running ({escape(_short(reason))})", total=None)
        self.bar.start()
        bar = self.bar

        def progress(task: str, done: int, total: int) -> None:
            bar.update(line, description=f"{step.name}: {escape(task)}", completed=done, total=total or None)

        return progress

    def finished(self, step: Pass, run: PassRun) -> None:
        """One line for the record."""
        self.stop()
        if run.status == "cached":
            self.console.print(f"[green]✓[/] {step.name:28} [dim]cached[/]")
        else:
            reason = escape(_short(run.reason))
            self.console.print(
                f"[green]✓[/] {step.name:28} ran {run.seconds:7.1f} s [dim]({reason})[/]", soft_wrap=True
            )

    def stop(self) -> None:
        """Take the bar away, if one is shown."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _short(reason: str, most: int = 3) -> str:
    parts = reason.split(", ")
    return reason if len(parts) <= most else f"{', '.join(parts[:most])} and {len(parts) - most} more"


def show_findings(console: Console, found: "Sequence[Finding]", as_json: bool) -> None:
    """Print what a check found: a table, or JSON.

    Args:
        console: Where to.
        found: The gravest first.
        as_json: Whether to print a list of objects instead.
    """
    if as_json:
        console.print_json(json.dumps([asdict(finding) for finding in found]))
        return
    table = Table("effect", "where", "found", "needed", "what happens, or what to do", show_lines=True)
    colours = {"stops": "red", "changes": "yellow", "note": "dim"}
    for finding in found:
        texts = (finding.where, finding.found, finding.needed, finding.action)
        table.add_row(f"[{colours[finding.effect]}]{finding.effect}[/]", *map(escape, texts))
    if found:
        console.print(table)
    stops, changes = (sum(finding.effect == effect for finding in found) for effect in ("stops", "changes"))
    console.print(f"{stops} stop a build, {changes} change numbers, {len(found) - stops - changes} notes")


def show_report(console: Console, report: Mapping[str, Any], where: str) -> None:
    """Print the summary of a finished build."""
    environment = report["environment"]
    console.print()
    console.print(_layers(report))
    console.print(checks_table(report))
    for kind in dict.fromkeys(item["kind"] for item in report["measures"]):
        console.print(_measures(report, kind))
    for disagreement in report["sensitivity"]["disagreements"]:
        console.print(f"[yellow]metrics disagree:[/] {escape(disagreement)}", soft_wrap=True)
    show_notices(console, report["notices"])
    for name, value in report["quality"].items():
        both = ", ".join(f"{network} [bold]{figure_of(value, network)}[/]" for network in ("float", "quantized"))
        unit = "" if value["unit"] in ("", "fraction") else f" ({escape(value['unit'])})"
        console.print(f"{escape(name.replace('_', ' '))} on the test split{unit}: {both}", soft_wrap=True)
    allocation = report["allocation"]
    chosen, points = allocation["chosen"], allocation["front"]
    choice = _choice(allocation["solver"], chosen, len(points), allocation["complete"], points[chosen]["gap"])
    pictured = any(item["name"] == "front" for item in report["artifacts"])
    console.print(f"bits: {choice}{'; see front.svg' if pictured else ''}")
    values = {item["name"]: item["value"] for item in report["measures"]}
    for name, most in allocation["budgets"].items():
        console.print(f"{name}: {amount(values[name])} (estimated) of the {amount(most)} allowed")
    made_for = environment["firmware_target"]
    target = environment["target"] + (f", firmware for {made_for}" if made_for != environment["target"] else "")
    console.print(f"[dim]flow {environment['flow']}, target {target}, seed {environment['seed']}[/]")
    if report["failures"]:
        for failure in report["failures"]:
            console.print(f"[red]✗[/] {escape(failure)}", soft_wrap=True)
    else:
        unchecked = sum(check["status"] == "not_checked" for check in report["checks"])
        rest = f"; {unchecked} not checked" if unchecked else ""
        budget = "within its budgets" if allocation["budgets"] else "no budget was set"
        console.print(f"[green]✓[/] {budget}; every check that ran is exact{rest}")
    console.print(f"report: {escape(where)}", soft_wrap=True)


def show_comparison(console: Console, comparison: Comparison) -> None:
    """Print builds side by side, what differs from the first one marked.

    Args:
        console: Where to.
        comparison: The builds.
    """
    for part in comparison.tables:
        table = Table("", *map(escape, comparison.names), title=part.title, title_justify="left")
        for row in part.rows:
            mark = "≠ " if row.differs else ""
            table.add_row(f"{mark}{escape(row.title)}", *(_compared(cell) for cell in row.cells))
        console.print(table)


def _compared(cell: Cell) -> str:
    text = escape(cell.text or "none")
    return f"[bold yellow]{text}[/] {cell.change}".rstrip() if cell.differs else text


def show_sensitivity(console: Console, design: Design, directory: Path) -> None:
    """Print how every metric ranks the tensors, and where metrics disagree.

    Args:
        console: Where to.
        design: Of a build in which sensitivity was measured.
        directory: The build directory, for the plot's path.
    """
    metrics = design.sensitivity
    for title, tensors in groups(design.graph).items():
        rankings = {name: ranking(found, tensors) for name, found in metrics.items()}
        shown = [name for name, places in rankings.items() if places]
        for names in _batched(shown, _columns(console, tensors)):
            table = Table(title=f"Sensitivity of {title}", title_justify="left")
            table.add_column("tensor", no_wrap=True)
            for name in names:
                table.add_column(f"{name}\n[dim]{unit(metrics[name])}[/]", justify="right", no_wrap=True)
            for tensor in tensors:
                table.add_row(escape(tensor), *(_place(rankings[name], tensor) for name in names))
            console.print(table)
    for tensors in groups(design.graph).values():
        for item in disagreements(metrics, tensors):
            console.print(f"[yellow]metrics disagree:[/] {escape(str(item))}", soft_wrap=True)
    if design.has("artifacts") and "sensitivity" in design.artifacts:
        console.print(f"plot: {escape(str(directory / design.artifacts['sensitivity'].path))}", soft_wrap=True)


def show_notices(console: Console, notices: Iterable[str]) -> None:
    """Print what passes found worth telling."""
    for notice in notices:
        console.print(f"[dim]note: {escape(notice)}[/]", soft_wrap=True)


def _batched(names: list[str], count: int) -> list[list[str]]:
    """At most ``count`` at a time."""
    return [names[start : start + count] for start in range(0, len(names), count)]


def _columns(console: Console, tensors: list[str]) -> int:
    """Metrics that fit beside the tensors' names: a figure with its unit takes at most 26 characters."""
    longest = max(map(len, tensors), default=0)
    return max((console.width - longest - 4) // 26, 1)


def _place(places: list[Ranked], tensor: str) -> str:
    for rank, place in enumerate(places, 1):
        if place.tensor == tensor:
            return f"[bold]{rank}[/]  {with_error(place.figure, place.error)}"
    return "[dim]not measured[/]"


def show_allocation(console: Console, design: Design, directory: Path) -> None:
    """Print the chosen bits, and what they cost.

    Args:
        console: Where to.
        design: Of a build in which bits were chosen.
        directory: The build directory, for the plot's path.
    """
    point, front = design.allocation.point, design.front
    table = Table(title="Bits", title_justify="left")
    table.add_column("tensor", no_wrap=True)
    table.add_column("bits", justify="right")
    for name, bits in point.bits.items():
        widths = sorted(bits) if isinstance(bits, tuple) else [bits]
        pruned = f", {widths.count(0)} of {len(widths)} channels pruned" if 0 < widths.count(0) < len(widths) else ""
        table.add_row(escape(name), f"{span(widths)}{pruned}")
    console.print(table)
    choice = _choice(front.solver, design.allocation.index, len(front.points), front.complete, point.gap)
    console.print(f"{choice}; by {front.metric}" if front.losses == "predicted" else choice)
    known = "estimated; without that of quantized inputs" if front.losses == "predicted" else "simulated"
    console.print(f"{front.losses} loss increase {point.loss:.4g} ({known})")
    for name, cost in point.costs.items():
        limit = f"budget {amount(front.budgets[name])}" if name in front.budgets else "no budget"
        console.print(f"{name} {amount(cost)} (estimated), {limit}")
    if design.has("artifacts") and "front" in design.artifacts:
        console.print(f"plot: {escape(str(directory / design.artifacts['front'].path))}", soft_wrap=True)


def _choice(solver: str, index: int, count: int, complete: bool, gap: float | None) -> str:
    """Where bits come from."""
    if solver == "given":
        return "those of the quantizers that the network came with"
    return f"point {index + 1} of {count} {'on the Pareto front' if complete else 'found'}, {_proof(gap)}"


def _proof(gap: float | None) -> str:
    """What is proven of a point."""
    if gap is None:
        return "nothing proven"
    return "proven best at its cost" if gap == 0 else f"within {100 * gap:.2g} % of the best at its cost"


def _layers(report: Mapping[str, Any]) -> Table:
    table = Table(title="Layers", title_justify="left")
    table.add_column("layer")
    for title in (
        "weight bits",
        "input bits",
        "accumulator",
        "sensitivity",
        f"{report['allocation']['cost']} (estimated)",
    ):
        table.add_column(title, justify="right")
    for row in report["layers"]:
        table.add_row(
            escape(row["name"]), span(row["weight_bits"]), str(row["activation_bits"]), str(row["accumulator_bits"]),
            with_error(row["sensitivity"], row["sensitivity_stderr"]),
            amount(row["costs"][report["allocation"]["cost"]]),
        )  # fmt: skip
    return table


def checks_table(report: Mapping[str, Any]) -> Table:
    """The proofs of a report, a row for each hop."""
    table = Table(title="Proofs: the same integers", title_justify="left")
    for title in ("hop", "inputs", "mismatches", "status", "run in"):
        table.add_column(title)
    colours = {"exact": "green", "differs": "red", "not_checked": "yellow"}
    for row in report["checks"]:
        status = f"[{colours[row['status']]}]{row['status'].replace('_', ' ')}[/]"
        hop = f"{row['from']} → {row['to']}"
        mismatches = "-" if row["status"] == "not_checked" else f"{row['mismatches']:,}"
        table.add_row(hop, f"{row['inputs']:,}", mismatches, status, escape(row["detail"]))
    return table


def _measures(report: Mapping[str, Any], kind: str) -> Table:
    table = Table(title=f"Measures, {kind}", title_justify="left")
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    rows = [row for row in report["measures"] if row["kind"] == kind]
    if any(row["limit"] for row in rows):
        table.add_column("target", justify="right")
    for row in rows:
        limit = row["limit"]
        target = [f"at {'least' if limit['least'] else 'most'} {amount(limit['value'])}"] if limit else []
        table.add_row(escape(row["name"]), amount(row["value"]), row["unit"], *target)
    return table
