"""What points of the Pareto front cost once they are gates: cells, latency, clock frequency and accuracy.

    pip install -e ".[rtl]"
    python benchmarks/front.py [--flow ecp5] [--bops N ...] [--set PASS.OPTION=VALUE ...]

The jet tagger is built once for each budget, in one directory: all but what follows from the bits is taken from its
cache, and so is everything when the script is run again. Every point is fine-tuned, simulated, synthesized and, where
the flow places and the target has room, placed.

How to read the table: every column has one kind, which stands in its head. "-" is a number that there is not: the flow
doesn't count it, or the network was not placed.
"""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from codesign.console import Watcher
from codesign.pipeline import build_file
from codesign.setting import Setting, assigned

ROOT = Path(__file__).parent.parent
#: Points whose networks the flow ecp5 has room for: bits per channel, pruned, with inputs of eight bits.
SMALL = (
    "allocate.weight_bits=[2,8]",
    "allocate.activations=free",
    "allocate.activation_bits=[3,11]",
    "allocate.granularity=channel",
    "allocate.prune=true",
    "allocate.points=4",
    "allocate.input_bits=8",
)
#: Heads of columns and the measures in them, the first that there is; format.
COLUMNS = (
    ("weight bits (estimated)", ("weight_bits",), "{:,.0f}"),
    ("LUT (synthesized)", ("yosys_lut", "mapped_lut"), "{:,.0f}"),
    ("FF (synthesized)", ("yosys_ff", "mapped_ff"), "{:,.0f}"),
    ("LUT (placed)", ("nextpnr_lut",), "{:,.0f}"),
    ("Fmax in MHz (placed)", ("nextpnr_fmax_mhz",), "{:.1f}"),
    ("latency in cycles (simulated)", ("rtl_latency_cycles",), "{:.0f}"),
    ("accuracy (simulated)", ("accuracy_quantized",), "{:.4f}"),
)


def row(bops: float, report: dict[str, Any]) -> list[str]:
    """A point's line of the table."""
    measures = {measure["name"]: measure["value"] for measure in report["measures"]}
    cells = [f"{measures.get('bops_campos', bops):,.0f}"]
    for _, names, form in COLUMNS:
        found = next((measures[name] for name in names if name in measures), None)
        cells.append("-" if found is None else form.format(found))
    mismatches = sum(check["mismatches"] or 0 for check in report["checks"])
    return [*cells, f"{mismatches}"]


def main() -> None:
    """Build each point, print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flow", default="ecp5", help="rtl, ecp5 or asic")
    parser.add_argument("--bops", type=int, nargs="*", default=[25_000, 35_000, 45_000, 60_000], help="budgets")
    parser.add_argument("--set", action="append", default=None, dest="options", help="instead of the small points' own")
    parser.add_argument("--out", type=Path, default=Path("build/benchmark-front"), help="build directory")
    given = parser.parse_args()
    options = assigned(list(SMALL) if given.options is None else given.options)
    rows = list[list[str]]()
    for bops in given.bops:
        budget = Setting("allocate.budgets.bops_campos", bops, "--bops", ROOT, explicit=True)
        watcher = Watcher(Console(stderr=True))
        try:
            result = build_file(
                ROOT / "examples/jets/build.toml",
                given.out,
                flow=given.flow,
                set_options=[*options, budget, Setting("allocate.costs", ["weight_bits"], "--bops", ROOT, True)],
                observer=watcher,
            )
        finally:
            watcher.stop()
        assert result.report is not None
        rows.append(row(bops, result.report))
    heads = ["BOPs (estimated)", *(head for head, _, _ in COLUMNS), "mismatches (simulated)"]
    table = Table(*heads)
    for each in rows:
        table.add_row(*each)
    Console().print(table)
    print("\n".join("| " + " | ".join(each) + " |" for each in (heads, ["---"] * len(heads), *rows)))


if __name__ == "__main__":
    main()
