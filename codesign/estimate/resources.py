"""`estimate.resources`: LUTs, flip-flops and latency of the unrolled RTL, before any is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from codesign.design import Design, Measure
from codesign.errors import InputError
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class Resources(Pass):
    """Estimate what `transpile.rtl` will make of the integer weights; the estimates' errors stand with their units.

    Args:
        stage_levels: Levels of adders in a pipeline stage; 0 for as many as the target's clock period holds.
    """

    stage_levels: int = 0

    reads: ClassVar[tuple[str, ...]] = ("quantized", "target")
    writes: ClassVar[tuple[str, ...]] = ("measures", "notices")

    def __post_init__(self) -> None:
        if self.stage_levels < 0:
            raise InputError("estimate.resources, stage_levels", f"{self.stage_levels}", "1 or more, or 0")

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Count terms, multiply by what was fitted."""
        from codesign.estimate.model.fit import read_fit
        from codesign.estimate.model.hardware import estimate
        from codesign.estimate.model.terms import left_out
        from codesign.hdl.families import family_of

        fit, target = read_fit(), design.target
        found = estimate(design.quantized, self.stage_levels or target.levels_per_cycle)
        rows = {
            "estimated_lut": (round(found.lut), f"LUTs ({fit.family}), fitted: {fit.lut}"),
            "estimated_ff": (round(found.ff), f"flip-flops ({fit.family}), fitted: {fit.ff}"),
            "estimated_latency_cycles": (found.latency_cycles, f"clock cycles, fitted: {fit.latency_cycles}"),
        }
        notices: list[str] = []
        if missed := left_out(design.quantized.graph):
            more = f" and {len(missed) - 3} more" if len(missed) > 3 else ""
            notices.append(f"what {', '.join(missed[:3])}{more} takes is not estimated")
        if any(node.op.kind != "linear" for node in design.quantized.graph.weighted()):
            notices.append("errors of estimates are those of linear layers; convolutions were not looked at")
        if found.lut > fit.largest_lut:
            notices.append(f"errors of estimates are those of networks of at most {fit.largest_lut:,} LUTs")
        if family_of(target.part) != fit.family:
            notices.append(f"estimates are for chips of the family {fit.family}, which the target is not")
        return {
            "measures": {
                name: Measure(float(value), unit, "estimated", self.name) for name, (value, unit) in rows.items()
            },
            "notices": {self.name: "; ".join(notices)} if notices else {},
        }
