"""GHDL, which turns an RTL project in VHDL into Verilog, for tools that read that alone."""

import shutil
from dataclasses import replace
from pathlib import Path

from codesign import tools
from codesign.hdl.interface import Interface

GHDL = "ghdl"
#: The Verilog that it writes.
FILE = "from_vhdl.v"
STANDARD = "--std=08"


def ghdl_version() -> dict[str, str]:
    """Which GHDL there is, in its own words, as ``Pass.versions`` has it; only VHDL needs one."""
    return {"GHDL": tools.version(GHDL) if shutil.which(GHDL) else "not on PATH"}


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
    return replace(interface, top=interface.top.lower(), files=(FILE,))  # VHDL does not tell upper case from lower
