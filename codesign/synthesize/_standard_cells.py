"""Yosys on standard cells: an RTL project becomes a netlist of the cells of a liberty file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.errors import InputError
from codesign.hdl.interface import Interface
from codesign.hdl.yosys import Yosys, read_counts, read_project, run_yosys
from codesign.synthesize._netlist import GATES, Cell, Netlist, read_cells, read_netlist

#: Names in the working folder; the liberty file's own may be anything.
LIBERTY, NETLIST = "cells.lib", "netlist.v"


@dataclass(frozen=True)
class Mapped:
    """A mapped project.

    Args:
        netlist: Its cells and nets.
        cells: The library's.
        counts: Numbers by cell.
        area_um2: The sum of their areas, as Yosys has it.
    """

    netlist: Netlist
    cells: dict[str, Cell]
    counts: dict[str, int]
    area_um2: float


def map_project(
    yosys: Yosys, interface: Interface, project: Path, clock_ns: float, log: Path, timeout_s: float
) -> Mapped:
    """Synthesize a project into standard cells; the netlist goes into its folder as ``NETLIST``.

    Args:
        yosys: What is called.
        interface: What the project says of itself.
        project: Its folder, with the liberty file as ``LIBERTY``.
        clock_ns: What ABC makes the paths fit into, by its own delays.
        log: Takes what Yosys prints.
        timeout_s: Longest time that it may take.

    Raises:
        ToolError: Yosys failed.
    """
    commands = [
        # Cells without a function, such as fillers, are of no use here.
        f"read_liberty -ignore_miss_func {LIBERTY}",
        "proc",
        "write_json cells.json",
        "design -reset",
        read_project(interface),
        f"synth -flatten -top {interface.top}",
        f"dfflibmap -liberty {LIBERTY}",
        f"abc -D {round(clock_ns * 1000)} -liberty {LIBERTY}",
        # OpenSTA knows no concatenations on the left of an assignment, and goes on with what it has understood.
        "splitnets",
        "opt_clean -purge",
        # So that netlist and JSON have the same names.
        "rename -enumerate",
        f"tee -q -o stat.json stat -json -liberty {LIBERTY}",
        f"write_verilog -noattr -noexpr -simple-lhs {NETLIST}",
        "write_json netlist.json",
    ]
    run_yosys(yosys, project, commands, log, timeout_s)
    counts, area = read_counts(project / "stat.json", log)
    cells = read_cells(project / "cells.json")
    if unknown := sorted(set(counts) - set(cells)):
        found = f"no cell for {', '.join(unknown)}"
        raise InputError("liberty file", found, "registers on a rising edge, and gates for everything else")
    return Mapped(read_netlist(project / "netlist.json", interface.top), cells, counts, area)


def smallest_nand(cells: dict[str, Cell]) -> Cell:
    """The smallest gate that is a NAND of two inputs: areas are counted in it.

    Raises:
        InputError: The library has none.
    """
    zero = np.zeros(1, np.uint64)
    nands: list[Cell] = []
    for cell in cells.values():
        if all(kind in GATES for kind, _ in cell.gates) and (len(cell.inputs), len(cell.outputs)) == (2, 1):
            first, second = np.array([0b0011], np.uint64), np.array([0b0101], np.uint64)
            (made,) = cell.outcome(dict(zip(cell.inputs, (first, second), strict=True)), zero).values()
            nands += [cell] if int(made[0]) & 0b1111 == 0b1110 else []
    if not nands:
        raise InputError("liberty file", "no NAND gate of two inputs", "one, for areas are counted in it")
    return min(nands, key=lambda cell: cell.area_um2)
