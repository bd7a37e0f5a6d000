"""What the chip and the trigger allow: TOML files in ``targets/`` or of the user's own."""

from dataclasses import dataclass
from math import inf
from pathlib import Path

from codesign.errors import InputError
from codesign.shipped import read_shipped, shipped_path


@dataclass(frozen=True)
class Target:
    """A chip with the share of it that the network may use.

    Args:
        name: Name of the target.
        summary: One line for listings.
        part: The vendor's part number.
        clock_ns: Clock period.
        initiation_interval_ns: Time between two inputs.
        lut, ff, dsp, bram_36k: Resources that the network may use.
        sources: Where the numbers are from.
        latency_ns: Longest time from input to output; None if the trigger sets none.
    """

    name: str
    summary: str
    part: str
    clock_ns: float
    initiation_interval_ns: float
    lut: int
    ff: int
    dsp: int
    bram_36k: int
    sources: tuple[str, ...]
    latency_ns: float | None = None

    def __post_init__(self) -> None:
        for name in ("clock_ns", "initiation_interval_ns", "lut", "ff", "dsp", "bram_36k"):
            if not 0 <= getattr(self, name) < inf or (name.endswith("_ns") and getattr(self, name) == 0):
                raise InputError(f"target {self.name!r}, {name}", f"{getattr(self, name)}", "a positive number")


def load_target(name: str, folder: Path) -> Target:
    """Read a target.

    Args:
        name: A shipped target's name, or a path to a TOML file, relative to ``folder``.
        folder: Folder that relative paths start from.

    Raises:
        InputError: There is no such target, or its file does not say what a target must.
    """
    return read_shipped(Target, shipped_path("target", name, folder))
