"""The longest path against a closed form, and an OpenSTA that complains, lies or dies: an error, and no numbers."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from codesign.errors import ToolError
from codesign.hdl.yosys import find_yosys, run_yosys
from codesign.synthesize._liberty import Group, read_library
from codesign.synthesize._netlist import read_cells, read_netlist
from codesign.synthesize._power import PowerModel, _look_up
from codesign.synthesize._sta import Timing, analyze
from codesign.synthesize._standard_cells import LIBERTY, NETLIST, smallest_nand
from tests.synthesize.projects import chain, needs_sta, round_library


def timed(folder: Path, netlist: str, clock_ns: float = 10.0, outside_ns: float = 0.0) -> Timing:
    (folder / LIBERTY).write_text(round_library())
    (folder / NETLIST).write_text(netlist)
    return analyze(folder, "chain", clock_ns, outside_ns, folder / "log", 60)


@needs_sta
@pytest.mark.parametrize("length", [0, 1, 7, 30])
@pytest.mark.parametrize("clock_ns", [10.0, 2.0])
def test_the_longest_path_is_that_of_the_cells(length: int, clock_ns: float, tmp_path: Path) -> None:
    """0.3 ns out of the register, 0.1 ns for each inverter, 0.05 ns before the next edge."""
    found = timed(tmp_path, chain(length), clock_ns)
    assert found.slack_ns == pytest.approx(clock_ns - 0.3 - 0.1 * length - 0.05, abs=1e-5)
    assert f"i{length - 1}/Y" in found.report or length == 0


@needs_sta
def test_time_outside_is_taken_off(tmp_path: Path) -> None:
    """From the input to the first register 0.05 ns, from the last to the output 0.3 ns."""
    assert timed(tmp_path, chain(1), 10.0, 4.0).slack_ns == pytest.approx(10 - 4 - 0.3, abs=1e-5)


@needs_sta
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("assign {n0, n1} = {x, x};", "syntax error"),
        ("NOPE other (.A(x), .Y(n0));", "NOPE"),
        ("INV other (.A(x), .Q(n0));", "Q"),
        ("INV other (.A(", "syntax error"),
    ],
)
def test_a_netlist_that_is_half_understood_has_no_numbers(line: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=rf"OpenSTA.*{words}"):
        timed(tmp_path, chain(1).replace("endmodule", f"  {line}\nendmodule"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("exit 3", "exit status 3"),
        ("kill -9 $$", "killed by signal 9"),
        ("exec sleep 600", "not finished after 0.5 s"),
        ("true", "no end of the script"),
        ("echo garbage", "no end of the script"),
        ('echo "codesign: library"; echo "codesign: done"', "no path"),
        ('echo "codesign: library"; echo "codesign: done"; echo garbage > timing.rpt', "no path"),
        (
            'echo "codesign: library"; echo "codesign: done"; echo "1.0 slack (MET)" > timing.rpt; '
            "echo a b > slopes.txt",
            "slopes that are no numbers",
        ),
        (
            'echo "codesign: library"; echo "Warning: cell X not found"; echo "codesign: done"; '
            'echo "1.0 slack (MET)" > timing.rpt; : > slopes.txt',
            "cell X not found",
        ),
    ],
)
def test_a_tool_that_fails_is_an_error(body: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "sta"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ToolError, match=words):
        analyze(tmp_path, "chain", 10.0, 0.0, tmp_path / "log", 0.5)


def model(folder: Path, length: int) -> PowerModel:
    """A chain, all slopes 0."""
    (folder / LIBERTY).write_text(round_library())
    (folder / NETLIST).write_text(chain(length))
    library = [f"read_liberty {LIBERTY}", "proc", "write_json cells.json", "design -reset"]
    lines = [*library, f"read_verilog {NETLIST}", "write_json netlist.json"]
    run_yosys(find_yosys(), folder, lines, folder / "log", 60)
    cells, netlist = read_cells(folder / "cells.json"), read_netlist(folder / "netlist.json", "chain")
    slopes = {
        f"{name}/{pin}": (0.0, 0.0)
        for cell, names in netlist.instances.items()
        for name in names
        for pin in cells[cell].nets
    }
    return PowerModel(read_library(folder / LIBERTY), cells, netlist, slopes, 10.0)


def test_power_is_that_of_hand_counting(tmp_path: Path) -> None:
    """3 inverters between 2 registers, 2 V, 10 ns; every net toggles once in 2 cycles, the clock twice in one.

    Loads: x, n0 to n3 carry 10 fF each, the clock 5 fF for each register, y none. An inverter takes 3 fJ in the unit of
    volt squared (12 fJ would be at 2 V, had the unit been the supply), a register 4 for each edge of the clock.
    """
    own = model(tmp_path, 3)
    toggles = np.full(own.netlist.nets, 0.5)
    toggles[own.netlist.ports["clk"]] = 2.0
    toggles[:2] = 0.0
    found = own.power(toggles)
    per_fj = 1e-15 / 10e-9 * 1e3  # in mW, once in a cycle
    assert found.switching == pytest.approx(0.5 * 4 * (0.5 * 5 * 10 + 2 * 2 * 5) * per_fj)
    assert found.internal == pytest.approx((3 * 0.5 * 3 + 2 * 2 * 4) * per_fj)
    assert found.leakage == pytest.approx((3 * 3 + 2 * 7) * 1e-9 * 1e3)
    assert found.total == pytest.approx(found.switching + found.internal + found.leakage)
    assert smallest_nand(own.cells).name == "NAND"


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32))
def test_tables_are_linear_between_their_points(rows: int, columns: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    loads, slopes = np.cumsum(random.uniform(0.1, 1, rows)), np.cumsum(random.uniform(0.1, 1, columns))
    values = random.normal(size=(rows, columns))
    variables = {"variable_1": "total_output_net_capacitance", "variable_2": "input_transition_time"}
    points = {"index_1": ", ".join(map(str, loads)), "index_2": ", ".join(map(str, slopes))}
    library = Group("library", "", {}, [Group("power_lut_template", "t", variables | points)])
    table = Group("rise_power", "t", {"values": ",".join(map(str, values.reshape(-1)))})
    at = random.uniform(-0.5, 6, (2, 40))
    found = _look_up(library, table, *at)
    if rows > 1 and columns > 1:
        inside = np.stack([np.clip(at[0], loads[0], loads[-1]), np.clip(at[1], slopes[0], slopes[-1])], 1)
        assert np.allclose(found, RegularGridInterpolator((loads, slopes), values)(inside))
    assert found.min() >= values.min() - 1e-12
    assert found.max() <= values.max() + 1e-12
