"""The command line. Heavy libraries load inside the commands, so that --help is quick."""

import signal
import sys
import tempfile
import traceback
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from codesign.errors import CodesignError, ContractError, InputError

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.console import Console

    from codesign.console import Watcher

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a trained network and a hardware budget to bit-exact firmware, with proof.",
    epilog="Start with: codesign build examples/jets/build.toml",
)

#: Exit codes: built and within budget; built but a budget or check failed; bad input; a defect of codesign.
BUILT, FAILED, BAD_INPUT, DEFECT, INTERRUPTED = 0, 1, 2, 3, 130


@app.command()
def build(
    file: Annotated[Path, typer.Argument(metavar="BUILD.toml", help="Build file: the model, the data, the options.")],
    out: Annotated[Path | None, typer.Option(help="Build directory (default: build/NAME).", show_default=False)] = None,
    target: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Target, instead of the build file's.")
    ] = None,
    flow: Annotated[str | None, typer.Option(metavar="NAME|FILE", help="Flow, instead of the build file's.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PASS.OPTION=VALUE", help="Set an option: --set allocate.budgets.bops_campos=300000."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed, instead of the build file's.")] = None,
    until: Annotated[str | None, typer.Option(metavar="PASS", help="Stop after this pass or stage.")] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="PASS", help="Run this pass too, in its place: --also sensitivity.hutchinson."),
    ] = None,
    force: Annotated[
        list[str] | None, typer.Option(metavar="PASS", help="Run this pass or stage even if nothing changed.")
    ] = None,
) -> None:
    """Build firmware from a build file; what has not changed since the last build is taken from the cache.

    A build that was interrupted continues where it stopped when it is run again.

    Passes and their options are listed by codesign passes; PASS may be a whole stage. --set, --also and --force may be
    given many times.

    Exit codes: 0 built and within budget, 1 built but a budget or check failed, 2 bad input, 3 a defect of codesign,
    130 interrupted.
    """
    from codesign.console import make_console, show_allocation, show_notices, show_report, show_sensitivity
    from codesign.pipeline import build_file
    from codesign.setting import assigned

    given = assigned(options or [])
    console = make_console()
    with _watched(console) as watcher:
        result = build_file(file, out, target, flow, given, seed, until, force or (), also or (), watcher)
    if result.report is None:
        if result.design.has("sensitivity"):
            show_sensitivity(console, result.design, result.directory)
        if result.design.has("allocation"):
            show_allocation(console, result.design, result.directory)
        show_notices(console, result.design.notices.values() if result.design.has("notices") else ())
        console.print(f"stopped after {result.passes[-1].name}; no report")
        return
    show_report(console, result.report, str(result.directory / "report.html"))
    if result.failures:
        raise typer.Exit(FAILED)


@app.command()
def deploy(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The directory of a finished build.")],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", metavar="NAME", help="What to make: --format emulator --format bundle.", show_default=False
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PASS.OPTION=VALUE", help="Set an option of a format: --set deploy.emulator.version=2."
        ),
    ] = None,
    allow_unproven: Annotated[
        bool, typer.Option("--allow-unproven", help="Go on where a check differs; all that is made says so.")
    ] = False,
) -> None:
    """Make what a trigger system loads of a finished build; nothing of the build is done again.

    Formats are the passes of stage deploy: codesign passes. What they give lies beside the rest of the build, and is in
    its report. --format and --set may be given many times.

    Exit codes: 0 made, all within budget, 1 made, but a budget or check of the build failed, 2 bad input: nothing is
    changed, 3 a defect of codesign, 130 interrupted.
    """
    from codesign.console import make_console, show_report
    from codesign.deployment import deploy as made_of
    from codesign.setting import assigned

    console = make_console()
    with _watched(console) as watcher:
        deployed = made_of(directory, formats or (), assigned(options or []), allow_unproven, watcher)
    show_report(console, deployed.report, str(directory / "report.html"))
    if deployed.report["failures"]:
        raise typer.Exit(FAILED)


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="An archive of codesign deploy --format bundle.")],
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="New data (.npz): what the integers and the float network make of it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Check every byte of a bundle and rerun its proofs from it alone; with new data, show how far they drifted.

    Nothing in a bundle is run before all hashes hold. Hashes tell of damage, not of who made it: run what you trust.

    Exit codes: 0 all holds, 1 integers differ or the bundle is marked unproven, 2 it is damaged or no bundle, or the
    data don't fit, 3 a defect of codesign.
    """
    from codesign.bundle.shown import show_verified
    from codesign.bundle.verification import verify as verified
    from codesign.console import make_console

    found = verified(bundle, data)
    show_verified(make_console(), found, as_json)
    if found.failures:
        raise typer.Exit(FAILED)


@app.command()
def check(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file (.onnx) or a build file (.toml).")],
    target: Annotated[str | None, typer.Option(metavar="NAME|FILE", help="Target (default: vu13p-l1t).")] = None,
    output: Annotated[
        str, typer.Option(metavar="TENSOR", help="The tensor with the logits, if an ONNX file has several outputs.")
    ] = "",
    flow: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Flow, instead of the build file's.", show_default=False)
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--set", metavar="PASS.OPTION=VALUE", help="Set an option of the build file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """List everything in a model that would stop a build or cost accuracy; nothing is built or changed.

    Of a build file, what its load passes read: the network with its data; and for the backend that it asks for.

    Exit codes: 0 nothing stops a build, 1 something does, 2 the model can't be read, 3 a defect of codesign.
    """
    from codesign.check import Subject, findings
    from codesign.console import make_console, show_findings
    from codesign.pipeline import planned
    from codesign.setting import assigned
    from codesign.target import load_target

    if model.suffix == ".toml":
        if output:
            raise InputError("--output", f"{output!r} for a build file", "an ONNX file", "set load.onnx.output in it")
        subject = Subject.of_passes(*planned(model, target, flow, assigned(options or [])))
    elif flow or options:
        raise InputError("--flow" if flow else "--set", "for an ONNX file", "a build file that has it in load.onnx")
    else:
        subject = Subject.of_file(model, load_target(target or "vu13p-l1t", Path()), output)
    found = findings(subject)
    show_findings(make_console(), found, as_json)
    if any(finding.effect == "stops" for finding in found):
        raise typer.Exit(FAILED)


@app.command()
def show(directory: Annotated[Path, typer.Argument(metavar="DIR", help="A build directory.")]) -> None:
    """Print the summary of the last build in a directory."""
    from codesign.console import make_console, show_report
    from codesign.directory import read_report

    show_report(make_console(), read_report(directory), str(directory / "report.html"))


@app.command()
def report(
    came_back: Annotated[
        Path,
        typer.Option("--ingest", metavar="DIR", help="The project of a vendor's tool that was run, or its reports."),
    ],
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[BUILD_DIR]", help="The build directory (default: the one that DIR lies in)."),
    ] = None,
) -> None:
    """Put what a vendor's tool reported elsewhere into the report of the build, and print the summary.

    Exit codes: 0 within budget and limits, 1 a budget, check or limit failed, 2 bad input: nothing is changed.
    """
    from codesign.console import make_console, show_report
    from codesign.report.files.ingest import ingest

    build, updated = ingest(came_back, directory)
    show_report(make_console(), updated, str(build / "report.html"))
    if updated["failures"]:
        raise typer.Exit(FAILED)


@app.command()
def compare(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Two or more build directories.")],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page of it too.", show_default=False)
    ] = None,
) -> None:
    """Print builds side by side: accuracy, bits, costs, resources, latency; what differs from the first is marked."""
    from codesign.console import make_console, show_comparison
    from codesign.report.files.compare import compare, comparison_page, require_own
    from codesign.store import write_whole

    if html is not None:
        require_own(html)
    found = compare(directories)
    show_comparison(make_console(), found)
    if html is not None:
        write_whole(html, comparison_page(found).encode())


@app.command()
def passes(name: Annotated[str | None, typer.Argument(metavar="[PASS]", help="Show this one in full.")] = None) -> None:
    """List the passes with their options."""
    from codesign.listings import list_passes
    from codesign.passes import lookup, registry

    list_passes({name: lookup(name)} if name else registry(), full=name is not None)


@app.command()
def costs() -> None:
    """List the cost models, which allocate.budgets and allocate.costs name."""
    from codesign.allocate.costs import costs as known
    from codesign.listings import list_kinds

    list_kinds("unit", {name: (kind.unit, kind) for name, kind in known().items()})


@app.command()
def solvers() -> None:
    """List the solvers, which allocate.solver names."""
    from codesign.allocate.solvers import solvers as known
    from codesign.listings import list_kinds

    list_kinds("proves its answers", {name: ("yes" if kind.exact else "no", kind) for name, kind in known().items()})


@app.command()
def flows() -> None:
    """List the flows."""
    from codesign.flow import Flow
    from codesign.listings import list_shipped

    list_shipped(Flow, "flow")


@app.command()
def targets() -> None:
    """List the targets."""
    from codesign.listings import list_shipped
    from codesign.target import Target

    list_shipped(Target, "target")


@contextmanager
def _watched(console: "Console") -> "Generator[Watcher]":
    """Show passes as they run; an interruption ends the command with a word."""
    from codesign.console import Watcher

    watcher = Watcher(console)
    try:
        yield watcher
    except KeyboardInterrupt:  # caught here, for typer would end without a word
        watcher.stop()
        print("interrupted: run the same command again to continue", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        watcher.stop()


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        from codesign import __version__

        print(f"codesign {__version__}")
        raise typer.Exit


def _ended(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


def main() -> NoReturn:
    """Run the command line; no error of the user's shows a traceback."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # as an exception, which ends the tools that are running
        signal.signal(number, _ended)
    try:
        app()
    except CodesignError as error:
        label = "defect" if isinstance(error, ContractError) else "error"
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        print(f"{label}: {error}{notes}", file=sys.stderr)
        sys.exit(DEFECT if isinstance(error, ContractError) else BAD_INPUT)
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        step = "; free some space, and run the same command again to continue" if error.errno == ENOSPC else ""
        print(f"error: {error.strerror or error}{place}{step}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except Exception as error:  # noqa: BLE001  (the last line of defence)
        handle, log = tempfile.mkstemp(prefix="codesign-error-", suffix=".log", text=True)
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123  (a descriptor)
            file.write(traceback.format_exc())
        print(f"defect: {type(error).__name__}: {error}; details in {log}, please report it", file=sys.stderr)
        sys.exit(DEFECT)
    sys.exit(BUILT)
