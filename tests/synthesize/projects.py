"""Small RTL projects, a library of cells whose delays and energies are round numbers, and whether tools are there."""

import os
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from codesign.fixed import Fixed
from codesign.hdl.circuit import trace_network
from codesign.hdl.interface import Interface
from codesign.hdl.unrolled import write_unrolled
from codesign.hdl.yosys import find_yosys
from codesign.load._fx import graph_from_module
from codesign.network import QuantizedNetwork
from codesign.quantized import Quantized
from codesign.shipped import read_shipped, shipped_path
from codesign.synthesize._standard_cells import LIBERTY, Mapped, map_project
from codesign.target import Target

OSU018 = Path(read_shipped(Target, shipped_path("target", "osu018", Path())).liberty)
#: CI installs cells and OpenSTA: there, a missing one is an error.
IN_CI = "CI" in os.environ
needs_cells = pytest.mark.skipif(
    not OSU018.is_file() and not IN_CI, reason="no cells: apt-get install qflow-tech-osu018"
)
needs_sta = pytest.mark.skipif(shutil.which("sta") is None and not IN_CI, reason="no OpenSTA: apt-get install opensta")
needs_ghdl = pytest.mark.skipif(shutil.which("ghdl") is None, reason="no GHDL: apt-get install ghdl")


def dense(sizes: tuple[int, ...], seed: int = 0) -> Quantized:
    """Linear layers with ReLU between them, weights of 4 bits, everything else of 6."""
    torch.manual_seed(seed)
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    graph, _ = graph_from_module(nn.Sequential(*layers[:-1]).eval(), [(sizes[0],)], "inside")
    random, signs = np.random.default_rng(seed), graph.signed()
    formats = {name: Fixed(signs[name], 6, 2) for name in graph.activations()}
    formats |= dict.fromkeys(graph.inputs, Fixed(True, 6, 2))
    parameters: dict[str, np.ndarray] = {}
    for node in graph.weighted():
        roles = node.op.parameters()
        formats[roles["weight"]] = Fixed(True, 4, 1)
        for name in roles.values():
            parameters[name] = (random.normal(size=graph.parameters[name].shape) * 0.7).astype("f4")
    return QuantizedNetwork(graph, formats).freeze(parameters)


def mapped(quantized: Quantized, folder: Path, clock_ns: float = 10.0) -> tuple[Mapped, Interface]:
    """The network in OSU018's cells; the working folder is as the pass leaves it."""
    interface = write_unrolled(trace_network(quantized), quantized.graph, "network", clock_ns, 2, folder)
    shutil.copyfile(OSU018, folder / LIBERTY)
    return map_project(find_yosys(), interface, folder, clock_ns, folder / "log", 600), interface


def vectors(quantized: Quantized, count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Random inputs and the reference's outputs, as codes."""
    (shape,) = quantized.graph.inputs.values()
    codes = quantized.encode([np.random.default_rng(3).uniform(-2, 2, (count, *shape)).astype("f4")])
    made = quantized.run(codes)
    return [x.values for x in codes.values()], [made[name].values for name in quantized.graph.outputs]


#: Delays in ns: inverter 0.1, NAND 0.2, register 0.3 after the clock and 0.05 before it. Energies in fJ: see below.
ROUND = """/* round numbers */
library (round) {
  delay_model : table_lookup; time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1uA"; leakage_power_unit : "1nW"
  pulling_resistance_unit : "1kohm";
  capacitive_load_unit (1, ff);
  input_threshold_pct_rise : 50; output_threshold_pct_rise : 50; slew_lower_threshold_pct_rise : 20;
  input_threshold_pct_fall : 50; output_threshold_pct_fall : 50; slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80; slew_upper_threshold_pct_fall : 80;
  nom_voltage : 2.0; nom_process : 1; nom_temperature : 25;
  lu_table_template (one) { variable_1 : total_output_net_capacitance; index_1 ("0, 1000"); }
  power_lut_template (energy) { variable_1 : total_output_net_capacitance; index_1 ("0, 1000"); }
  cell (INV) {
    area : 2; cell_leakage_power : 3;
    pin (A) { direction : input; capacitance : 10; }
    pin (Y) { direction : output; function : "A'"; %s
      internal_power () { related_pin : "A"; rise_power (energy) { values ("4, 4"); }
        fall_power (energy) { values ("2, 2"); } } }
  }
  cell (NAND) {
    area : 4; cell_leakage_power : 5;
    pin (A) { direction : input; capacitance : 20; }
    pin (B) { direction : input; capacitance : 20; }
    pin (Y) { direction : output; function : "(A*B)'"; %s }
  }
  cell (DFF) {
    area : 8; cell_leakage_power : 7;
    ff (IQ, IQN) { next_state : "D"; clocked_on : "CLK"; }
    pin (CLK) { direction : input; clock : true; capacitance : 5;
      internal_power () { rise_power (energy) { values ("6, 6"); } fall_power (energy) { values ("2, 2"); } } }
    pin (D) { direction : input; capacitance : 10;
      timing () { related_pin : "CLK"; timing_type : setup_rising;
        rise_constraint (scalar) { values ("0.05"); } fall_constraint (scalar) { values ("0.05"); } } }
    pin (Q) { direction : output; function : "IQ"; %s }
  }
}
"""


def round_library() -> str:
    """The library's text."""

    def timing(pin: str, delay: float, kind: str) -> str:
        tables = "".join(
            f'{name} (one) {{ values ("{value}, {value}"); }} '
            for name, value in {
                "cell_rise": delay,
                "cell_fall": delay,
                "rise_transition": 0,
                "fall_transition": 0,
            }.items()
        )
        return f'timing () {{ related_pin : "{pin}"; {kind} {tables} }}'

    falls = "timing_sense : negative_unate;"
    return ROUND % (
        timing("A", 0.1, falls),
        timing("A", 0.2, falls) + timing("B", 0.2, falls),
        timing("CLK", 0.3, "timing_type : rising_edge;"),
    )


def chain(length: int) -> str:
    """Verilog of two registers with inverters between them; the first takes ``x``, the last gives ``y``."""
    cells = [f"  INV i{n} (.A(n{n}), .Y(n{n + 1}));" for n in range(length)]
    registers = [f"  DFF first (.CLK(clk), .D(x), .Q(n0));\n  DFF last (.CLK(clk), .D(n{length}), .Q(y));"]
    wires = f"  wire {', '.join(f'n{n}' for n in range(length + 1))};"
    head = "module chain (clk, x, y);\n  input clk, x;\n  output y;"
    return "\n".join([head, wires, *registers, *cells, "endmodule\n"])
