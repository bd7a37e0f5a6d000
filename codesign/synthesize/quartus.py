"""`synthesize.quartus`: what Quartus reports of the RTL project after place and route, with virtual pins."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from codesign.hdl.interface import Interface
from codesign.synthesize._quartus_reports import UNITS, read_fitter, read_fmax
from codesign.synthesize.vendor.project import VendorProject
from codesign.synthesize.vendor.reading import Reading
from codesign.synthesize.vendor.tool import SCRIPT, VendorTool
from codesign.tcl import tcl
from codesign.templates import filled
from codesign.transpile.firmware.backends import BACKENDS

#: Quartus's name of the project, which its reports are called after.
REVISION = "codesign"


@dataclass(frozen=True)
class Quartus(VendorTool):
    """Compile the RTL project with Quartus, every port but the clock a virtual pin, and read its reports."""

    reads: ClassVar[tuple[str, ...]] = ("target", "artifacts.rtl")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.quartus", "measures", "notices")
    commands: ClassVar[tuple[tuple[str, ...], ...]] = (("quartus_sh", "-t", SCRIPT),)
    asks: ClassVar[str] = "--version"
    parts: ClassVar[tuple[str, ...]] = BACKENDS["Quartus"].parts

    def top(self, project: Path, source: str) -> str:
        """The project's own."""
        return Interface.read(project).top

    def scripts(self, project: Path, manifest: VendorProject) -> Mapping[str, str]:
        """The script and the constraint of the clock."""
        interface = Interface.read(project)
        vectors = [port.name for port in (*interface.inputs, *interface.outputs)]
        pins = ["reset", "in_valid", "out_valid", *vectors, *(f"{name}[*]" for name in vectors)]
        values = {"manifest": manifest, "files": interface.files, "pins": pins, "revision": REVISION}
        constraint = f"create_clock -name clk -period {manifest.target.clock_ns} [get_ports clk]\n"
        return {SCRIPT: filled(self.template, values, tcl), "clock.sdc": f"{constraint}derive_clock_uncertainty\n"}

    def read(self, reports: Path, manifest: VendorProject) -> Reading:
        """Resources, and the frequency of the slowest corner."""
        used, made = read_fitter(reports / f"{REVISION}.fit.summary", manifest.top)
        fmax = read_fmax(reports / f"{REVISION}.sta.rpt", "clk", manifest.target.clock_ns)
        resources = {name: (value, UNITS[name]) for name, value in used.items()}
        return Reading({**resources, "fmax_mhz": (fmax, "MHz")}, made)
