"""Accuracy after fine-tuning: chosen bits beside uniform ones, at the same budgets, seeds and epochs.

    python benchmarks/allocation_accuracy.py [--budgets 250000 300000 350000] [--seeds 0 1 2] [--json FILE]

The jet tagger of examples/jets, by its build file, on the flow qonnx. For each budget in BOPs (cost bops_campos):

- "uniform": the most bits, the same for all layers' weights and three more for activations, that the budget allows;
- "per tensor": what allocate.pareto chooses of the same widths;
- "per channel": what it chooses with a width for every output channel, activations free, and channels that may go.

"predicted" is the expected loss increase before fine-tuning, "accuracy" that of the integers on the test split: mean
and standard deviation over the seeds. "BOPs" are recounted from the exported file, the largest over the seeds.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from codesign import build_file
from codesign.pipeline import BuildResult
from codesign.setting import Setting

JETS = Path(__file__).parent.parent / "examples" / "jets" / "build.toml"
COST = "bops_campos"
CHANNELS = {"allocate.granularity": "channel", "allocate.activations": "free", "allocate.prune": True}
FEW = {"allocate.points": 2}


def built(options: dict[str, Any], seed: int, folder: Path, until: str | None = None) -> BuildResult:
    """The jet tagger with some options."""
    given = [Setting(key, value, "benchmark", JETS.parent, explicit=True) for key, value in options.items()]
    return build_file(JETS, folder, flow="qonnx", set_options=given, seed=seed, until=until)


def uniform_bits(budget: float, folder: Path) -> int:
    """The most bits that every layer can have."""
    front = built({}, 0, folder, "allocate").design.front
    return max(bits for bits, point in front.uniform.items() if point.costs[COST] <= budget)


def compare(budget: float, seeds: list[int], folder: Path, console: Console) -> list[dict[str, Any]]:
    """A record per way to choose bits."""
    bits = uniform_bits(budget, folder)
    budgets = {f"allocate.budgets.{COST}": budget}
    ways: dict[str, dict[str, Any]] = {
        f"uniform, {bits} bits": budgets | {"allocate.bits": {"*.weight": bits}},
        "per tensor": budgets,
        "per channel": budgets | CHANNELS | FEW,
    }
    rows: list[dict[str, Any]] = []
    for name, options in ways.items():
        results: list[dict[str, Any]] = []
        for seed in seeds:
            console.print(f"[dim]{budget:,.0f} BOPs, {name}, seed {seed}[/]")
            report = built(options, seed, folder).report
            assert report is not None
            assert not report["failures"], report["failures"]
            results.append(report)
        accuracies = [report["quality"]["accuracy"]["quantized"] for report in results]
        measures = [{row["name"]: row["value"] for row in report["measures"]} for report in results]
        rows.append(
            {
                "budget_bops": budget,
                "assignment": name,
                "predicted_loss_increase": measures[0]["predicted_loss_increase"],
                "bops": max(each[COST] for each in measures),
                "accuracies": accuracies,
                "accuracy_mean": mean(accuracies),
                "accuracy_stdev": stdev(accuracies) if len(accuracies) > 1 else 0.0,
                "accuracy_float": results[0]["quality"]["accuracy"]["float"],
            }
        )
    return rows


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """The table."""
    table = Table(title=f"Jet tagger, float accuracy {rows[0]['accuracy_float']:.4f}")
    for heading in ("budget", "assignment", "BOPs (estimated)", "predicted (estimated)", "accuracy (simulated)"):
        table.add_column(heading, justify="left" if heading == "assignment" else "right")
    for row in rows:
        accuracy = f"{row['accuracy_mean']:.4f} ± {row['accuracy_stdev']:.4f}"
        predicted = f"{row['predicted_loss_increase']:.3g}"
        table.add_row(f"{row['budget_bops']:,.0f}", row["assignment"], f"{row['bops']:,.0f}", predicted, accuracy)
    console.print(table)


def main() -> None:
    """Build all, print, and write the records if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", type=float, nargs="+", default=[250_000.0, 300_000.0, 350_000.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path, help="write the records here")
    options = parser.parse_args()
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for b in options.budgets for row in compare(b, options.seeds, Path(folder) / "build", console)]
    show(rows, console)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
