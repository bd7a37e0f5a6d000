"""Time to allocate bits with a proof, beside other solvers, in one run.

    pip install -e ".[benchmarks]"
    python benchmarks/allocation.py [--layers 50 500 5000] [--instances N] [--seconds S] [--quick] [--json FILE]

Problems: random networks of 50, 500 and 5000 layers, eight widths per layer, and two bounds: multiplications times
bits, and parameters times bits (allocation_peers/instances.py). All solvers get the same problems, one after another.

How to read the table:

- "to 1e-4", "to 1e-6": time until the answer is proven to be within this relative gap of the optimum; the median over
  the instances. Setting up the solver's own form of the problem is part of it: PuLP's expressions, matrices for scipy.
  "> 60 s" means that for the median instance the limit was reached first.
- "x faster": the time that PuLP with CBC takes, divided by this solver's; with ">" if CBC reached the limit.
- "gap proven": the largest over the instances, of the run to 1e-6: (objective - bound) / objective, from the exact
  recount of the objective and the bound that the solver states itself.
- "above best": how much the objective is above the best that any solver found for this problem; the largest over the
  instances, of the run to 1e-6.
- "over bounds": largest relative excess over a bound, recounted exactly, in any run. The solvers of codesign never have
  one; others stop within tolerances.

The script ends with an error if an answer is worse than the best known one by more than its proven gap, or if a bound
that a solver states is above what another one found.

"PuLP + CBC" is what HAWQ-V3 allocates bits with (Yao et al. 2021), one thread, CBC's own settings. "scipy milp, plain"
is HiGHS with the problem as it stands; "codesign milp" is the same HiGHS behind scaling and exact recounts, for costs
that may couple layers; "codesign lagrangian" asks HiGHS only about the choices that prices of the bounds leave open.
"""

import argparse
import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from math import inf, isfinite
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from allocation_peers.instances import instance
from allocation_peers.methods import CBC, LAGRANGIAN, METHODS, MILP, Found
from rich.console import Console
from rich.table import Table

from codesign.allocate._problem import Problem

GAPS = (1e-4, 1e-6)
WIDTH = 110
#: Rounding of the others' bounds and of their answers, relative.
ROUNDING = 1e-7


@dataclass(frozen=True)
class Run:
    """One solver on one problem: what it found, recounted."""

    layers: int
    instance: int
    method: str
    wanted_gap: float
    seconds: float
    objective: float | None
    bound: float | None
    over_bounds: float

    @property
    def gap(self) -> float:
        """The gap that is proven; infinite without an answer or a bound."""
        if self.objective is None or self.bound is None:
            return inf
        return max(self.objective - self.bound, 0.0) / abs(self.objective)

    @property
    def proven(self) -> bool:
        """Whether it is as small as wanted."""
        return self.gap <= self.wanted_gap * (1 + ROUNDING)


def run_of(problem: Problem, method: str, gap: float, limit: float, layers: int, seed: int) -> Run:
    """Solve once; warnings and remarks of solvers go where they go."""
    start = perf_counter()
    found: Found = METHODS[method](problem, gap, limit)
    seconds = perf_counter() - start
    picks = found.picks
    over = 0.0 if picks is None else max((b.cost.value(picks) - b.most) / b.most for b in problem.bounds)
    bound = found.bound if isfinite(found.bound) else None
    objective = None if picks is None else problem.value(picks)
    return Run(layers, seed, method, gap, seconds, objective, bound, max(over, 0.0))


def disagreements(runs: list[Run]) -> list[str]:
    """What cannot be true of runs on the same problem."""
    answers = [run for run in runs if run.objective is not None]
    within = [run.objective for run in answers if run.over_bounds == 0 and run.objective is not None]
    best, found = min(within, default=inf), []
    for run in runs:
        where = f"{run.layers} layers, instance {run.instance}, {run.method}, gap {run.wanted_gap:g}"
        if run.bound is not None and run.bound > best * (1 + ROUNDING):
            found.append(f"{where}: states the bound {run.bound:.9g}, but {best:.9g} was found")
        if run.objective is not None and isfinite(run.gap) and run.objective > best / (1 - run.gap) * (1 + ROUNDING):
            found.append(f"{where}: {run.objective:.9g} is not within its gap of {best:.9g}")
        if run.over_bounds > (0 if run.method in (LAGRANGIAN, MILP) else 1e-6):
            found.append(f"{where}: over a bound by {run.over_bounds:.1e}")
    return found


def row_of(runs: list[Run], method: str, limit: float) -> dict[str, Any]:
    """A record of one method on all instances of one size."""
    own = [run for run in runs if run.method == method]
    row: dict[str, Any] = {"method": method}
    for gap in GAPS:
        times = {name: times_of(runs, name, gap) for name in (method, CBC)}
        row[f"seconds_to_{gap:g}"] = median(times[method]) if times[method] else None
        cbc = median(times[CBC]) if times[CBC] else None
        comparable = cbc is not None and isfinite(row[f"seconds_to_{gap:g}"])
        row[f"times_faster_than_cbc_{gap:g}"] = min(cbc, limit) / row[f"seconds_to_{gap:g}"] if comparable else None
        row[f"cbc_reached_limit_{gap:g}"] = cbc is not None and not isfinite(cbc)
    last = [run for run in own if run.wanted_gap == GAPS[-1]]
    row["gap_proven"] = max(run.gap for run in last)
    above: list[float] = []
    for run in last:
        same = [r for r in runs if r.instance == run.instance and r.objective is not None and r.over_bounds == 0]
        best = min((r.objective for r in same if r.objective is not None), default=inf)
        above.append(inf if run.objective is None else max(run.objective / best - 1, 0.0))
    return row | {"above_best": max(above), "over_bounds": max(run.over_bounds for run in own)}


def times_of(runs: list[Run], method: str, gap: float) -> list[float]:
    """Times of a method on all instances, infinite where the gap was not proven."""
    own = [run for run in runs if run.method == method and run.wanted_gap == gap]
    return [run.seconds if run.proven else inf for run in own]


def show(layers: int, rows: list[dict[str, Any]], limit: float, console: Console) -> None:
    """The table of one size."""
    table = Table(title=f"{layers} layers, 2 bounds, 8 widths")
    table.add_column("solver")
    for heading in ("to 1e-4", "x faster", "to 1e-6", "x faster", "gap proven", "above best", "over bounds"):
        table.add_column(heading, justify="right")
    for row in rows:
        cells: list[str] = []
        for gap in GAPS:
            seconds, ratio = row[f"seconds_to_{gap:g}"], row[f"times_faster_than_cbc_{gap:g}"]
            cells.append(f"{seconds:.3g} s" if isfinite(seconds) else f"> {limit:g} s")
            more = ">" if row[f"cbc_reached_limit_{gap:g}"] else ""
            cells.append(f"{more}{ratio:.3g}" if ratio and row["method"] != CBC else "-")
        numbers = [f"{row[name]:.1e}" if row[name] else "0" for name in ("gap_proven", "above_best", "over_bounds")]
        table.add_row(row["method"], *cells, *numbers)
    console.print(table)


def installed(package: str) -> str | None:
    """Its version."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Measure, check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, nargs="+", default=[50, 500, 5000])
    parser.add_argument("--instances", type=int, default=3, help="per number of layers")
    parser.add_argument("--seconds", type=float, default=60.0, help="longest time of one run")
    parser.add_argument("--quick", action="store_true", help="one instance of 30 layers: only to see that it runs")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    sizes, instances = ([30], 1) if options.quick else (options.layers, options.instances)
    console = Console(width=max(WIDTH, Console().width))
    methods = [name for name in METHODS if name != CBC or installed("pulp")]
    for name in methods:  # imports are not timed
        METHODS[name](instance(3, 0), 0.0, options.seconds)
    everything: list[Run] = []
    tables: dict[str, list[dict[str, Any]]] = {}
    for layers in sizes:
        runs: list[Run] = []
        for seed in range(instances):
            for name in methods:
                console.print(f"[dim]{layers} layers, instance {seed}: {name}[/dim]")
                runs += [run_of(instance(layers, seed), name, gap, options.seconds, layers, seed) for gap in GAPS]
        tables[str(layers)] = [row_of(runs, name, options.seconds) for name in methods]
        show(layers, tables[str(layers)], options.seconds, console)
        everything += runs
    wrong = [
        line
        for layers in sizes
        for seed in range(instances)
        for line in disagreements([run for run in everything if (run.layers, run.instance) == (layers, seed)])
    ]
    if options.json:
        packages = {name: installed(name) for name in ("numpy", "scipy", "pulp")}
        head = {"machine": platform.machine(), "packages": packages, "seconds": options.seconds}
        head |= {"quick": options.quick, "tables": tables, "runs": [asdict(run) for run in everything]}
        options.json.write_text(json.dumps(_finite(head), indent=2) + "\n")
    if wrong:
        raise SystemExit("\n".join(wrong))
    console.print("Every answer is within its proven gap of the best one known, and no stated bound is above it.")


def _finite(value: Any) -> Any:
    """Infinite numbers become null: JSON has none."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


if __name__ == "__main__":
    main()
