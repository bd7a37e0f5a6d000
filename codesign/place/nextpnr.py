"""`place.nextpnr`: the Verilog placed and routed on a Lattice ECP5 by open tools: cells, Fmax, a bitstream."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from codesign.design import Artifact, Design, Measure
from codesign.errors import InputError
from codesign.passes import Context, Pass
from codesign.place._parts import require_device
from codesign.tools import require_time

if TYPE_CHECKING:
    from codesign.place._nextpnr import Job

#: Yosys's, in the project.
NETLIST = "netlist.json"


@dataclass(frozen=True)
class Nextpnr(Pass):
    """Synthesize with Yosys, place and route with nextpnr on an ECP5, once with each of several seeds.

    The network stands between shift registers, so that six pins are enough. What is more than the target allows, by
    Yosys's count of cells, is not placed.

    Args:
        seeds: How many seeds. The lowest Fmax is held against the clock; the seed with the highest makes the bitstream.
        pins: Constraints for the six pins, an LPF file; None to leave it to nextpnr where they are.
        timeout_s: Longest time that one call of a tool may take, in seconds.
    """

    seeds: int = 3
    pins: Path | None = None
    timeout_s: float = 3600.0

    reads: ClassVar[tuple[str, ...]] = ("target", "artifacts.rtl")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.nextpnr", "measures", "notices")
    early: ClassVar[tuple[str, ...]] = ("target",)
    distributions: ClassVar[tuple[str, ...]] = ("jinja2",)

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InputError("place.nextpnr, seeds", f"{self.seeds}", "1 or more")
        require_time(f"{self.name}, timeout_s", self.timeout_s)

    def files(self) -> tuple[Path, ...]:
        """The constraints."""
        return () if self.pins is None else (self.pins,)

    def versions(self) -> Mapping[str, str]:
        """Yosys, and nextpnr with the ecppack beside it."""
        from codesign.hdl.ghdl import ghdl_version
        from codesign.hdl.yosys import YOSYS
        from codesign.place._nextpnr import NEXTPNR, find_nextpnr

        return {YOSYS.name: YOSYS.find().said, NEXTPNR.name: find_nextpnr().said, **ghdl_version()}

    def refuse(self, design: Design) -> None:
        """A part that nextpnr doesn't know is refused as soon as the target is the one to be placed on."""
        require_device(design.target)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Wrap, synthesize, place, pack."""
        from codesign.hdl.families import FAMILIES
        from codesign.hdl.ghdl import as_verilog
        from codesign.hdl.interface import Interface
        from codesign.hdl.yosys import count_cells, find_yosys
        from codesign.limits import exceeded, limits
        from codesign.place._harness import write_harness
        from codesign.place._measures import mapped
        from codesign.place._nextpnr import Job, find_nextpnr

        nextpnr, yosys, target, work = find_nextpnr(), find_yosys(), design.target, context.work
        device, log, project = require_device(target), work / "nextpnr.log", work / "project"
        context.progress("nextpnr: synthesizing", 0, self.seeds + 1)
        context.store.take_out(design.artifacts["rtl"].digest, project, folder=True)
        harness = write_harness(as_verilog(Interface.read(project), project, log, self.timeout_s), project)
        commands = [f"{FAMILIES['ecp5'].command} -json {NETLIST}"]
        cells, counted = count_cells(yosys, harness, project, commands, log, self.timeout_s)
        measures = mapped(cells, yosys.version, self.name)
        with context.store.scratch() as kept:
            shutil.copy(project / harness.files[-1], kept)
            shutil.copy(counted, kept / "cells.json")
            if over := exceeded(limits(target, measures), measures, target):
                step = "take a cheaper point of the front (allocate.point), fewer bits, or prune"
                notice = f"not placed: {'; '.join(over)}; {step}"
            else:
                netlist, pins = f"project/{NETLIST}", self._pins(work)
                job = Job(nextpnr, device, netlist, target.clock_ns, pins, work, log, self.timeout_s)
                made, notice = self._place(job, kept, context)
                measures |= made
            digest = context.store.put_folder(kept)
        context.progress("nextpnr: done", self.seeds + 1, self.seeds + 1)
        return {
            "artifacts": {"nextpnr": Artifact("nextpnr", digest, folder=True)},
            "measures": measures,
            "notices": {self.name: notice},
        }

    def _pins(self, work: Path) -> tuple[str, ...]:
        """What nextpnr is told; the constraints go where its WebAssembly build sees them."""
        if self.pins is None:
            return ("--lpf-allow-unconstrained",)
        shutil.copyfile(self.pins, work / "pins.lpf")
        return ("--lpf", "pins.lpf")

    def _place(self, job: "Job", kept: Path, context: Context) -> tuple[dict[str, Measure], str]:
        """Every seed; reports and the bitstream are kept. Measures, and what is to be known of them."""
        from codesign.place._measures import placed
        from codesign.place._nextpnr import REPORT, Routed

        routed: dict[int, Routed] = {}
        for seed in range(1, self.seeds + 1):
            context.progress(f"nextpnr: placing and routing with seed {seed}", seed, self.seeds + 1)
            routed[seed] = job.route(seed)
            shutil.copy(job.folder / f"seed-{seed}" / REPORT, kept / f"seed-{seed}.json")
        best = max(routed, key=lambda seed: routed[seed].fmax_mhz)
        shutil.copy(job.pack(best), kept / "harness.bit")
        whose = "yours" if self.pins else "nextpnr's own choice, for no board"
        notice = (
            f"placed between shift registers, whose cells are counted too; harness.bit is of seed {best}, "
            f"{routed[best].fmax_mhz:.1f} MHz, and its pins are {whose}"
        )
        chip = f"{job.device.name}, nextpnr {job.nextpnr.version}"
        return placed(routed, chip, self.name), notice
