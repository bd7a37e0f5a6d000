"""Chip families that Yosys synthesizes for: the command, and which of its cells count as what."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from codesign.errors import InputError
from codesign.target import Target

FamilyName = Literal["xcup", "xc7", "ecp5", "nexus", "ice40", "gowin"]


@dataclass(frozen=True)
class Family:
    """One family.

    Args:
        command: Yosys's, without the top module.
        parts: What the part numbers of targets look like.
        cells: Regular expressions of cell names, by resource.
        memory: How much of 36 kb each block RAM has, by a regular expression of its name.
    """

    command: str
    cells: Mapping[str, str]
    memory: Mapping[str, float]
    parts: str = r"(?!)"


_AMD = {"lut": r"LUT\d|SRL\w+|RAM\d+\w*", "ff": r"FD\w+", "carry": r"CARRY\d", "dsp": r"DSP\w+"}
_AMD_MEMORY = {r"RAMB36\w*": 1.0, r"RAMB18\w*": 0.5}
_XILINX = "synth_xilinx -flatten -noiopad -abc9 -family"

FAMILIES: Mapping[FamilyName, Family] = MappingProxyType(
    {
        "xcup": Family(f"{_XILINX} xcup", _AMD, _AMD_MEMORY, r"xc(vu|ku)\d+p|xc(zu|k26|au|u\d)"),
        "xc7": Family(f"{_XILINX} xc7", _AMD, _AMD_MEMORY, r"xc7"),
        "ecp5": Family(
            "synth_ecp5 -abc9",
            {"lut": "LUT4", "ff": r"TRELLIS_FF", "carry": "CCU2C", "dsp": r"MULT\w+"},
            {"DP16KD": 0.5},
            "lfe5u",
        ),
        "nexus": Family(
            "synth_nexus -abc9",
            {"lut": "LUT4", "ff": r"FD1P3\w+", "carry": "CCU2", "dsp": r"MULT\w+"},
            {r"\w*PDP\w*16K\w*|DP16K\w*": 0.5},
            "lifcl|lfd2nx",
        ),
        "ice40": Family(
            "synth_ice40 -abc9 -dsp -device u",
            {"lut": "SB_LUT4", "ff": r"SB_DFF\w*", "carry": "SB_CARRY", "dsp": "SB_MAC16"},
            {r"SB_RAM\w+": 4 / 36},
            "ice40",
        ),
        "gowin": Family(
            "synth_gowin",
            {"lut": r"LUT\d", "ff": r"DFF\w*", "carry": "ALU", "dsp": r"MULT\w+"},
            {r"(SDP|DP|SP)X?\d?B?": 0.5},
            "gw[12]",
        ),
    }
)
#: What a resource is called in reports.
UNITS = {"lut": "LUTs", "ff": "flip-flops", "carry": "carry cells", "dsp": "DSPs", "bram_36k": "block RAMs of 36 kb"}


def family_of(part: str) -> FamilyName | None:
    """The family of a target's part; None if Yosys does not know it."""
    return next((name for name, family in FAMILIES.items() if re.match(family.parts, part.lower())), None)


def resources(family: Family, cells: Mapping[str, int]) -> dict[str, float]:
    """Numbers of cells by resource; what is none of these, such as inverters and clock buffers, is left out."""
    counts: dict[str, float] = dict.fromkeys(family.cells, 0)
    counts["bram_36k"] = sum(
        count * each
        for cell, count in cells.items()
        for name, each in family.memory.items()
        if re.fullmatch(name, cell)
    )
    for cell, count in cells.items():
        for resource in [name for name, pattern in family.cells.items() if re.fullmatch(pattern, cell)][-1:]:
            counts[resource] += count
    return counts


def require_family(family: FamilyName | None, target: Target, name: str) -> FamilyName:
    """The family that is asked for, or that of a target's part.

    Args:
        family: The one that is asked for; None for the target's.
        target: Whose part it is.
        name: Of the pass that asks, for messages.

    Raises:
        InputError: Yosys knows none for the part.
    """
    if target.standard_cells and family is None:
        step = f"put synthesize.asic in the place of {name} (--flow asic), or set {name}.family"
        raise InputError(f"target {target.name!r}", "standard cells", "a chip with a part number", step)
    found = family or family_of(target.part)
    if found is None:
        step = f"set {name}.family to one of {', '.join(FAMILIES)}"
        raise InputError(f"target {target.name!r}, part", f"{target.part!r}, which Yosys does not know", "", step)
    return found
