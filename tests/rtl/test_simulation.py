"""Pipelined Verilog in Verilator against the reference, and a whole build with the flow rtl."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.fixed import Codes, Fixed
from codesign.synthesize._families import FAMILIES, resources
from codesign.synthesize._yosys import count_cells, find_yosys
from codesign.transpile._circuit import trace_network
from codesign.transpile._interface import Interface
from codesign.transpile._unrolled import write_unrolled
from codesign.verify._corners import corners
from codesign.verify._play import play
from codesign.verify._verilator import compile_player, find_verilator
from tests.builds import make
from tests.networks import Plan, build_network

PLANS = (
    Plan(1, ("looked_up",), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4),
    Plan(1, ("depthwise", "sigmoid"), "mean", (True, False, True), ((3, 1),), ((5, 2),), Fixed(False, 5, 2), 4),
)


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: "-".join(plan.stages))
def test_verilog_is_exact_and_an_error_is_seen(plan: Plan, tmp_path: Path) -> None:
    network = build_network(plan)
    quantized, project, log = network.quantized, tmp_path / "project", tmp_path / "log"
    circuit = trace_network(quantized)
    written = write_unrolled(circuit, quantized.graph, "network", 5.0, 5.0, project)
    assert Interface.read(project) == written
    codes = quantized.encode([network.inputs(100)])
    ends = corners(quantized, 0)
    codes = {name: Codes(np.concatenate([x.values, ends[name].values]), x.fraction) for name, x in codes.items()}
    wanted = [quantized.run(codes)[name] for name in quantized.graph.outputs]
    player = compile_player(find_verilator(), written, project, "g++", log, 600)
    found = play(player, written, list(codes.values()), wanted, 0, log, 600)
    assert (found.mismatches, found.interval) == (0, 1.0)
    assert found.latency == written.stages
    values = wanted[0].values.copy()
    values[17].flat[0] += 1
    assert play(player, written, list(codes.values()), [Codes(values, wanted[0].fraction)], 0, log, 600).mismatches == 1
    late = replace(written, stages=written.stages + 2)
    found = play(player, late, list(codes.values()), wanted, 0, log, 600)
    assert found.latency == written.stages
    assert found.mismatches > 0


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_yosys_counts_cells_of_every_family(family: str, tmp_path: Path) -> None:
    quantized = build_network(PLANS[0]).quantized
    written = write_unrolled(trace_network(quantized), quantized.graph, "network", 5.0, 5.0, tmp_path / "p")
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
