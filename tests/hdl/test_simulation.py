"""Pipelined Verilog in Verilator against the reference, and a whole build with the flow rtl."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from codesign.fixed import Codes, Fixed
from codesign.hdl.circuit import trace_network
from codesign.hdl.families import FAMILIES, resources
from codesign.hdl.ghdl import as_verilog
from codesign.hdl.interface import HdlName, Interface
from codesign.hdl.play import Played, play
from codesign.hdl.unrolled import write_unrolled
from codesign.hdl.verilator import compile_player, find_verilator
from codesign.hdl.yosys import count_cells, find_yosys
from codesign.verify.hops.corners import corners
from tests.builds import make
from tests.networks import Network, Plan, build_network, drawn
from tests.synthesize.projects import needs_ghdl

PLANS = (
    Plan(1, ("looked_up",), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4),
    Plan(1, ("depthwise", "sigmoid"), "mean", (True, False, True), ((3, 1),), ((5, 2),), Fixed(False, 5, 2), 4),
)


@dataclass(frozen=True)
class Simulated:
    """A network's Verilog, compiled: what to play, and what must come."""

    player: Path
    interface: Interface
    given: list[Codes]
    wanted: list[Codes]
    log: Path

    def play(self, interface: Interface | None = None, wanted: list[Codes] | None = None) -> Played:
        """Play it, or hold it against something else."""
        return play(self.player, interface or self.interface, self.given, wanted or self.wanted, 0, self.log, 600)


def simulated(
    network: Network, samples: int, folder: Path, levels: int = 5, language: HdlName = "verilog"
) -> Simulated:
    """The Verilog or VHDL of a network, for random inputs and corners of their range."""
    quantized, project, log = network.quantized, folder / "project", folder / "log"
    written = write_unrolled(trace_network(quantized), quantized.graph, "Network", 5.0, levels, project, language)
    assert Interface.read(project) == written
    written = as_verilog(written, project, log, 600)
    codes, ends = quantized.encode([network.inputs(samples)]), corners(quantized, 0)
    codes = {name: Codes(np.concatenate([x.values, ends[name].values]), x.fraction) for name, x in codes.items()}
    values = quantized.run(codes)
    player = compile_player(find_verilator(), written, project, "g++", log, 600)
    return Simulated(player, written, list(codes.values()), [values[name] for name in quantized.graph.outputs], log)


def varying(seed: int) -> Network:
    """A drawn network whose outputs depend on its inputs, of that seed or of the next hundred; others are refused."""
    while True:
        network = build_network(drawn(seed))
        ranges = [network.quantized.ranges()[name] for name in network.quantized.graph.outputs]
        if any((each.low < each.high).any() for each in ranges):
            return network
        seed += 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_verilog_gives_the_references_integers_at_random(seed: int, tmp_path: Path) -> None:
    """Every operation, on a thousand random inputs and on corners of the input range, in pipelines of any depth."""
    made = simulated(varying(seed), 1000, tmp_path, 1 + seed % 8)
    found = made.play()
    assert (found.mismatches, found.interval, found.latency) == (0, 1.0, made.interface.stages)


@pytest.mark.slow
@needs_ghdl
@pytest.mark.parametrize("seed", range(5))
def test_vhdl_gives_the_references_integers(seed: int, tmp_path: Path) -> None:
    found = simulated(varying(seed), 1000, tmp_path, language="vhdl").play()
    assert (found.mismatches, found.interval) == (0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: "-".join(plan.stages))
def test_an_error_is_seen(plan: Plan, tmp_path: Path) -> None:
    made = simulated(build_network(plan), 100, tmp_path)
    wanted = made.wanted
    values = wanted[0].values.copy()
    values[17].flat[0] += 1
    assert made.play(wanted=[Codes(values, wanted[0].fraction), *wanted[1:]]).mismatches == 1
    late = made.play(replace(made.interface, stages=made.interface.stages + 2))
    assert late.latency == made.interface.stages
    assert late.mismatches > 0


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_yosys_counts_cells_of_every_family(family: str, tmp_path: Path) -> None:
    quantized = build_network(PLANS[0]).quantized
    written = write_unrolled(trace_network(quantized), quantized.graph, "network", 5.0, 5, tmp_path / "p")
    known = FAMILIES[family]  # type: ignore[index]
    cells, _ = count_cells(find_yosys(), written, tmp_path / "p", [known.command], tmp_path / "log", 600)
    counts = resources(known, cells)
    assert counts["lut"] > 100
    assert counts["carry"] > 10
    assert counts["ff"] > written.stages


@pytest.mark.slow
def test_a_build_is_exact_to_the_verilog(tmp_path: Path) -> None:
    project = make(tmp_path / "project", "rtl")
    outcome = project.build()
    assert outcome.code == 0, outcome.err
    checks = {f"{check['from']}->{check['to']}": check for check in project.report()["checks"]}
    assert checks["numpy->rtl"]["status"] == "exact"
    assert checks["numpy->rtl"]["inputs"] > 400
    kinds = {item["name"]: item["kind"] for item in project.report()["measures"]}
    assert kinds["rtl_latency_cycles"] == "simulated"
    assert kinds["yosys_lut"] == "synthesized"
