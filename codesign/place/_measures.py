"""Cells and clock frequencies as measures: what Yosys mapped, and what nextpnr placed."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from codesign.design import Measure
from codesign.hdl.families import FAMILIES, resources
from codesign.place._nextpnr import Routed


@dataclass(frozen=True)
class Cell:
    """What a target limits.

    Args:
        name: nextpnr's name of the cell.
        each: How much of the target's one of them is.
        unit: What is counted.
    """

    name: str
    each: float
    unit: str


#: By the target's name.
CELLS: Mapping[str, Cell] = MappingProxyType(
    {
        "lut": Cell("TRELLIS_COMB", 1.0, "LUT4s with those of carry chains"),
        "ff": Cell("TRELLIS_FF", 1.0, "flip-flops"),
        "dsp": Cell("MULT18X18D", 1.0, "DSPs"),
        "bram_36k": Cell("DP16KD", 0.5, "block RAMs of 36 kb"),
    }
)


def mapped(cells: Mapping[str, int], yosys: str, owner: str) -> dict[str, Measure]:
    """What Yosys counts. A carry cell is two LUT4s; packing takes some more, to enter and leave carry chains.

    Args:
        cells: Numbers by Yosys's cell type.
        yosys: Its version.
        owner: The pass.
    """
    found = resources(FAMILIES["ecp5"], cells)
    counts = {**found, "lut": found["lut"] + 2 * found["carry"]}
    return {
        f"mapped_{name}": Measure(float(counts[name]), f"{cell.unit} (Yosys {yosys})", "synthesized", owner)
        for name, cell in CELLS.items()
    }


def placed(routed: Mapping[int, Routed], where: str, owner: str) -> dict[str, Measure]:
    """What nextpnr counts, the same for all seeds, and the clock frequencies; the lowest is the one to be relied on.

    Args:
        routed: By seed.
        where: Chip and version.
        owner: The pass.
    """
    one = routed[min(routed)]
    figures = {name: (one.used.get(cell.name, 0) * cell.each, cell.unit) for name, cell in CELLS.items()}
    lut = CELLS["lut"].name
    figures["utilization"] = 100 * one.used[lut] / one.available[lut], f"% of {one.available[lut]:,} LUT4s"
    figures["fmax_mhz"] = min(each.fmax_mhz for each in routed.values()), f"MHz, lowest of {len(routed)} seeds"
    for seed, each in routed.items():
        figures[f"fmax_mhz_seed_{seed}"] = each.fmax_mhz, "MHz"
    return {
        f"nextpnr_{name}": Measure(float(value), f"{unit} ({where})", "placed", owner)
        for name, (value, unit) in figures.items()
    }
