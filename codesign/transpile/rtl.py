"""`transpile.rtl`: Verilog or VHDL with no vendor tool at all, the whole network unrolled, one input per clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from codesign.design import Artifact, Design, Measure
from codesign.errors import InputError
from codesign.hdl.guard import alkaid_runs, require_alkaid
from codesign.hdl.interface import HdlName
from codesign.passes import Context, Pass
from codesign.words import require_hdl_name


@dataclass(frozen=True)
class Rtl(Pass):
    """Write the integer network as pipelined Verilog or VHDL by alkaid: adder graphs in place of multipliers.

    Every operation's own integer forward is what is traced. Each weight costs what its own bits do, and zeros nothing.

    Args:
        project: Name of the project and of its top module; an identifier of the language that is no keyword.
        language: What it is written in. Simulation and synthesis of VHDL need GHDL.
        stage_levels: Levels of adders in a pipeline stage; 0 for as many as the target's clock period holds.
        most_products: Most products with weights in one input, positions counted; more is refused.
    """

    project: str = "network"
    language: HdlName = "verilog"
    stage_levels: int = 0
    most_products: int = 200_000

    reads: ClassVar[tuple[str, ...]] = ("quantized", "target")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.rtl", "measures")
    early: ClassVar[tuple[str, ...]] = ("graph",)
    distributions: ClassVar[tuple[str, ...]] = ("alkaid", "jinja2")

    def __post_init__(self) -> None:
        require_hdl_name("transpile.rtl, project", self.project, self.language)
        if self.stage_levels < 0:
            raise InputError("transpile.rtl, stage_levels", f"{self.stage_levels}", "1 or more, or 0 for the target's")
        require_alkaid(self.name)

    def refuse(self, design: Design) -> None:
        """A network too large to unroll, or with an operation that can't be traced, is refused before training."""
        from codesign.hdl.circuit import require_small, require_traceable

        require_small(design.graph, self.most_products, self.name)
        require_traceable(design.graph)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Trace, write."""
        log, target = context.work / "rtl.log", design.target
        levels = self.stage_levels or target.levels_per_cycle
        context.progress("rtl: tracing", 0, 2)
        with context.store.scratch() as scratch:
            with alkaid_runs(log):
                from codesign.hdl.circuit import trace_network
                from codesign.hdl.unrolled import write_unrolled

                circuit = trace_network(design.quantized)
                context.progress(f"rtl: writing {self.language}", 1, 2)
                graph, folder = design.quantized.graph, scratch / "project"
                write_unrolled(circuit, graph, self.project, target.clock_ns, levels, folder, self.language)
            digest = context.store.put_folder(folder)
        context.progress("rtl: written", 2, 2)
        cost = Measure(float(circuit.logic.cost), "LUTs (alkaid's own estimate)", "estimated", self.name)
        return {"artifacts": {"rtl": Artifact("rtl", digest, folder=True)}, "measures": {"rtl_lut_estimated": cost}}
