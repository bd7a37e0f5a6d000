"""`allocate.pareto`: the Pareto front of predicted loss against a cost, under budgets on any others."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from codesign.allocate._decisions import NARROWEST, WIDEST, Granularity, Rules
from codesign.capture import output_to
from codesign.design import Design, Front
from codesign.errors import InputError
from codesign.passes import Context, Pass

if TYPE_CHECKING:
    from codesign.allocate._front import Found
    from codesign.allocate._model import Model

#: The cost where none is named.
DEFAULT_COST = "bops_campos"
#: Points of a front that is too large to be found whole.
COVER = 32


@dataclass(frozen=True)
class Pareto(Pass):
    """Choose bits: provably the least predicted loss among all assignments that the budgets allow.

    The predicted loss is 1/2 sum over tensors of mean Hessian trace times squared quantization error
    (HAWQ-V2, arXiv 1911.03852), by tensor, group of channels or channel. Costs are of the real graph: an activation's
    bits count in every layer that reads it, and a weight that rounds to zero costs no product. Fine-tuning keeps those
    zero, so the built network costs at most what is given here. The front is along the first cost that is named.

    Args:
        budgets: Most of each cost, by the cost's name, or "target" for what the target allows; `codesign costs` lists
            them. Without any, the point with the least loss is taken.
        costs: Costs to report and plot without a budget.
        weight_bits: Fewest and most bits of a weight tensor.
        prune: Whether a weight tensor, group or channel may have no bits: it is taken away.
        activations: "tied" gives an activation the bits of the weights before it plus activation_offset;
            "free" chooses them by themselves.
        activation_offset: Bits that a tied activation has beyond the weights before it.
        activation_bits: Fewest and most bits of a free activation.
        input_bits: Bits of the network's inputs.
        bits: Bits, or fewest and most, of single tensors by name or pattern, such as {"fc1.weight" = 8}. An activation
            that is named here is not tied. Network inputs need one number: of a range they get the fewest bits, because
            no loss is predicted for them.
        ties: Lists of tensors that must have one width.
        granularity: What of a weight shares a width: the "tensor", a "group" of output channels, or a "channel".
            Finer than tensor needs free activations.
        group_size: Output channels in a group.
        solver: "auto" enumerates where there are few assignments, and is "lagrangian" elsewhere, or "evolutionary" for
            costs that are no sums; `codesign solvers` lists them.
        points: How many points of the front: "all", a number for an even cover, or "auto" for all where they can be
            enumerated, else a cover of 32.
        gap: How far a point's loss may be from the proven least, as a share of it; 0 for the least itself.
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
    weight_bits: tuple[int, int] = (4, 8)
    prune: bool = False
    activations: Literal["tied", "free"] = "tied"
    activation_offset: int = 3
    activation_bits: tuple[int, int] = (4, 11)
    input_bits: int = 16
    bits: dict[str, int | tuple[int, int]] = field(default_factory=dict[str, int | tuple[int, int]])
    ties: tuple[tuple[str, ...], ...] = ()
    granularity: Granularity = "tensor"
    group_size: int = 16
    solver: str = "auto"
    points: int | Literal["auto", "all"] = "auto"
    gap: float = 0.0
    time_limit_s: float | None = None
    reuse_factor: int = 1
    measurements: Path | None = None
    calibration: int = 4096
    metric: str = ""

    reads: ClassVar[tuple[str, ...]] = ("target", "graph", "dataset", "sensitivity")
    writes: ClassVar[tuple[str, ...]] = ("front",)
    distributions: ClassVar[tuple[str, ...]] = ("torch", "scipy", "pymoo")
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, budget in self.budgets.items():
            fine = budget == "target" or (not isinstance(budget, str) and 0 < budget < inf)
            self._require(f"budgets.{name}", fine, budget, 'a positive number, or "target"')
        for option, (low, high) in {"weight_bits": self.weight_bits, "activation_bits": self.activation_bits}.items():
            fine = NARROWEST <= low <= high <= WIDEST
            self._require(option, fine, f"{low} to {high}", f"{NARROWEST} to {WIDEST} bits, the fewest first")
        self._require("input_bits", NARROWEST <= self.input_bits <= WIDEST, self.input_bits, "2 to 24")
        self._require("calibration", self.calibration >= 1, self.calibration, "at least 1 sample")
        self._require("group_size", self.group_size >= 1, self.group_size, "at least 1 channel")
        self._require("reuse_factor", self.reuse_factor >= 1, self.reuse_factor, "at least 1")
        self._require("gap", 0 <= self.gap < 1, self.gap, "at least 0, below 1")
        self._require("points", isinstance(self.points, str) or self.points >= 2, self.points, "2 or more")
        self._require(
            "time_limit_s", self.time_limit_s is None or self.time_limit_s > 0, self.time_limit_s, "a positive number"
        )
        if self.activations == "tied":
            ends = [bits + self.activation_offset for bits in self.weight_bits]
            found = f"{self.activation_offset}, which makes activations of {ends[0]} to {ends[1]}"
            fine = ends[0] >= NARROWEST and ends[1] <= WIDEST
            self._require("activation_offset", fine, found, f"activations of {NARROWEST} to {WIDEST} bits")

    def _require(self, option: str, fine: bool, found: object, wanted: str) -> None:
        if not fine:
            raise InputError(f"allocate.pareto, {option}", f"{found}", wanted)

    def files(self) -> tuple[Path, ...]:
        """The table of measurements."""
        return () if self.measurements is None else (self.measurements,)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Set up the problem, find the front."""
        from codesign.allocate._setup import budget_of, metric_named, set_up
        from codesign.allocate.costs._measurements import read_measurements

        metric = metric_named(self.metric, design.sensitivity, self.name)
        measurements = () if self.measurements is None else read_measurements(self.measurements)
        names = list(dict.fromkeys([*self.budgets, *self.costs])) or [DEFAULT_COST]
        setup = set_up(design, metric, self.rules(), names, self.reuse_factor, measurements, self.calibration)
        budgets = {name: budget_of(name, most, setup.limits, self.name) for name, most in self.budgets.items()}
        with output_to(context.work / "solver.log"):  # HiGHS prints remarks of its own
            found, solver, complete = self._search(setup.model, budgets, context)
        front = Front(
            cost=names[0],
            points=tuple(setup.model.point(each.picks, each.gap) for each in found),
            uniform=setup.uniform(),
            metric=metric,
            solver=solver,
            complete=complete,
            budgets=budgets,
            reuse_factor=self.reuse_factor,
            measurements=measurements,
        )
        return {"front": front}

    def rules(self) -> Rules:
        """The options that say which widths are allowed."""
        return Rules(**{item.name: getattr(self, item.name) for item in fields(Rules)})

    def _search(
        self, model: "Model", budgets: Mapping[str, float], context: Context
    ) -> tuple[list["Found"], str, bool]:
        """The front, who found it, and whether it is whole.

        Raises:
            InputError: No assignment meets the budgets; the message says how far each would have to be raised.
        """
        from codesign.allocate._enumerate import enumerable
        from codesign.allocate._front import Search
        from codesign.allocate._problem import BlackBox, Bound
        from codesign.allocate._relax import contradiction
        from codesign.allocate.solvers import make_solver
        from codesign.allocate.solvers._solver import Effort

        main = next(iter(model.costs))
        bounds: dict[str, Bound] = {name: Bound(model.costs[name], most) for name, most in budgets.items()}
        problem = model.problem()
        few = enumerable(problem.bounded(*(Bound(cost, inf) for cost in model.costs.values())))
        no_sums = any(isinstance(cost, BlackBox) for cost in model.costs.values())
        name = (
            self.solver
            if self.solver != "auto"
            else "exhaustive"
            if few
            else "evolutionary"
            if no_sums
            else "lagrangian"
        )
        solver = make_solver(name, "allocate.pareto, solver")
        effort = Effort(self.gap, self.time_limit_s or inf, context.seed, context.progress)
        others = [bound for key, bound in bounds.items() if key != main]
        search = Search(problem.bounded(*others), model.costs[main], solver, effort)
        whole = self.points == "all" or (self.points == "auto" and name == "exhaustive")
        if whole and not solver.exact:
            raise InputError(
                "allocate.pareto, points", f"'all', with the solver {name}", "a number", "or another solver"
            )
        count = self.points if isinstance(self.points, int) else COVER
        found = search.every_point() if whole else search.cover(count, budgets.get(main))
        within = [each for each in found if main not in bounds or bounds[main].met(each.picks)]
        if not within:
            raise contradiction(problem, bounds, solver, effort)
        return found, name, whole
