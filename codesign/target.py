"""What the chip and the trigger allow: TOML files in ``targets/`` or of the user's own."""

from dataclasses import dataclass, field, replace
from math import floor, inf
from pathlib import Path
from typing import Any

from codesign.errors import InputError
from codesign.shipped import is_file, read_shipped, shipped_path
from codesign.store import digest_file

#: Quotients of decimal periods that should be whole come out this much too small at most.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Target:
    """A chip with the share of it that the network may use.

    Args:
        name: Name of the target.
        summary: One line for listings.
        part: The vendor's part number.
        clock_ns: Clock period.
        initiation_interval_ns: Time between two inputs.
        sources: Where the numbers are from.
        lut, ff, dsp, bram_36k: Resources that the network may use; None for what an ASIC does not have.
        area_um2: Area of standard cells that the network may use; None for an FPGA.
        liberty: Liberty file of an ASIC's standard cells, relative to the target's file; empty for an FPGA.
        liberty_from: How to get that file.
        liberty_sha256: Of its content, once the target is loaded; two targets with other cells are not equal.
        latency_ns: Longest time from input to output; None if the trigger sets none.
        adder_ns: Time of one level of adders, with its carry chain and the wire to the next.
        register_ns: What a register takes of a clock period.
        links: How events travel on a board's links, for ``deploy.patterns``; empty if that is not said.
    """

    name: str
    summary: str
    part: str
    clock_ns: float
    initiation_interval_ns: float
    sources: tuple[str, ...]
    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    bram_36k: int | None = None
    area_um2: float | None = None
    liberty: str = ""
    liberty_from: str = ""
    liberty_sha256: str = ""
    latency_ns: float | None = None
    adder_ns: float = 1.0
    register_ns: float = 0.0
    links: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for name in ("clock_ns", "initiation_interval_ns", "latency_ns", "adder_ns", "area_um2"):
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                raise InputError(f"target {self.name!r}, {name}", f"{value}", "a positive number")
        for name in ("lut", "ff", "dsp", "bram_36k"):
            value = getattr(self, name)
            if value is None and not self.liberty:
                raise InputError(f"target {self.name!r}, {name}", "missing", "a whole number, or liberty for an ASIC")
            if value is not None and value < 0:
                raise InputError(f"target {self.name!r}, {name}", f"{value}", "a positive number, or 0")
        for name in ("initiation_interval_ns", "latency_ns"):
            value = getattr(self, name)
            if value is not None and value < self.clock_ns:
                wanted = f"at least a clock cycle, {self.clock_ns:g}"
                raise InputError(f"target {self.name!r}, {name}", f"{value}", wanted)
        if not 0 <= self.register_ns < self.clock_ns:
            wanted = f"0 or more, and less than clock_ns, {self.clock_ns:g}"
            raise InputError(f"target {self.name!r}, register_ns", f"{self.register_ns}", wanted)

    @property
    def standard_cells(self) -> bool:
        """Whether it is an ASIC's."""
        return bool(self.liberty)

    @property
    def levels_per_cycle(self) -> int:
        """Levels of adders that fit into a clock period; at least 1."""
        return max(1, floor((self.clock_ns - self.register_ns) / self.adder_ns + ROUNDING))

    @property
    def fmax_mhz(self) -> float:
        """The clock frequency."""
        return 1000 / self.clock_ns

    @property
    def hold_slack_ns(self) -> float:
        """Least slack of hold that a placed design needs, whatever its clock."""
        return 0.0

    @property
    def latency_cycles(self) -> int | None:
        """Whole clock cycles in the longest latency."""
        return None if self.latency_ns is None else floor(self.latency_ns / self.clock_ns + ROUNDING)

    @property
    def initiation_interval_cycles(self) -> int:
        """Whole clock cycles between two inputs."""
        return floor(self.initiation_interval_ns / self.clock_ns + ROUNDING)


def load_target(name: str, folder: Path) -> Target:
    """Read a target.

    Args:
        name: A shipped target's name, or a path to a TOML file, relative to ``folder``.
        folder: Folder that relative paths start from.

    Returns:
        The target, the path of its liberty file from the working directory.

    Raises:
        InputError: There is no such target, its file does not say what a target must, or there is no liberty file.
    """
    path = shipped_path("target", name, folder)
    target = read_shipped(Target, path)
    if not target.standard_cells:
        return target
    liberty = path.parent / target.liberty
    if not is_file(liberty):
        found = f"{str(liberty)!r}, which is not there"
        raise InputError(f"target {target.name!r}, liberty", found, "a liberty file", target.liberty_from)
    return replace(target, liberty=str(liberty), liberty_sha256=digest_file(liberty))
