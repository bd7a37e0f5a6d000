"""Vivado's tables: ``report_utilization`` and ``report_timing_summary``."""

import re
from pathlib import Path

from codesign.synthesize.vendor.reading import require, require_clock, text_of, unreadable

#: Rows of the utilization's tables, by resource: of 7 series and UltraScale. A star is a footnote's.
ROWS = {
    "lut": r"(?:CLB|Slice) LUTs\*?",
    "ff": r"(?:CLB|Slice) Registers",
    "bram_36k": r"Block RAM Tile",  # a RAMB18 is half of one
    "dsp": r"DSPs",
}
UNITS = {"lut": "LUTs", "ff": "flip-flops", "bram_36k": "36 Kb block RAMs", "dsp": "DSPs"}
#: Numbers of the timing summary, in their order; the first is the slack of setup, the fifth that of hold.
SUMMARY = r"^ *WNS\(ns\).*\n[ -]+\n((?: +\S+){12}) *\n"
CLOCK = r"^Clock +Waveform\(ns\).*\n[ -]+\n(\S+) +\{[^}]*\} +([\d.]+) +[\d.]+ *\n"


def read_utilization(path: Path, top: str) -> tuple[dict[str, float], str]:
    """Resources, and the step and version that they are of.

    Raises:
        InputError: The report lacks something, or is of another design.
    """
    text = text_of(path)
    head = dict(re.findall(r"^\| (\w[\w ]*?) *: (.*?) *\n", text, re.M))
    for name in ("Tool Version", "Design", "Design State"):
        if name not in head:
            raise unreadable(path, f"line {name!r}")
    require(path, "design", head["Design"], top)
    found: dict[str, float] = {}
    for name, pattern in ROWS.items():
        row = re.search(rf"^\| *(?:{pattern}) *\| *(\d+(?:\.\d+)?) *\|", text, re.M)
        if row is None:
            raise unreadable(path, f"row of {UNITS[name]}")
        found[name] = float(row[1])
    version = head["Tool Version"].split(" (")[0]
    return found, f"{_step(head['Design State'])}, {version}"


def read_timing(path: Path, top: str, clock_ns: float) -> dict[str, float | None]:
    """Worst slack of setup and hold in ns, None where there is no path; and the frequency that setup allows, in MHz.

    The frequency is ``1000 / (clock_ns - slack)``: what the slowest path leaves of the period, or takes beyond it.

    Raises:
        InputError: The report lacks something, or is of another design or clock.
    """
    text = text_of(path)
    design = re.search(r"^\| Design +: (\S+) *\n", text, re.M)
    if design is None:
        raise unreadable(path, "line 'Design'")
    require(path, "design", design[1], top)
    summary, clock = re.search(SUMMARY, text, re.M), re.search(CLOCK, text, re.M)
    if summary is None or clock is None:
        raise unreadable(path, "timing summary with one clock")
    require_clock(path, clock[2], clock_ns)
    setup, hold = (_number(path, summary[1].split()[place]) for place in (0, 4))
    fmax = None if setup is None or setup >= clock_ns else 1000 / (clock_ns - setup)
    return {"fmax_mhz": fmax, "setup_slack_ns": setup, "hold_slack_ns": hold}


def _number(path: Path, word: str) -> float | None:
    if word in ("NA", "inf"):
        return None
    if not re.fullmatch(r"-?\d+\.\d+", word):
        raise unreadable(path, f"slack, but {word!r}")
    return float(word)


def _step(state: str) -> str:
    """What Vivado had done, as it calls the state of the design."""
    if "rout" in state.lower():
        return "post-implementation"
    return "post-synthesis" if state in ("Synthesized", "Optimized") else f"state {state!r}"
