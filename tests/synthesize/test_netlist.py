"""Netlists of standard cells: areas counted again, integers and toggles against the reference and Verilator."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.errors import ToolError
from codesign.fixed import Codes
from codesign.hdl.interface import Interface
from codesign.hdl.play import play
from codesign.hdl.verilator import compile_player, find_verilator
from codesign.hdl.yosys import find_yosys, run_yosys
from codesign.quantized import Quantized
from codesign.synthesize._gates import WORDS, Activity, simulate
from codesign.synthesize._netlist import Cell, Netlist
from codesign.synthesize._standard_cells import LIBERTY, NETLIST, Mapped, smallest_nand
from tests.synthesize.projects import dense, mapped, needs_cells, vectors

pytestmark = needs_cells

#: As many vectors as there are streams, four times: each stream plays four.
COUNT = 64 * WORDS * 4


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    return dense((4, 3, 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("netlist") / "project"


@pytest.fixture(scope="module")
def made(quantized: Quantized, folder: Path) -> tuple[Mapped, Interface]:
    return mapped(quantized, folder)


@pytest.fixture(scope="module")
def played(made: tuple[Mapped, Interface], quantized: Quantized) -> Activity:
    netlist, interface = made
    return simulate(netlist.netlist, netlist.cells, interface, *vectors(quantized, COUNT))


def test_area_is_that_of_the_cells_in_the_netlist(made: tuple[Mapped, Interface], folder: Path) -> None:
    instances = re.findall(r"^  (\w+) _\d+_ \($", (folder / NETLIST).read_text(), re.M)
    areas = re.findall(r"^cell \((\w+)\) \{[^{}]*?^\s*area : ([\d.]+)", (folder / LIBERTY).read_text(), re.M)
    assert made[0].area_um2 == sum(float(dict(areas)[name]) for name in instances)
    assert sum(made[0].counts.values()) == len(instances) > 100
    assert made[0].counts == {name: instances.count(name) for name in set(instances)}
    assert (smallest_nand(made[0].cells).name, smallest_nand(made[0].cells).area_um2) == ("NAND2X1", 24.0)


def test_the_netlist_gives_the_integers(played: Activity) -> None:
    assert played.mismatches == 0


@pytest.mark.parametrize("count", [1, 7, 600, 1025])
def test_any_number_of_vectors(count: int, made: tuple[Mapped, Interface], quantized: Quantized) -> None:
    netlist, interface = made
    given, (wanted,) = vectors(quantized, count)
    assert simulate(netlist.netlist, netlist.cells, interface, given, [wanted]).mismatches == 0
    wrong = wanted.copy()
    wrong[count // 2, 0] ^= 1
    assert simulate(netlist.netlist, netlist.cells, interface, given, [wrong]).mismatches == 1


def test_another_cell_is_seen(made: tuple[Mapped, Interface], quantized: Quantized) -> None:
    """Every kind of cell is put in place of one with the same pins."""
    netlist, interface = made
    pins = {name: (cell.inputs, cell.outputs) for name, cell in netlist.cells.items()}
    for old, new in (("NAND2X1", "NOR2X1"), ("XOR2X1", "XNOR2X1"), ("AOI21X1", "OAI21X1"), ("INVX1", "BUFX2")):
        assert pins[old] == pins[new]
        cells = netlist.cells | {old: netlist.cells[new]}
        assert simulate(netlist.netlist, cells, interface, *vectors(quantized, 600)).mismatches > 0


def test_a_stage_too_few_is_seen(made: tuple[Mapped, Interface], quantized: Quantized) -> None:
    netlist, interface = made
    late = replace(interface, stages=interface.stages + 1)
    assert simulate(netlist.netlist, netlist.cells, late, *vectors(quantized, 600)).mismatches > 500


def test_toggles_of_ports_are_those_of_the_vectors(
    played: Activity, made: tuple[Mapped, Interface], quantized: Quantized
) -> None:
    """Each vector after the one before it, and the first after the last."""
    (netlist, interface), (given, wanted) = made, vectors(quantized, COUNT)
    for (port,), (codes,) in ((interface.inputs, given), (interface.outputs, wanted)):
        flat = codes.reshape(COUNT, -1, 1)
        bits = ((flat >> np.arange(port.width)) & 1).reshape(COUNT, -1)
        assert np.array_equal(played.toggles[netlist.netlist.ports[port.name]], (bits != np.roll(bits, 1, 0)).mean(0))
    assert played.toggles[netlist.netlist.ports["clk"]] == 2
    assert (played.toggles[[0, 1]] == 0).all()
    assert (played.toggles[netlist.netlist.ports["in_valid"]] == 0).all()


def test_a_register_repeats_what_it_reads(played: Activity, made: tuple[Mapped, Interface]) -> None:
    """Over whole rounds of the vectors a register toggles as often as its input."""
    registers = made[0].netlist.connections["DFFPOSX1"]
    assert np.allclose(played.toggles[registers["D"]], played.toggles[registers["Q"]])


def test_loads_are_the_pins(made: tuple[Mapped, Interface]) -> None:
    netlist, cells = made[0].netlist, made[0].cells
    clock = netlist.ports["clk"][0]
    wanted = made[0].counts["DFFPOSX1"] * cells["DFFPOSX1"].capacitances["CLK"]
    assert netlist.loads(cells)[clock] == pytest.approx(wanted)


def loop(outputs: tuple[str, ...], gates: tuple[tuple[str, dict[str, int]], ...]) -> tuple[Netlist, dict[str, Cell]]:
    """A cell whose input is its own output."""
    cell = Cell("X", 1.0, ("A",), outputs, {"A": 1.0}, gates, {"A": 2, "Y": 3})
    ports = {name: np.array([number]) for number, name in enumerate(("clk", "in_valid", "out_valid", "x", "y"), 2)}
    return Netlist(9, ports, {"X": ["x"]}, {"X": {"A": np.array([7]), "Y": np.array([7])}}), {"X": cell}


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ((("$_NOT_", {"A": 2, "Y": 3}),), "a loop without a register"),
        ((("$_DFF_P_", {"C": 2, "D": 2, "Q": 3}),), "X on another net; wanted: registers on clk alone"),
        ((("$_DFF_P_", {"C": 8, "D": 2, "Q": 3}),), "the clock of cell X"),
        ((("$_DLATCH_P_", {"E": 2, "D": 2, "Q": 3}),), "a loop|_DLATCH_P_"),
    ],
)
def test_what_can_not_be_played_is_an_error(gates, words: str, made: tuple[Mapped, Interface]) -> None:
    interface = made[1]
    (before,), (after,) = interface.inputs, interface.outputs
    small = replace(
        interface,
        inputs=(replace(before, name="x", shape=(1,), width=1),),
        outputs=(replace(after, name="y", shape=(1,), width=1),),
    )
    with pytest.raises(ToolError, match=words):
        simulate(*loop(("Y",), gates), small, [np.zeros((3, 1), np.int64)], [np.zeros((3, 1), np.int64)])


def test_a_latch_is_no_gate() -> None:
    _, cells = loop(("Y",), (("$_DLATCH_P_", {"E": 2, "D": 2, "Q": 3}),))
    zero = np.zeros(1, np.uint64)
    with pytest.raises(ToolError, match="_DLATCH_P_ in cell X"):
        cells["X"].outcome({"A": zero}, zero)


@pytest.mark.slow
def test_verilator_agrees(made: tuple[Mapped, Interface], quantized: Quantized, folder: Path) -> None:
    """A second simulator on the same netlist, with models of the cells that Yosys makes of the liberty file."""
    log = folder / "log"
    lines = [f"read_liberty -ignore_miss_func {LIBERTY}", "write_verilog -noattr cells.v"]
    run_yosys(find_yosys(), folder, lines, log, 60)
    interface = replace(made[1], files=(NETLIST, "cells.v"))
    given, wanted = vectors(quantized, 1000)
    player = compile_player(find_verilator(), interface, folder, "g++", log, 600)
    codes = [
        [Codes(values, int(port.fixed.fraction)) for port, values in zip(ports, all_values, strict=True)]
        for ports, all_values in ((interface.inputs, given), (interface.outputs, wanted))
    ]
    found = play(player, interface, *codes, 0, log, 600)
    assert (found.mismatches, found.latency, found.interval) == (0, interface.stages, 1.0)
