"""Part numbers of Lattice's ECP5 family, as nextpnr wants them."""

import re
from dataclasses import dataclass

from codesign.errors import InputError
from codesign.target import Target

#: What a part number begins with, and nextpnr's options.
_SERIES = {"LFE5U": "", "LFE5UM": "um-", "LFE5UM5G": "um5g-"}
#: A letter of the part number, and the package that it stands for.
_PACKAGES = {"B": "CABGA", "M": "CSFBGA", "T": "TQFP"}
#: Packages that Project Trellis knows, by size.
_SMALL = ("CABGA256", "CABGA381", "CABGA554", "CABGA756", "CSFBGA285")
_KNOWN = {"12": (*_SMALL, "TQFP144"), "25": (*_SMALL, "TQFP144"), "45": (*_SMALL, "TQFP144"), "85": _SMALL[1:]}
_PART = re.compile(r"(LFE5U|LFE5UM|LFE5UM5G)-(12|25|45|85)F-([678])([BMT])G(\d{3})[CI]?", re.ASCII)


@dataclass(frozen=True)
class Device:
    """A chip.

    Args:
        name: Series and size, as in "LFE5UM5G-85F".
        option: nextpnr's for these, as in "--um5g-85k".
        speed: Speed grade, 6 to 8; 8 is the fastest.
        package: As in "CABGA381".
    """

    name: str
    option: str
    speed: int
    package: str


def device_of(part: str) -> Device | None:
    """The chip of a part number such as LFE5UM5G-85F-8BG381C, whose last letter may be missing; None for any other."""
    match = _PART.fullmatch(part.upper())
    if match is None:
        return None
    series, size, speed, letter, pins = match.groups()
    package = _PACKAGES[letter] + pins
    if package not in _KNOWN[size]:
        return None
    # Of 12,000 LUTs and of TQFP144 there is LFE5U alone; LFE5UM5G has one speed grade.
    plain, fast = series == "LFE5U", series == "LFE5UM5G"
    if (not plain and (size == "12" or letter == "T")) or (fast and speed != "8"):
        return None
    return Device(f"{series}-{size}F", f"--{_SERIES[series]}{size}k", int(speed), package)


def require_device(target: Target) -> Device:
    """The chip of a target's part.

    Raises:
        InputError: It is none that nextpnr knows.
    """
    found = device_of(target.part)
    if found is None:
        where, wanted = f"target {target.name!r}, part", "an ECP5 with speed grade and package: LFE5UM5G-85F-8BG381"
        step = "use --target ecp5-85k, or another target of an ECP5 for transpile.retarget"
        raise InputError(where, f"{target.part!r}, which nextpnr-ecp5 does not know", wanted, step)
    return found
