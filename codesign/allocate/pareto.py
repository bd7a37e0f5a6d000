"""`allocate.pareto`: the Pareto front of predicted loss against a cost, under budgets on any others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import ClassVar, Literal

from codesign.allocate._widths import Rules
from codesign.capture import output_to
from codesign.design import Design, Front
from codesign.passes import Context, Pass

#: The cost where none is named.
DEFAULT_COST = "bops_campos"


@dataclass(frozen=True)
class Pareto(Rules, Pass):
    """Choose bits: provably the least predicted loss among all assignments that the budgets allow.

    The predicted loss is 1/2 sum over tensors of mean Hessian trace times squared quantization error
    (HAWQ-V2, arXiv 1911.03852), by tensor, group of channels or channel. Costs are of the real graph: an activation's
    bits count in every layer that reads it, and a weight that rounds to zero costs no product. Fine-tuning keeps those
    zero, so the built network costs at most what is given here. The front is along the first cost that is named.

    Args:
        budgets: Most of each cost, by the cost's name, or "target" for what the target allows; `codesign costs` lists
            them. Without any, the point with the least loss is taken.
        costs: Costs to report and plot without a budget.
        solver: "auto" enumerates where there are few assignments, and is "lagrangian" elsewhere, or "evolutionary" for
            costs that are no sums; `codesign solvers` lists them.
        points: How many points of the front: "all", a number for an even cover, or "auto" for all where they can be
            enumerated and the solver is exact, else a cover of 32. Where all are enumerated, the solver in the report
            is "exhaustive".
        gap: How far a point's loss may be from a proven bound of the least one, as a share of the point's loss; 0 for
            the least itself.
        time_limit_s: Longest time for one point; the best found until then is taken, with its proven gap.
        reuse_factor: Products that one multiplier does one after another, for the costs bram and latency_cycles; it
            does not change the firmware.
        measurements: CSV file for the cost "measured": layer, weight_bits, activation_bits, value.
        calibration: Training samples on which activations are looked at.
        metric: The sensitivity that predicts the loss, by its pass's name without the stage; the first in the flow
            where nothing is set.
    """

    budgets: dict[str, float | Literal["target"]] = field(default_factory=dict[str, float | Literal["target"]])
    costs: tuple[str, ...] = ()
    solver: str = "auto"
    points: int | Literal["auto", "all"] = "auto"
    gap: float = 0.0
    time_limit_s: float | None = None
    reuse_factor: int = 1
    measurements: Path | None = None
    calibration: int = 4096
    metric: str = ""

    reads: ClassVar[tuple[str, ...]] = ("target", "graph", "dataset", "sensitivity")
    writes: ClassVar[tuple[str, ...]] = ("front", "notices")
    distributions: ClassVar[tuple[str, ...]] = ("torch", "scipy", "pymoo")
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        from codesign.allocate._options import check_options

        check_options(self)

    def files(self) -> tuple[Path, ...]:
        """The table of measurements."""
        return () if self.measurements is None else (self.measurements,)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Set up the problem, find the front."""
        from codesign.allocate._find import find_front
        from codesign.allocate._setup import budget_of, set_up
        from codesign.allocate.costs._measurements import read_measurements
        from codesign.allocate.solvers._solver import Effort
        from codesign.metric import metric_named

        metric = metric_named(self.metric, design.sensitivity, self.name)
        measurements = () if self.measurements is None else read_measurements(self.measurements)
        names = list(dict.fromkeys([*self.budgets, *self.costs])) or [DEFAULT_COST]
        setup = set_up(design, metric, self, names, self.reuse_factor, measurements, self.calibration)
        budgets = {name: budget_of(name, most, setup.limits, self.name) for name, most in self.budgets.items()}
        with output_to(context.work / "solver.log"):  # HiGHS prints remarks of its own
            effort = Effort(self.gap, self.time_limit_s or inf, context.seed, context.progress)
            found = find_front(setup.model, budgets, self.solver, self.points, effort)
        front = Front(
            cost=names[0],
            points=tuple(setup.model.point(each.picks, each.gap) for each in found.points),
            uniform=setup.uniform(),
            metric=metric,
            solver=found.solver,
            complete=found.whole,
            budgets=budgets,
            reuse_factor=self.reuse_factor,
            measurements=measurements,
        )
        return {"front": front, "notices": {"allocate.pareto": _late(found.missed, names[0])} if found.missed else {}}


def _late(missed: int, cost: str) -> str:
    """What to know of a front with holes."""
    return (
        f"allocate.pareto: at {missed} values of {cost} time ran out before any bits were found; points may be far "
        "from the best that there is. Raise time_limit_s"
    )
