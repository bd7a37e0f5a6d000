"""GHDL, which turns an RTL project in VHDL into Verilog, for tools that read that alone."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

from codesign import tools
from codesign.errors import ToolError
from codesign.hdl.interface import Interface

GHDL = "ghdl"
#: The Verilog that it writes.
FILE = "from_vhdl.v"
STANDARD = "--std=08"


def ghdl_version() -> dict[str, str]:
    """Which GHDL there is, in its own words, as ``Pass.versions`` has it; only VHDL needs one."""
    return {"GHDL": tools.version(GHDL) if shutil.which(GHDL) else "not on PATH"}


def why_not_simulated(interface: Interface) -> str:
    """Why a project cannot be simulated here; empty if it can."""
    if interface.language == "verilog" or shutil.which(GHDL):
        return ""
    return "VHDL is simulated through GHDL, which is not on PATH"


def as_verilog(interface: Interface, project: Path, log: Path, timeout_s: float) -> Interface:
    """A project whose files are Verilog: as it is, or by GHDL's synthesis of VHDL.

    Args:
        interface: What the project says of itself.
        project: Its folder; the Verilog goes there.
        log: Takes what GHDL prints.
        timeout_s: Longest time of one call.

    Raises:
        InputError: It is in VHDL, and GHDL is not on PATH.
        ToolError: GHDL failed.
    """
    if interface.language == "verilog":
        return interface
    tools.run([GHDL, "-i", STANDARD, *interface.files], project, log, timeout_s)
    tools.run([GHDL, "-m", STANDARD, interface.top], project, log, timeout_s)
    synthesis = [GHDL, "--synth", STANDARD, "--out=verilog", interface.top]
    tools.run(synthesis, project, log, timeout_s, output=project / FILE)
    # VHDL does not tell upper case from lower, and GHDL keeps it or doesn't.
    modules = re.findall(r"^module (\w+)", (project / FILE).read_text(), re.M)
    top = next((name for name in modules if name.lower() == interface.top.lower()), None)
    if top is None:
        raise ToolError("GHDL", f"Verilog without a module {interface.top!r}", "", f"log: {log}")
    return replace(interface, top=top, files=(FILE,))
