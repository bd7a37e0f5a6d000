"""Quartus's reports: the fitter's summary, and the timing analyzer's clocks and frequencies."""

import re
from pathlib import Path

from codesign.errors import InputError
from codesign.synthesize.vendor.reading import require, require_clock, text_of, unreadable

#: Lines of the fitter's summary, by the end of the measure's name.
LINES = {
    "alm": "Logic utilization (in ALMs)",
    "ff": "Total registers",
    "dsp": "Total DSP Blocks",
    "ram_blocks": "Total RAM Blocks",
}
UNITS = {"alm": "ALMs", "ff": "registers", "dsp": "DSP blocks", "ram_blocks": "RAM blocks"}
PANEL = r"^; .* Fmax Summary +;\n\+[-+]+\n; Fmax .*\n\+[-+]+\n((?:;.*\n)+)\+[-+]+\n"
ROW = r"^; [\d.]+ MHz +; ([\d.]+) MHz +; (\S+) +;.*\n"


def read_fitter(path: Path, top: str) -> tuple[dict[str, float], str]:
    """Resources, and the step and version that they are of.

    Raises:
        InputError: The summary lacks something, is of another design, or of a fit that failed.
    """
    lines = dict(re.findall(r"^(\w[^:\n]*?) : (.*)\n", text_of(path), re.M))
    for name in ("Fitter Status", "Top-level Entity Name", "Quartus Prime Version", *LINES.values()):
        if name not in lines:
            raise unreadable(path, f"line {name!r}")
    if not lines["Fitter Status"].startswith("Successful"):
        raise InputError(str(path), f"fitter status {lines['Fitter Status']!r}", "a successful fit")
    require(path, "entity", lines["Top-level Entity Name"], top)
    found: dict[str, float] = {}
    for name, line in LINES.items():
        number = re.match(r"[\d,]+(?= |$)", lines[line])
        if number is None:
            raise unreadable(path, f"number of {UNITS[name]}")
        found[name] = float(number[0].replace(",", ""))
    return found, f"post-implementation, Quartus Prime {lines['Quartus Prime Version'].split(' Build')[0]}"


def read_fmax(path: Path, clock: str, clock_ns: float) -> float:
    """The frequency of a clock in MHz: the lowest over all slow corners, with the chip's own limits.

    Raises:
        InputError: The report lacks something, or is of another clock.
    """
    text = text_of(path)
    period = re.search(rf"^; {re.escape(clock)} +; Base +; ([\d.]+) +;", text, re.M)
    panels, promised = re.findall(PANEL, text, re.M), re.findall(r"^ *\d+\. .* Fmax Summary$", text, re.M)
    if period is None or not panels or len(panels) < len(promised):
        raise unreadable(path, f"clock {clock!r} and whole tables of frequencies")
    require_clock(path, period[1], clock_ns)
    found = [[float(mhz) for mhz, name in re.findall(ROW, panel, re.M) if name == clock] for panel in panels]
    if any(len(each) != 1 for each in found):
        raise unreadable(path, f"frequency of clock {clock!r} for every corner")
    return min(each[0] for each in found)
