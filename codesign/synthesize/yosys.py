"""`synthesize.yosys`: LUTs, flip-flops, carry cells, DSPs and block RAMs of the Verilog, without a vendor's tool."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from codesign.design import Artifact, Design, Measure
from codesign.hdl.families import FAMILIES, UNITS, FamilyName, family_of, require_family, resources
from codesign.passes import Context, Pass
from codesign.tools import require_time


@dataclass(frozen=True)
class Yosys(Pass):
    """Synthesize the RTL project with Yosys and count cells. Timing is not looked at.

    Args:
        family: The chip family; None for that of the target's part.
        timeout_s: Longest time that Yosys may take, in seconds.
    """

    family: FamilyName | None = None
    timeout_s: float = 7200.0

    reads: ClassVar[tuple[str, ...]] = ("target", "artifacts.rtl")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.yosys", "measures", "notices")
    early: ClassVar[tuple[str, ...]] = ("target",)

    def __post_init__(self) -> None:
        require_time(f"{self.name}, timeout_s", self.timeout_s)

    def versions(self) -> Mapping[str, str]:
        """Yosys; GHDL, which VHDL needs, if it is there."""
        from codesign.hdl.ghdl import ghdl_version
        from codesign.hdl.yosys import YOSYS

        return {YOSYS.name: YOSYS.find().said, **ghdl_version()}

    def refuse(self, design: Design) -> None:
        """A part that Yosys doesn't know is refused before anything is trained."""
        require_family(self.family, design.target, self.name)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Synthesize, count."""
        from codesign.hdl.ghdl import as_verilog
        from codesign.hdl.interface import Interface
        from codesign.hdl.yosys import count_cells, find_yosys

        yosys, name, log = (
            find_yosys(),
            require_family(self.family, design.target, self.name),
            context.work / "yosys.log",
        )
        context.progress(f"yosys: synthesizing for {name}", 0, 1)
        with context.store.scratch() as scratch:
            project = scratch / "project"
            context.store.take_out(design.artifacts["rtl"].digest, project, folder=True)
            interface = as_verilog(Interface.read(project), project, log, self.timeout_s)
            commands = [FAMILIES[name].command]
            cells, file = count_cells(yosys, interface, project, commands, log, self.timeout_s)
            digest = context.store.put(file.read_bytes())
        context.progress("yosys: counted", 1, 1)
        counts = resources(FAMILIES[name], cells)
        unit = f"{{}} ({name}, Yosys {yosys.version})"
        # Counts for another family than the target's are not held against its limits.
        end = "" if name == family_of(design.target.part) else f"_of_{name}"
        measures = {
            f"yosys_{resource}{end}": Measure(float(count), unit.format(UNITS[resource]), "synthesized", self.name)
            for resource, count in counts.items()
        }
        notice = (
            f"Yosys counts cells, before they are packed and placed, and says nothing of timing: whether "
            f"{interface.clock_ns:g} ns are met, only place and route can tell"
        )
        return {
            "artifacts": {"yosys": Artifact("yosys.json", digest)},
            "measures": measures,
            "notices": {self.name: notice},
        }
