"""`deploy.patterns`: test vectors for a board's links, in and out, in the text formats of CMS's DemonstratorTools."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from codesign.deploy._boards import FormatName
from codesign.deploy._links import LinkMap, Side
from codesign.deploy._wrapper import TEMPLATE, Wrapper
from codesign.deploy.format.base import Format
from codesign.deploy.format.manifest import Manifest, Part, tensors_of
from codesign.deploy.format.proof import Proof
from codesign.design import Allocation, Artifact, Design
from codesign.errors import InputError
from codesign.hdl.interface import Interface, Port
from codesign.passes import Context
from codesign.shipped import read_toml
from codesign.target import Target
from codesign.tools import require_time

FORMATS: tuple[FormatName, ...] = ("EMPv1", "EMPv2", "APx")
#: What is inside beside the data.
PARTS = (Part("the module between links, from a template", "Apache-2.0", "the codesign authors"),)


@dataclass(frozen=True)
class Patterns(Format):
    """Write frames of inputs and expected outputs for a board's links, read them back, and play them on the Verilog.

    Args:
        links: TOML file with the table ``links``; by default it is the target's.
        packing: Where there is no such table: ``in_order`` packs elements one after another into as many links as it
            takes, with packets of the target's initiation interval; ``none`` refuses.
        formats: Text formats to write.
        events: Events of the test split, from its first on; 0 for all.
        frames_per_file: Frames of a file: what the board's buffers hold.
        board: Its name, for EMPv2.
        compiler: C++ compiler for the simulation, as found on PATH.
        timeout_s: Longest time that one call of a tool may take, in seconds.
    """

    links: Path | None = None
    packing: Literal["none", "in_order"] = "none"
    formats: tuple[FormatName, ...] = FORMATS
    events: int = 1024
    frames_per_file: int = 1024
    board: str = "CMSSW"
    compiler: str = "g++"
    timeout_s: float = 1800.0

    reads: ClassVar[tuple[str, ...]] = (*Format.reads, "dataset", "quantized", "target", "artifacts.rtl")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.patterns", "checks")
    early: ClassVar[tuple[str, ...]] = ("graph", "target", "allocation")
    distributions: ClassVar[tuple[str, ...]] = ("jinja2",)

    def __post_init__(self) -> None:
        require_time(f"{self.name}, timeout_s", self.timeout_s)
        if not self.formats:
            raise InputError(f"{self.name}, formats", "none", ", ".join(FORMATS))
        self.require_least(events=0, frames_per_file=1)
        if not (self.board.isascii() and self.board.isprintable() and self.board.strip() == self.board):
            raise InputError(f"{self.name}, board", repr(self.board), "printable ASCII, no blanks around it")

    def files(self) -> tuple[Path, ...]:
        """The template of the module, and the link map, if it has a file of its own."""
        return (TEMPLATE,) if self.links is None else (TEMPLATE, self.links)

    def programs(self) -> tuple[str, ...]:
        """The C++ compiler; Verilator is looked for elsewhere too."""
        return (self.compiler,)

    def versions(self) -> Mapping[str, str]:
        """Verilator, and GHDL, which VHDL needs."""
        from codesign.hdl.ghdl import ghdl_version
        from codesign.hdl.verilator import VERILATOR

        return {VERILATOR.name: VERILATOR.find().said, **ghdl_version()}

    def refuse(self, design: Design) -> None:
        """A map that cannot hold the inputs is refused once their bits are known, before fine-tuning."""
        if (plan := self._plan(design.target)) is None:
            return
        ports = list[Port]()
        for name, shape in design.graph.inputs.items():
            # A tensor whose elements differ in format is wider than the bits chosen: what the map takes is believed.
            own = [field.low + field.bits for field in plan.inputs if field.tensor in (name, "")]
            ports.append(Port(name, name, shape, False, max(_width(design.allocation, name), 1, *own), 0))
        where = f"{self._where(design.target)}, inputs"
        Side.of(plan.inputs, ports, plan.period, where).require_whole(where)

    def make(self, design: Design, context: Context, proof: Proof) -> Mapping[str, object]:
        """Lay the links out, write, read back, play."""
        from codesign.deploy._packets import pattern_files, write_files
        from codesign.deploy._replay import replayed

        with context.store.scratch() as scratch:
            project, folder = scratch / "project", scratch / "patterns"
            context.store.take_out(design.artifacts["rtl"].digest, project, folder=True)
            interface = Interface.read(project)
            wrapper = self._wrapper(design, interface)
            test = [x[: self.events or None] for x in design.dataset.split("test").inputs]
            context.progress("patterns: writing", 0, 2)
            files = pattern_files(wrapper, design.quantized, test, self.frames_per_file, self.board, self.name)
            write_files(files, self.formats, folder)
            wrapper.write(folder)
            context.progress("patterns: simulating", 1, 2)
            log = context.work / "patterns.log"
            check = replayed(wrapper, files, self.formats, folder, project, self.compiler, log, self.timeout_s)
            proof = Proof.of({**design.checks, "numpy->patterns": check}, self.name, self.allow_unproven)
            self._manifest(design, wrapper, len(files), proof).write(folder)
            digest = context.store.put_folder(folder)
        context.progress("patterns: compared", 2, 2)
        artifact = Artifact("patterns", digest, folder=True)
        return {"artifacts": {"patterns": artifact}, "checks": {"numpy->patterns": check}}

    def _where(self, target: Target) -> str:
        return f"target {target.name!r}, links" if self.links is None else f"{self.links}, links"

    def _plan(self, target: Target) -> LinkMap | None:
        """The link map that is given; None for one that is yet to be made."""
        table = target.links if self.links is None else read_toml(self.links).get("links", {})
        if table:
            return LinkMap.parsed(table, self._where(target))
        if self.packing == "none" or self.links is not None:
            step = f"write one (docs/how-to/deploy-firmware.md), or set {self.name}.packing to 'in_order'"
            raise InputError(self._where(target), "no link map", "a table that says where each bit lies", step)
        return None

    def _wrapper(self, design: Design, interface: Interface) -> Wrapper:
        where = self._where(design.target)
        plan = self._plan(design.target)
        if plan is None:
            period = design.target.initiation_interval_cycles
            plan = LinkMap.in_order(interface.inputs, interface.outputs, period)
        if plan.period < plan.frames_per_clock * interface.initiation_interval:
            wanted = f"{plan.frames_per_clock * interface.initiation_interval} or more"
            raise InputError(f"{where}, period", f"{plan.period}", wanted, "the network takes no more events")
        inputs = Side.of(plan.inputs, interface.inputs, plan.period, f"{where}, inputs")
        outputs = Side.of(plan.outputs, interface.outputs, plan.period, f"{where}, outputs")
        return Wrapper(
            interface, inputs.require_whole(f"{where}, inputs"), outputs.require_whole(f"{where}, outputs"), plan
        )

    def _manifest(self, design: Design, wrapper: Wrapper, files: int, proof: Proof) -> Manifest:
        interface = wrapper.interface
        more = {
            "module": wrapper.name,
            "formats": self.formats,
            "files": files,
            "frames_per_file": self.frames_per_file,
            "latency_frames": wrapper.latency_frames,
            "latency_cycles": interface.stages,
            "links": asdict(wrapper.plan),
        }
        return Manifest.of(design.report, (self.name, interface.top, 1), tensors_of(interface), proof, PARTS, more)


def _width(known: Allocation, tensor: str) -> int:
    """Bits of an input, as far as they are known before fine-tuning."""
    if tensor in known.formats:
        return int(known.formats[tensor].envelope().width)
    return int(np.max(known.point.bits.get(tensor, 0)))
