"""Points as Verilog, counted by Yosys."""

import json
import tempfile
from math import nan
from pathlib import Path

from alkaid.types import CombLogic  # type: ignore[attr-defined]

from codesign.hdl.alkaid import RTLModel, static_files, write_modules
from codesign.hdl.families import FAMILIES, resources
from codesign.hdl.interface import Interface
from codesign.hdl.yosys import count_cells, find_yosys

CLOCK_NS, LEVELS, TIMEOUT_S, FAMILY = 5.0, 5, 3600.0, FAMILIES["xcup"]


def estimated(run: Path) -> list[dict[str, float]]:
    """The points of a maker's run with LUTs by alkaid's estimate."""
    points = json.loads((run / "points.json").read_text())["points"]
    return [{**point, "lut": point["alkaid"], "ff": nan, "stages": nan} for point in points]


def counted(run: Path) -> list[dict[str, float]]:
    """The points of a maker's run with LUTs, flip-flops and stages, which are kept beside them."""
    rows: list[dict[str, float]] = []
    for point in json.loads((run / "points.json").read_text())["points"]:
        kept = run / f"{point['file']}.counts"
        if not kept.exists():
            kept.write_text(json.dumps(_counts(run / point["file"])))
        rows.append({**{key: value for key, value in point.items() if key != "file"}, **json.loads(kept.read_text())})
    return rows


def _counts(logic: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        machine = RTLModel(CombLogic.load(logic), folder, "network", latency_cutoff=LEVELS, clock_period=CLOCK_NS).fsm
        for source in static_files("verilog"):
            (folder / source.name).write_bytes(source.read_bytes())
        for name, code in write_modules(machine, "network", "verilog", "network").items():
            (folder / f"{name}.v").write_text(code)
        files = tuple(sorted(path.name for path in folder.glob("*.v")))
        (made,) = machine.out_signals
        interface = Interface("network", files, CLOCK_NS, made.schedule.bias, 1, (), ())
        cells, _ = count_cells(find_yosys(), interface, folder, [FAMILY.command], folder / "yosys.log", TIMEOUT_S)
    counts = resources(FAMILY, cells)
    return {"lut": counts["lut"], "ff": counts["ff"], "stages": made.schedule.bias}
