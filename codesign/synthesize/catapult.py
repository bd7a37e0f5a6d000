"""`synthesize.catapult`: what Catapult reports of hls4ml's C++."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from codesign.synthesize._hls_reports import read_cycles
from codesign.synthesize._vivado_reports import UNITS, read_timing, read_utilization
from codesign.synthesize.vendor.project import VendorProject
from codesign.synthesize.vendor.reading import Reading
from codesign.synthesize.vendor.tool import SCRIPT, VendorTool
from codesign.tcl import tcl
from codesign.templates import filled
from codesign.transpile.firmware.project import function_for


@dataclass(frozen=True)
class Catapult(VendorTool):
    """Run hls4ml's own script for Catapult, and read latency and interval; with Vivado, resources and clock too.

    Args:
        vivado: Whether Catapult has Vivado synthesize its RTL; it must find Vivado by itself.
    """

    vivado: bool = False

    reads: ClassVar[tuple[str, ...]] = ("target", "artifacts.hls4ml")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.catapult", "measures", "notices")
    commands: ClassVar[tuple[tuple[str, ...], ...]] = (("catapult", "-product", "ultra", "-shell", "-f", SCRIPT),)
    asks: ClassVar[str] = "-version"

    def top(self, project: Path, source: str) -> str:
        """The project's function."""
        return function_for(self.name, project, "Catapult")

    def scripts(self, project: Path, manifest: VendorProject) -> Mapping[str, str]:
        """The script, which runs hls4ml's."""
        return {SCRIPT: filled(self.template, {"manifest": manifest, "vivado": int(self.vivado)}, tcl)}

    def read(self, reports: Path, manifest: VendorProject) -> Reading:
        """Cycles of the schedule, and what Vivado said, if it was run."""
        figures, made = read_cycles(reports / "cycle.rpt"), "Catapult's schedule"
        if (reports / "utilization.rpt").exists():
            used, step = read_utilization(reports / "utilization.rpt", manifest.top)
            slack = read_timing(reports / "timing.rpt", manifest.top, manifest.target.clock_ns)
            figures |= {name: (value, UNITS[name]) for name, value in used.items()}
            figures["fmax_mhz"] = slack["fmax_mhz"], "MHz"
            made = f"{made}; resources and clock {step}"
        return Reading(figures, made)
