"""`synthesize.vitis_hls`: what Vitis HLS reports of hls4ml's C++, and the Verilog that it makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from codesign.synthesize._hls_reports import read_csynth
from codesign.synthesize.vendor.project import REPORTS, VendorProject
from codesign.synthesize.vendor.reading import Reading
from codesign.synthesize.vendor.tool import SCRIPT, VendorTool
from codesign.tcl import tcl
from codesign.templates import filled
from codesign.transpile.firmware.project import HDL, function_for, hls4ml_config

#: Its report of the whole design, as the script calls it.
CSYNTH = "csynth.xml"


@dataclass(frozen=True)
class VitisHls(VendorTool):
    """Run C synthesis of hls4ml's project by Vitis HLS, and read its estimates of latency, clock and resources."""

    reads: ClassVar[tuple[str, ...]] = ("target", "artifacts.hls4ml")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.vitis_hls", "measures", "notices")
    commands: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("vitis-run", "--mode", "hls", "--tcl", SCRIPT),
        ("vitis_hls", "-f", SCRIPT),
    )
    asks: ClassVar[str] = "-version"
    kept: ClassVar[tuple[str, ...]] = (REPORTS, HDL)

    def top(self, project: Path, source: str) -> str:
        """The project's function."""
        return function_for(self.name, project, "Vitis")

    def scripts(self, project: Path, manifest: VendorProject) -> Mapping[str, str]:
        """The script."""
        values = {"manifest": manifest, "config": hls4ml_config(project), "hdl": HDL, "csynth": CSYNTH}
        return {SCRIPT: filled(self.template, values, tcl)}

    def read(self, reports: Path, manifest: VendorProject) -> Reading:
        """Estimates of the whole design."""
        return read_csynth(reports / CSYNTH, manifest.top, manifest.target.clock_ns)
