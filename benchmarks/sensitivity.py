"""Time to get the trace of the loss's Hessian for every layer's weights, beside other tools, in one run.

    pip install -e ".[benchmarks]"
    python benchmarks/sensitivity.py [--network jets|resnet20] [--threads N] [--quick] [--json FILE]

Networks: the jet MLP with its trained weights, 512 jets; ResNet-20, trained here for a minute on scikit-learn's digits
enlarged to 32x32, batch norm folded, 128 digits. All methods see the same float32 network, batch and number of threads.

How to read the table:

- "to 5 %", "to 1 %": time until every layer's trace is known with that relative error (for random estimators: that
  standard error). Layers are done one after another where a method takes one layer at a time. Exact methods need the
  same time for both. A time with ~ is extrapolated: the products needed, times the time of one. Others were run.
- "products": Hessian-vector products, or passes over the network, for 1 %. They follow from each layer's exact Hessian,
  made from per-sample gradients by none of the methods: the variance of a random probe in closed form; Hutch++ and
  XTrace by trying them on the exact matrix. Methods of whole passes are measured by their own spread.
- "x slower": time to 1 %, divided by that of codesign.
- "error": largest relative error over layers seen in the run to 1 %, or to 5 % if only that was run.
- "peak MiB": highest resident memory while the method runs, less that just before, in a process of its own: a complete
  run, or where 1 % is extrapolated, a few products for the first layer.

"codesign hessian_trace" is the loop over the data: batch in, traces with standard errors out, as the peers are timed.
"codesign, whole pass" is all that a build runs: it also checks the data, evaluates a batch twice, and looks how far
from a minimum the network is.

"plain backward passes" gives no traces: one forward pass, and one backward pass per class, is the work that exact
methods build on. "PyHessian fork" is the layerwise estimator of github.com/jicampos/PyHessian, by authors of arXiv
2304.06745, written out here; the original takes 100 probes per layer (or what the caller says), whatever the error.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from sensitivity_peers.exact import Block, exact_blocks
from sensitivity_peers.measure import ERRORS, Effort, Timed, time_exact, time_layerwise, time_passes
from sensitivity_peers.memory import peak_mib
from sensitivity_peers.methods import METHODS
from sensitivity_peers.networks import Workload, jets, resnet20

OURS = METHODS[0]
WIDTH = 130
NETWORKS: dict[str, tuple[Callable[[], Workload], Callable[[], Workload]]] = {
    "jets": (jets, lambda: jets(64)),
    "resnet20": (resnet20, lambda: resnet20(8, 2)),
}
Outcome = Timed | str


def why(error: Exception) -> str:
    """Why there is no number."""
    if isinstance(error, ImportError):
        return "not installed"
    return f"not run: {type(error).__name__} {str(error).splitlines()[0] if str(error) else ''}".rstrip()


def measure(load: Workload, blocks: dict[str, Block], effort: Effort, console: Console) -> dict[str, Outcome]:
    """Every method's times, or why there are none."""
    outcomes: dict[str, Outcome] = {}
    exact: dict[str, Callable[[], dict[str, float]]] = {}
    for method in METHODS:
        console.print(f"[dim]{load.name}: {method.name}[/dim]")
        try:
            if method.kind == "exact":
                run: Any = method.prepare(load)
                run()
                exact[method.name] = run
            elif len(blocks) > effort.layers:
                outcomes[method.name] = "left out"
            elif method.kind == "layerwise":
                outcomes[method.name] = time_layerwise(method, load, blocks, effort)
            else:
                outcomes[method.name] = time_passes(method, load, blocks, effort)
        except (ImportError, RuntimeError, MemoryError) as error:
            outcomes[method.name] = why(error)
    return outcomes | time_exact(exact, blocks, effort)


def rows_of(load: Workload, outcomes: dict[str, Outcome], memory: bool) -> list[dict[str, Any]]:
    """A record per method, units in the names."""
    ours = outcomes[OURS.name]
    rows: list[dict[str, Any]] = []
    for method in METHODS:
        outcome = outcomes[method.name]
        row: dict[str, Any] = {"method": method.name, "note": method.note}
        if isinstance(outcome, str):
            rows.append(row | {"note": outcome})
            continue
        for error, seconds, known in zip(ERRORS, outcome.seconds, outcome.known, strict=True):
            row |= {f"seconds_to_{error * 100:g}_percent": seconds, f"known_to_{error * 100:g}_percent": known}
        row["times_slower_than_ours"] = None if isinstance(ours, str) else outcome.seconds[-1] / ours.seconds[-1]
        row |= {"products": outcome.products, "largest_relative_error": outcome.error}
        row["peak_memory_mib"] = peak_mib(method, load, outcome.counts) if memory else None
        rows.append(row | {"details": outcome.details})
    return rows


def show(load: Workload, rows: list[dict[str, Any]], console: Console) -> None:
    """The table of one network."""
    title = f"{load.name}: {len(load.layers())} layers, batch {len(load.y)}, loss {load.loss():.3f}"
    table = Table(title=title)
    for heading in ("method", "to 5 %", "to 1 %", "x slower", "products", "error", "peak MiB", "note"):
        table.add_column(heading, justify="left" if heading in ("method", "note") else "right")
    for row in rows:
        if "known_to_1_percent" not in row:
            table.add_row(row["method"], *["-"] * 6, row["note"])
            continue
        times = [duration(row[f"seconds_to_{p}_percent"], row[f"known_to_{p}_percent"]) for p in (5, 1)]
        products = str(row["products"][-1]) if row["products"] else "exact"
        formats = {"largest_relative_error": ".1e", "peak_memory_mib": ".0f"}
        numbers = [f"{row[name]:{form}}" if row[name] is not None else "-" for name, form in formats.items()]
        slower = row["times_slower_than_ours"]
        ratio = f"{slower:,.0f}" if slower and slower >= 10 else f"{slower:.2f}" if slower else "-"
        table.add_row(row["method"], *times, ratio, products, *numbers, row["note"])
    console.print(table)


def duration(seconds: float, known: str) -> str:
    """Three digits in a fitting unit; ~ before what is extrapolated."""
    units = ((7200, 3600, "h"), (120, 60, "min"), (1, 1, "s"), (0, 1e-3, "ms"))
    number, unit = next((seconds / size, unit) for least, size, unit in units if seconds >= least)
    return f"{'~' if known == 'extrapolated' else ''}{number:.3g} {unit}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=list(NETWORKS), help="only this one")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument(
        "--quick", action="store_true", help="small batches, few repeats, no memory: only to see that it runs"
    )
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console(width=max(WIDTH, Console().width))
    effort = Effort(1.0, 0.2, 0.5, layers=4) if options.quick else Effort()
    result: dict[str, Any] = {
        "threads": options.threads,
        "torch": torch.__version__,
        "quick": options.quick,
        "networks": {},
    }
    for name in [options.network] if options.network else list(NETWORKS):
        console.print(f"[dim]{name}: the network and its exact Hessian[/dim]")
        try:
            load = NETWORKS[name][options.quick]()
        except ImportError as error:
            console.print(f"{name}: left out, {error}")
            continue
        torch.manual_seed(0)
        blocks = exact_blocks(load)
        rows = rows_of(load, measure(load, blocks, effort, console), not options.quick)
        show(load, rows, console)
        exact = {name: block.trace for name, block in blocks.items()}
        result["networks"][name] = {"batch": len(load.y), "loss": load.loss(), "exact_traces": exact, "rows": rows}
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
