"""Reports of high-level synthesis: Vitis HLS's ``TOP_csynth.xml``, Catapult's ``cycle.rpt``."""

import re
from pathlib import Path
from xml.etree import ElementTree

from codesign.errors import InputError
from codesign.synthesize.vendor.reading import Reading, require, require_clock, text_of, unreadable

RESOURCES = {"lut": ("LUT", "LUTs"), "ff": ("FF", "flip-flops"), "dsp": ("DSP", "DSPs")}


def read_csynth(path: Path, top: str, clock_ns: float) -> Reading:
    """Vitis HLS's own estimates: worst latency and interval, clock, resources.

    Raises:
        InputError: The report lacks something, or is of another design or clock.
    """
    try:
        root = ElementTree.fromstring(text_of(path))  # noqa: S314  (expat bounds what entities grow to)
    except ElementTree.ParseError as error:
        raise InputError(str(path), f"no XML: {error}", "a whole report, as the tool wrote it") from None

    def at(place: str) -> str:
        text = root.findtext(place)
        if text is None:
            raise unreadable(path, place)
        return text.strip()

    require(path, "top function", at("UserAssignments/TopModelName"), top)
    require_clock(path, _plain(path, at("UserAssignments/TargetClockPeriod")), clock_ns)
    overall, area = "PerformanceEstimates/SummaryOfOverallLatency", "AreaEstimates/Resources"
    period = float(_plain(path, at("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")))
    figures: dict[str, tuple[float | None, str]] = {
        "latency_cycles": (_count(at(f"{overall}/Worst-caseLatency")), "clock cycles"),
        "initiation_interval_cycles": (_count(at(f"{overall}/Interval-max")), "clock cycles"),
        "fmax_mhz": (1000 / period if period else None, "MHz"),
        "bram_36k": (_count(at(f"{area}/BRAM_18K"), 2), "36 Kb block RAMs"),
    }
    for name, (tag, unit) in RESOURCES.items():
        # Older versions call DSPs after 7 series' own.
        place = f"{area}/{tag}" if tag != "DSP" or root.find(f"{area}/DSP48E") is None else f"{area}/DSP48E"
        figures[name] = _count(at(place)), unit
    return Reading(figures, f"estimated by Vitis HLS {at('ReportVersion/Version')}")


def read_cycles(path: Path) -> dict[str, tuple[float | None, str]]:
    """Catapult's latency, and the cycles between two inputs, of the whole design.

    Raises:
        InputError: The report lacks them.
    """
    row = re.search(r"^ *Design Total: +\d+ +(-?\d+) +(-?\d+) +-?\d+ +-?\d+ *\n", text_of(path), re.M)
    if row is None:
        raise unreadable(path, "row 'Design Total:'")
    return {  # -1 stands for what Catapult does not know
        "latency_cycles": (_count(row[1]), "clock cycles"),
        "initiation_interval_cycles": (_count(row[2]), "clock cycles"),
    }


def _count(word: str, parts: int = 1) -> float | None:
    """A number of whole things, each of so many parts; None for words such as ``undef``."""
    return int(word) / parts if re.fullmatch(r"\d+", word) else None


def _plain(path: Path, word: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?", word):
        raise unreadable(path, f"number, but {word!r}")
    return word
