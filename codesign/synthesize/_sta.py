"""OpenSTA: the longest path of a mapped netlist, and the slopes on its nets, before wires are laid."""

import re
from dataclasses import dataclass
from pathlib import Path

from codesign import tools
from codesign.errors import ToolError
from codesign.synthesize._standard_cells import LIBERTY, NETLIST

PROGRAM = "sta"
#: OpenSTA exits with 0 whatever happens, so that what it prints is looked at: errors, and warnings of the netlist.
SCRIPT = """if {{[catch {{
  read_liberty {liberty}
  set_cmd_units -time ns
  puts "codesign: library"
  read_verilog {netlist}
  link_design {top}
  create_clock -name clk -period {clock_ns} [get_ports clk]
  set data {{}}
  foreach port [all_inputs] {{ if {{[get_full_name $port] ne "clk"}} {{ lappend data $port }} }}
  set_input_delay {outside_ns} -clock clk $data
  set_output_delay {outside_ns} -clock clk [all_outputs]
  report_checks -path_delay max -format full_clock -digits 6 > timing.rpt
  set file [open slopes.txt w]
  foreach cell [get_cells *] {{
    set pins [$cell pin_iterator]
    while {{[$pins has_next]}} {{
      set pin [$pins next]
      set rise [get_property $pin actual_rise_transition_max]
      puts $file "[get_full_name $pin] $rise [get_property $pin actual_fall_transition_max]"
    }}
    $pins finish
  }}
  close $file
  puts "codesign: done"
}} message]}} {{ puts "Error: $message" }}
exit
"""


@dataclass(frozen=True)
class Timing:
    """What OpenSTA found.

    Args:
        slack_ns: What the longest path leaves of the clock period; negative if it is too long.
        report: The path.
        slopes: Rise and fall time of pins in ns, by ``instance/pin``.
    """

    slack_ns: float
    report: str
    slopes: dict[str, tuple[float, float]]


def analyze(project: Path, top: str, clock_ns: float, outside_ns: float, log: Path, timeout_s: float) -> Timing:
    """Time a netlist.

    Args:
        project: The working folder, with netlist and liberty file.
        top: The top module.
        clock_ns: The clock period.
        outside_ns: Time that signals take before the inputs, and after the outputs.
        log: Takes what OpenSTA prints.
        timeout_s: Longest time that it may take.

    Raises:
        ToolError: It failed, or complained of the netlist: numbers of half a netlist are none.
    """
    script, own = project / "timing.tcl", project / "sta.log"
    names = {"liberty": LIBERTY, "netlist": NETLIST, "top": top}
    script.write_text(SCRIPT.format(**names, clock_ns=clock_ns, outside_ns=outside_ns))
    own.touch()
    try:
        tools.run([PROGRAM, "-no_init", "-no_splash", "-exit", script.name], project, own, timeout_s)
    finally:
        said = own.read_text(encoding="utf-8", errors="replace")
        with log.open("a", encoding="utf-8") as whole:
            whole.write(said)
    library, _, netlist = said.partition("codesign: library\n")
    complaints = [line for line in library.splitlines() if line.startswith("Error")]
    complaints += [line for line in netlist.splitlines() if re.match(r"Error|Warning|.*syntax error", line)]
    if complaints or "codesign: done" not in said:
        found = " | ".join(complaints[:3]) or "no end of the script"
        raise ToolError("OpenSTA", found, "a netlist that it reads", f"log: {log}")
    file = project / "timing.rpt"
    report = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    slack = re.search(r"^\s*(-?\d+\.\d+)\s+slack \(", report, re.M)
    if slack is None:
        raise ToolError("OpenSTA", "no path", "one from register to register", f"log: {log}")
    return Timing(float(slack[1]), report, _slopes(project / "slopes.txt"))


def _slopes(path: Path) -> dict[str, tuple[float, float]]:
    """Pins with both slopes, in ns."""
    try:
        lines = [line.rsplit(" ", 2) for line in path.read_text(encoding="utf-8").splitlines()]
        return {name: (float(rise), float(fall)) for name, rise, fall in lines}
    except (OSError, ValueError) as error:
        raise ToolError("OpenSTA", f"slopes that are no numbers ({error})", "rise and fall of every pin") from None
