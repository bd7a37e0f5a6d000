"""`synthesize.vivado`: resources and slack that Vivado reports of the Verilog, placed and routed out of context."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from codesign.design import Design
from codesign.hdl.interface import Interface
from codesign.passes import Context
from codesign.synthesize._vivado_reports import UNITS, read_timing, read_utilization
from codesign.synthesize.vendor.project import VendorProject
from codesign.synthesize.vendor.reading import Reading
from codesign.synthesize.vendor.tool import SCRIPT, VendorTool
from codesign.tcl import tcl
from codesign.templates import filled
from codesign.transpile.firmware.backends import BACKENDS
from codesign.transpile.firmware.project import HDL, hls4ml_config


@dataclass(frozen=True)
class Vivado(VendorTool):
    """Synthesize and implement the Verilog with Vivado, out of context, and read its reports.

    The Verilog is the RTL project, or else what Vitis HLS made of hls4ml's.

    Args:
        implement: Whether to place and route; without it the figures are of synthesis.
    """

    implement: bool = True

    reads: ClassVar[tuple[str, ...]] = ("target",)
    optional: ClassVar[tuple[str, ...]] = ("artifacts.rtl", "artifacts.vitis_hls")
    any_of: ClassVar[tuple[str, ...]] = optional
    writes: ClassVar[tuple[str, ...]] = ("artifacts", "measures", "notices")
    commands: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("vivado", "-mode", "batch", "-nojournal", "-nolog", "-notrace", "-source", SCRIPT),
    )
    asks: ClassVar[str] = "-version"
    parts: ClassVar[tuple[str, ...]] = BACKENDS["Vivado"].parts

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Nothing can be made of an HLS project that Vitis HLS has not been run on."""
        if "rtl" not in design.artifacts:
            files = context.store.listing(design.artifacts["vitis_hls"].digest)
            if not any(name.startswith(f"{HDL}/") for name in files):
                notice = f"{self.name} has nothing to run on: Vitis HLS, which makes the Verilog, was not run here"
                return {"artifacts": {}, "measures": {}, "notices": {self.name: notice}}
        return super().run(design, context)

    def top(self, project: Path, source: str) -> str:
        """The RTL project's own, or the HLS project's function."""
        return Interface.read(project).top if source == "rtl" else str(hls4ml_config(project)["ProjectName"])

    def scripts(self, project: Path, manifest: VendorProject) -> Mapping[str, str]:
        """The script and the constraint of the clock."""
        if manifest.source == "rtl":
            clock, part, files = "clk", manifest.target.part, list(Interface.read(project).files)
        else:
            clock, part = "ap_clk", str(hls4ml_config(project)["Part"])
            files = sorted(path.relative_to(project).as_posix() for path in (project / HDL).glob("*.v"))
        values = {"manifest": manifest, "part": part, "files": files, "implement": self.implement, "hdl": HDL}
        constraint = f"create_clock -name {clock} -period {manifest.target.clock_ns} [get_ports {clock}]\n"
        return {SCRIPT: filled(self.template, values, tcl), "clock.xdc": constraint}

    def read(self, reports: Path, manifest: VendorProject) -> Reading:
        """Resources, slack and frequency of the last step."""
        used, made = read_utilization(reports / "utilization.rpt", manifest.top)
        slack = read_timing(reports / "timing.rpt", manifest.top, manifest.target.clock_ns)
        if made.startswith("post-synthesis"):  # routing is what hold is about
            del slack["hold_slack_ns"]
        units = {"fmax_mhz": "MHz", "setup_slack_ns": "ns", "hold_slack_ns": "ns"}
        resources = {name: (value, UNITS[name]) for name, value in used.items()}
        return Reading({**resources, **{name: (value, units[name]) for name, value in slack.items()}}, made)
