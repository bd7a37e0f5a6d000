"""`synthesize.asic`: area, clock frequency and power of the Verilog in standard cells, without a vendor's tool."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import ClassVar

from codesign.design import Artifact, Check, Design, Measure
from codesign.errors import InputError
from codesign.passes import Context, Pass
from codesign.store import digest_file
from codesign.tools import require_time


@dataclass(frozen=True)
class Asic(Pass):
    """Map the RTL project to the standard cells of the target's liberty file with Yosys, and time it with OpenSTA.

    Test inputs are played on the netlist: its integers are compared, and its toggles make the power. Before place and
    route: wires have no capacitance and no delay, and there is no clock tree.

    Args:
        timing: Whether OpenSTA is asked for the longest path; without it there is no clock frequency and no power.
        outside_ns: Time that signals take before the inputs and after the outputs, out of the clock period.
        timeout_s: Longest time that one call of a tool may take, in seconds.
    """

    timing: bool = True
    outside_ns: float = 0.0
    timeout_s: float = 7200.0

    reads: ClassVar[tuple[str, ...]] = ("target", "dataset", "quantized", "artifacts.rtl")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.asic", "checks", "measures", "notices")
    early: ClassVar[tuple[str, ...]] = ("target",)

    def __post_init__(self) -> None:
        require_time(f"{self.name}, timeout_s", self.timeout_s)
        if not 0 <= self.outside_ns < inf:
            raise InputError("synthesize.asic, outside_ns", f"{self.outside_ns}", "a number of ns, 0 or more")

    def programs(self) -> tuple[str, ...]:
        """OpenSTA; Yosys is looked for elsewhere too."""
        from codesign.synthesize._sta import PROGRAM

        return (PROGRAM,) if self.timing else ()

    def versions(self) -> Mapping[str, str]:
        """Yosys; GHDL, which VHDL needs, if it is there."""
        from codesign.hdl.ghdl import ghdl_version
        from codesign.hdl.yosys import YOSYS

        return {YOSYS.name: YOSYS.find().said, **ghdl_version()}

    def refuse(self, design: Design) -> None:
        """A target without standard cells, or with ones that can't be read, is refused before anything is trained."""
        from codesign.synthesize._liberty import read_library

        target = design.target
        if not target.standard_cells:
            step = "use --target osu018, or another target of standard cells for transpile.retarget"
            raise InputError(f"target {target.name!r}", "no liberty file", "standard cells", step)
        if not any(read_library(Path(target.liberty)).of("cell")):
            raise InputError(f"liberty file {target.liberty!r}", "no cells", "standard cells")

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Map, play, time, add up."""
        from codesign.hdl.ghdl import as_verilog
        from codesign.hdl.interface import Interface
        from codesign.hdl.yosys import find_yosys
        from codesign.synthesize._gates import simulate
        from codesign.synthesize._liberty import read_library
        from codesign.synthesize._power import PowerModel
        from codesign.synthesize._sta import analyze
        from codesign.synthesize._standard_cells import LIBERTY, NETLIST, map_project, smallest_nand

        self.refuse(design)
        target, yosys, log = design.target, find_yosys(), context.work / "asic.log"
        with context.store.scratch() as scratch:
            project, kept = scratch / "project", scratch / "asic"
            context.store.take_out(design.artifacts["rtl"].digest, project, folder=True)
            shutil.copyfile(target.liberty, project / LIBERTY)
            if digest_file(project / LIBERTY) != target.liberty_sha256:
                raise InputError(target.liberty, "changed since the build began", "the target's own", "build again")
            kept.mkdir()
            interface = as_verilog(Interface.read(project), project, log, self.timeout_s)
            library = read_library(project / LIBERTY)
            context.progress("asic: mapping to standard cells", 0, 3)
            mapped = map_project(yosys, interface, project, target.clock_ns, log, self.timeout_s)
            shutil.copyfile(project / NETLIST, kept / NETLIST)
            nand = smallest_nand(mapped.cells)
            context.progress("asic: playing test inputs on the netlist", 1, 3)
            codes = design.quantized.encode(design.dataset.split("test").inputs)
            made = design.quantized.run(codes)
            given = [codes[port.tensor].align(int(port.fixed.fraction)).values for port in interface.inputs]
            wanted = [made[port.tensor].align(int(port.fixed.fraction)).values for port in interface.outputs]
            played = simulate(mapped.netlist, mapped.cells, interface, given, wanted)
            equivalents = f"{nand.name}, the smallest NAND of two inputs, {nand.area_um2:g} um2"
            found = {
                "cells": (float(sum(mapped.counts.values())), f"standard cells (Yosys {yosys.version})"),
                "area_um2": (mapped.area_um2, "um2 of cells"),
                "gate_equivalents": (mapped.area_um2 / nand.area_um2, f"areas of {equivalents}"),
            }
            if self.timing:
                context.progress("asic: timing", 2, 3)
                timing = analyze(project, interface.top, target.clock_ns, self.outside_ns, log, self.timeout_s)
                (kept / "timing.rpt").write_text(timing.report)
                model = PowerModel(library, mapped.cells, mapped.netlist, timing.slopes, target.clock_ns)
                parts = model.power(played.toggles)
                found |= {
                    "fmax_mhz": (1000 / (target.clock_ns - timing.slack_ns), "MHz, before layout, ideal wires"),
                    "slack_ns": (timing.slack_ns, f"ns of {target.clock_ns:g}, before layout, ideal wires"),
                    "power_mw": (parts.total, f"mW at {target.clock_ns:g} ns, toggles of test inputs, before layout"),
                    "power_internal_mw": (parts.internal, "mW inside cells"),
                    "power_switching_mw": (parts.switching, "mW on pins between cells"),
                    "power_leakage_mw": (parts.leakage, "mW of leakage"),
                }
            digest = context.store.put_folder(kept)
        context.progress("asic: done", 3, 3)
        measures = {
            f"asic_{name}": Measure(value, unit, "synthesized", self.name) for name, (value, unit) in found.items()
        }
        status = "differs" if played.mismatches else "exact"
        detail = f"netlist of {target.name}'s cells, without delays, by codesign's own simulation"
        return {
            "artifacts": {"asic": Artifact("asic", digest, folder=True)},
            "checks": {"numpy->asic": Check("numpy", "asic", len(given[0]), played.mismatches, status, detail)},
            "measures": measures,
            "notices": {self.name: self._notice(target.name)},
        }

    def _notice(self, target: str) -> str:
        end = f"are before place and route for {target}: ideal wires, no clock tree"
        return f"area, clock frequency and power {end}" if self.timing else f"areas {end}; timing was not asked for"
