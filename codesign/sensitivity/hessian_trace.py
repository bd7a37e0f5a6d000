"""`sensitivity.hessian_trace`: exact traces from one backward pass less than there are classes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from codesign.design import Design, Sensitivity
from codesign.passes import Context
from codesign.sensitivity._streamed import StreamedTrace

if TYPE_CHECKING:
    from codesign.sensitivity._gauss_newton import Columns
    from codesign.sensitivity._objective import Objective

#: Most outputs for which the exact trace is the default.
EXACT_OUTPUTS = 32


@dataclass(frozen=True)
class HessianTrace(StreamedTrace):
    """Trace of the loss's Hessian for every parameter and activation, its channels and elements, without random probes.

    For a network that is linear between kinks (ReLU, max and average pooling), the Hessian of a tensor's block is its
    Gauss-Newton matrix, whose trace is a sum of squared gradients: with S S^T the Hessian of the loss in the outputs
    f, tr = 1/N sum_n sum_c ||d(f . S_c)/d theta||^2. For C classes S has C - 1 columns, each one backward pass; for
    squared error one per output. (HAWQ-V2, arXiv 1911.03852, defines the metric.) With more than 32 outputs, columns
    are drawn at random: the Monte Carlo Fisher, with its standard error.

    Args:
        method: "exact", "monte_carlo", or "auto": exact up to 32 outputs.
        draws: Random columns per sample for "monte_carlo"; an even number.
    """

    method: Literal["auto", "exact", "monte_carlo"] = "auto"
    draws: int = 16

    writes: ClassVar[tuple[str, ...]] = ("sensitivity.hessian_trace", "notices")
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("draws", self.draws >= 2 and self.draws % 2 == 0, "an even number, 2 or more")

    def columns(self, objective: "Objective", context: Context) -> "Columns":
        """Of a root of the loss's Hessian in the outputs, or drawn ones."""
        from codesign.sensitivity._gauss_newton import Columns

        exact = self.method == "exact" or (self.method == "auto" and objective.outputs <= EXACT_OUTPUTS)
        return Columns("exact") if exact else Columns("drawn", self.draws, context.seed)

    def measure(self, objective: "Objective", design: Design, context: Context) -> tuple[Sensitivity, list[str]]:
        """One pass over the data; where operations bend, the user is told what that means."""
        found, notices = super().measure(objective, design, context)
        if bent := [node.name for node in design.graph.nodes if not node.op.piecewise_linear]:
            text = f"{', '.join(bent)}: not linear between kinks, so traces are the Gauss-Newton matrix's"
            notices = [*notices, f"{text}; sensitivity.hutchinson, hutchpp and xtrace estimate the Hessian's"]
        return found, notices
