"""`verify.rtl`: the pipelined design, simulated cycle by cycle, gives the reference's integers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.design import Check, Design, Measure
from codesign.errors import ToolError
from codesign.fixed import Codes
from codesign.hdl.ghdl import as_verilog, ghdl_version, why_not_simulated
from codesign.passes import Context, Pass
from codesign.tools import require_time


@dataclass(frozen=True)
class Rtl(Pass):
    """Simulate the RTL project with Verilator: the whole test split, and corners of every input's range.

    An input in every clock cycle; then some with pauses between them, and with resets while inputs are on their way.

    Args:
        compiler: C++ compiler for the simulation, as found on PATH.
        timeout_s: Longest time that one call of a tool may take, in seconds.
    """

    compiler: str = "g++"
    timeout_s: float = 1800.0

    reads: ClassVar[tuple[str, ...]] = ("dataset", "quantized", "artifacts.rtl")
    writes: ClassVar[tuple[str, ...]] = ("checks", "measures")
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_time(f"{self.name}, timeout_s", self.timeout_s)

    def programs(self) -> tuple[str, ...]:
        """The C++ compiler; Verilator is looked for elsewhere too."""
        return (self.compiler,)

    def versions(self) -> Mapping[str, str]:
        """Verilator; GHDL, which VHDL needs, if it is there."""
        from codesign.hdl.verilator import VERILATOR

        return {VERILATOR.name: VERILATOR.find().said, **ghdl_version()}

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Compile, play, compare."""
        from codesign.hdl.interface import Interface
        from codesign.hdl.play import play
        from codesign.hdl.verilator import compile_player, find_verilator
        from codesign.verify.hops.corners import corners

        verilator, quantized, log = find_verilator(), design.quantized, context.work / "verilator.log"
        given = quantized.encode(design.dataset.split("test").inputs)
        ends = corners(quantized, context.seed)
        codes = {name: Codes(np.concatenate([x.values, ends[name].values]), x.fraction) for name, x in given.items()}
        values = quantized.run(codes)
        with context.store.scratch() as scratch:
            project = scratch / "project"
            context.store.take_out(design.artifacts["rtl"].digest, project, folder=True)
            written = Interface.read(project)
            if why := why_not_simulated(written):
                return {"checks": {"numpy->rtl": Check("numpy", "rtl", 0, 0, "not_checked", why)}, "measures": {}}
            context.progress("rtl: compiling the simulation", 0, 2)
            interface = as_verilog(written, project, log, self.timeout_s)
            player = compile_player(verilator, interface, project, self.compiler, log, self.timeout_s)
            context.progress("rtl: simulating", 1, 2)
            wanted = [values[port.tensor] for port in interface.outputs]
            found = play(player, interface, list(codes.values()), wanted, context.seed, log, self.timeout_s)
        context.progress("rtl: compared", 2, 2)
        if found.latency is None:
            raise ToolError("verify.rtl", "out_valid never rose", "an output for an input", f"log: {log}")
        cycles = f"{found.latency} cycles"
        if found.latency != interface.stages:
            cycles += f" where the project's interface.json says {interface.stages}"
        through = "" if written.language == "verilog" else "VHDL through GHDL, "
        detail = f"{through}Verilator {verilator.version}, pipelined, {cycles}; {found.cycles} cycles played"
        count = len(next(iter(codes.values())).values)
        status = "differs" if found.mismatches else "exact"
        measures = {
            "rtl_latency_cycles": Measure(float(found.latency), "clock cycles", "simulated", self.name),
            "rtl_initiation_interval_cycles": Measure(float(found.interval), "clock cycles", "simulated", self.name),
        }
        return {
            "checks": {"numpy->rtl": Check("numpy", "rtl", count, found.mismatches, status, detail)},
            "measures": measures,
        }
