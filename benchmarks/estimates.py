"""Error of the estimates of LUTs, flip-flops and latency, on random layers that Yosys synthesizes; and their fit.

    pip install -e ".[rtl]"
    python benchmarks/estimates.py [--networks N]

Networks are drawn (estimates_networks.py), made into Verilog by what transpile.rtl calls, and counted by what
synthesize.yosys calls, for UltraScale+. Rows go to estimates.csv, one network each, and are kept: the script goes on
where it stopped, and with all rows there it takes seconds. Then the first networks are fitted
(estimates_fit.py), the coefficients are written to codesign/estimate/model/fitted.json, and errors are those on the
others, which were drawn after the form of the estimates was settled.

How to read the table: how far each is off on the networks held out, relative to what Yosys counted, signs left out.

- "estimate.resources": from the integer weights, before anything is traced.
- "rtl_lut" and "lut": costs, which the allocator knows from widths and numbers of weights alone.
- "alkaid": its own estimate, known after it has traced the network, in LUTs.

"bias" is the median of estimated by counted: below 1, estimates are too low on the whole.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import numpy as np
from estimates_fit import FAMILY, HELD_OUT, Row, fit_rows, predict, read_rows, write_rows
from estimates_networks import Drawn, draw
from rich.console import Console
from rich.table import Table

from codesign.allocate.costs import Hardware, make_cost
from codesign.allocate.counting.counts import count
from codesign.estimate.model.fit import FITTED, Fit
from codesign.estimate.model.hardware import estimate
from codesign.estimate.model.terms import count_terms, ports
from codesign.hdl.families import FAMILIES, resources
from codesign.hdl.yosys import Yosys, count_cells, find_yosys
from codesign.target import load_target

CSV = Path(__file__).parent / "estimates.csv"
CLOCK_NS, TIMEOUT_S = 5.0, 1800.0


def known(drawn: Drawn) -> dict[str, object]:
    """What is known of a network before synthesis, by field of ``Row``."""
    quantized = drawn.quantized
    graph, codes = quantized.graph, quantized.codes
    widths = {name: int(np.max(fixed.width)) for name, fixed in quantized.formats.items()}
    nonzero = {name: int(np.count_nonzero(codes[name])) for name in graph.weights()}
    counted, terms = count(graph, widths, nonzero), count_terms(quantized)
    cost = make_cost("lut", Hardware(load_target("vu13p-l1t", Path())), "benchmark")
    return {
        "stage_levels": drawn.stage_levels,
        "ports": ports(quantized),
        "terms": tuple(terms.values()),
        "parts": counted.parts,
        "cost_lut": cost.total(counted),
    }


def synthesized(drawn: Drawn, yosys: Yosys) -> dict[str, object]:
    """What is counted of it, by field of ``Row``."""
    from codesign.hdl.circuit import trace_network
    from codesign.hdl.unrolled import write_unrolled

    start = perf_counter()
    circuit = trace_network(drawn.quantized)
    with tempfile.TemporaryDirectory() as name:
        project, log = Path(name) / "project", Path(name) / "yosys.log"
        graph, levels = drawn.quantized.graph, drawn.stage_levels
        interface = write_unrolled(circuit, graph, "network", CLOCK_NS, levels, project)
        cells, _ = count_cells(yosys, interface, project, [FAMILIES[FAMILY].command], log, TIMEOUT_S)
    counts = resources(FAMILIES[FAMILY], cells)
    return {
        "alkaid_lut": round(float(circuit.logic.cost), 3),
        "latency_cycles": interface.stages,
        **{name: counts[name] for name in ("lut", "ff", "carry")},
        "seconds": round(perf_counter() - start, 2),
        "yosys": yosys.version,
        "alkaid": version("alkaid"),
    }


def shown(fit: Fit, rows: list[Row]) -> Table:
    """Errors on the rows held out."""
    out = [row for row in rows if row.network >= HELD_OUT]
    table = Table(title=f"{len(out)} networks held out of {len(rows)}, {FAMILY}, Yosys {fit.yosys}")
    for name in ("estimate", "median error", "90 % within", "largest", "bias"):
        table.add_column(name, justify="left" if name == "estimate" else "right")
    predicted = [predict(fit, row) for row in out]
    ways: list[tuple[str, Callable[[int], float], str]] = [
        ("estimate.resources, LUTs", lambda i: predicted[i]["lut"], "lut"),
        ("alkaid, LUTs", lambda i: out[i].alkaid_lut, "lut"),
        ("cost rtl_lut, LUTs", lambda i: predicted[i]["part_lut"], "lut"),
        ("cost lut, LUTs", lambda i: out[i].cost_lut, "lut"),
        ("estimate.resources, flip-flops", lambda i: predicted[i]["ff"], "ff"),
        ("estimate.resources, cycles", lambda i: predicted[i]["latency_cycles"], "latency_cycles"),
    ]
    for name, way, counted in ways:
        ratios = np.array([way(i) / getattr(row, counted) for i, row in enumerate(out)])
        off = np.abs(ratios - 1)
        values = (np.median(off), np.quantile(off, 0.9), off.max())
        table.add_row(name, *(f"{100 * value:.1f} %" for value in values), f"{np.median(ratios):.2f}")
    return table


def main() -> None:
    """Synthesize what is missing, fit, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=204, help="how many there should be")
    wanted, console = parser.parse_args().networks, Console()
    found = {row.network: row for row in read_rows(CSV)}
    yosys = find_yosys()
    for number in range(wanted):
        if number not in found:
            drawn = draw(number)
            found[number] = Row(network=number, **known(drawn), **synthesized(drawn, yosys))  # type: ignore[arg-type]
            write_rows(CSV, list(found.values()))
            console.print(f"{number}: {found[number].lut} LUTs, {found[number].seconds} s")
    rows = list(found.values())
    fit = fit_rows(rows)
    FITTED.write_text(json.dumps(asdict(fit), indent=1) + "\n")
    console.print(shown(fit, rows))
    start = perf_counter()
    for number in range(10):
        drawn = draw(number)
        estimate(drawn.quantized, drawn.stage_levels)
    console.print(f"{sum(row.seconds for row in rows) / 60:.0f} minutes of synthesis in all")
    console.print(f"one estimate takes {100 * (perf_counter() - start):.0f} ms, the drawing included")


if __name__ == "__main__":
    main()
