"""`allocate.pareto`: the whole Pareto front of loss against cost, and the best point under the budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf
from typing import ClassVar, Literal

from codesign.allocate._milp import pareto_front
from codesign.allocate._problem import Problem, Table, Variable, make_problem
from codesign.allocate.costs.bops_campos import bops
from codesign.capture import output_to
from codesign.design import Allocation, Design, Front, Point, Sensitivity
from codesign.errors import InputError
from codesign.graph import Graph
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class Pareto(Pass):
    """Choose bits: provably the least predicted loss among all assignments that the budget allows.

    The predicted loss is 1/2 sum over tensors of mean Hessian trace times squared quantization error
    (HAWQ-V2, arXiv 1911.03852). The cost is BOPs (arXiv 2304.06745) of the real graph: an activation's bits count in
    the layer that reads it, and a weight that rounds to zero costs no product. Fine-tuning keeps those zero, so the
    built network's BOPs are at most the cost given here.

    Args:
        budget_bops: Most BOPs allowed; without it the point with the least loss is taken.
        weight_bits: Fewest and most bits of a weight tensor.
        activations: "tied" gives an activation the bits of the weights before it plus activation_offset;
            "free" chooses them by themselves.
        activation_offset: Bits that a tied activation has beyond the weights before it.
        activation_bits: Fewest and most bits of a free activation.
        input_bits: Bits of the network's inputs.
        calibration: Training samples on which activations are looked at.
        metric: The sensitivity that predicts the loss, by its pass's name without the stage; the first in the flow
            where nothing is set.
    """

    budget_bops: float | None = None
    weight_bits: tuple[int, int] = (4, 8)
    activations: Literal["tied", "free"] = "tied"
    activation_offset: int = 3
    activation_bits: tuple[int, int] = (4, 11)
    input_bits: int = 16
    calibration: int = 4096
    metric: str = ""

    reads: ClassVar[tuple[str, ...]] = ("graph", "dataset", "sensitivity")
    writes: ClassVar[tuple[str, ...]] = ("front", "allocation")
    distributions: ClassVar[tuple[str, ...]] = ("torch", "scipy")

    def __post_init__(self) -> None:
        if self.budget_bops is not None and not 0 < self.budget_bops < inf:
            raise InputError("allocate.pareto, budget_bops", f"{self.budget_bops}", "a positive number")
        if self.calibration < 1:
            raise InputError("allocate.pareto, calibration", f"{self.calibration}", "at least 1 sample")
        for option, (low, high) in {"weight_bits": self.weight_bits, "activation_bits": self.activation_bits}.items():
            if not 2 <= low <= high <= 24:
                raise InputError(f"allocate.pareto, {option}", f"{low} to {high}", "2 to 24 bits, the fewest first")
        if self.activations == "tied" and not 2 <= self.weight_bits[1] + self.activation_offset <= 24:
            found = (
                f"{self.activation_offset}, which makes activations of {self.weight_bits[1] + self.activation_offset}"
            )
            raise InputError("allocate.pareto, activation_offset", found, "activations of 2 to 24 bits")
        if not 2 <= self.input_bits <= 24:
            raise InputError("allocate.pareto, input_bits", f"{self.input_bits}", "2 to 24")
        if not 1 - self.weight_bits[0] < self.activation_offset <= 16:
            raise InputError(
                "allocate.pareto, activation_offset", f"{self.activation_offset}", "2 bits at least, in all"
            )

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Find the front by epsilon constraint, then pick under the budget."""
        from codesign.allocate._losses import density_table, loss_table
        from codesign.starting import Starting

        graph = design.graph
        widths = self._widths(graph)
        start = Starting.of(design, self.calibration)
        metric = self._metric(design.sensitivity)
        losses = loss_table(start, metric, design.sensitivity[metric], widths)
        problem = self.problem(graph, losses, density_table(start, widths))
        points: list[Point] = []
        with output_to(context.work / "highs.log"):  # HiGHS prints remarks of its own
            for picks in pareto_front(problem):
                points.append(problem.point(picks))
                context.progress(f"{len(points)} Pareto points", 0, 0)
        points.reverse()
        front = Front("bops", tuple(points), tuple(self._uniform(problem)), metric)
        return {"front": front, "allocation": choose(front, self.budget_bops)}

    def _metric(self, measured: Mapping[str, Sensitivity]) -> str:
        """The metric to predict the loss with."""
        if self.metric and self.metric not in measured:
            hint = f"measured: {', '.join(measured)}; to measure others too: --also sensitivity.METRIC"
            raise InputError("allocate.pareto, metric", f"{self.metric!r}, which was not measured", "", hint)
        return self.metric or next(iter(measured))

    def problem(self, graph: Graph, losses: Table, densities: Table) -> Problem:
        """The problem for given tables.

        Args:
            graph: The network.
            losses: Expected loss increase by tensor and bits.
            densities: Fraction of nonzero weights by weight tensor and bits.
        """
        shapes = graph.shapes()
        work = {
            node.name: node.op.work([shapes[name] for name in node.inputs], shapes[node.output])
            for node in graph.weighted()
        }
        weights = {node.name: node.op.parameters()["weight"] for node in graph.weighted()}

        def layer_cost(name: str, weight_bits: int, activation_bits: int) -> float:
            return bops(work[name], weight_bits, activation_bits, densities[weights[name]][weight_bits])

        return make_problem(graph, self._choices(graph), losses, layer_cost)

    def _choices(self, graph: Graph) -> list[tuple[dict[str, int], ...]]:
        """Per variable its choices: a weight tensor with the activations tied to it, or one free tensor."""
        low, high = self.weight_bits
        weights = [node.op.parameters()["weight"] for node in graph.weighted()]
        tied: dict[str, list[str]] = {name: [] for name in weights}
        choices: list[tuple[dict[str, int], ...]] = []
        for name in graph.activations():
            before = graph.feeding(name)
            if name in graph.inputs:
                choices.append(({name: self.input_bits},))
            elif self.activations == "tied" and before is not None:
                tied[before.op.parameters()["weight"]].append(name)
            else:
                choices.append(tuple({name: bits} for bits in _span(self.activation_bits)))
        offset = self.activation_offset
        for weight in weights:
            choices.append(tuple({weight: b, **dict.fromkeys(tied[weight], b + offset)} for b in range(low, high + 1)))
        return choices

    def _widths(self, graph: Graph) -> dict[str, list[int]]:
        """Every width that a tensor may get."""
        widths: dict[str, list[int]] = {}
        for variable in self._choices(graph):
            for bits in variable:
                for name, width in bits.items():
                    widths.setdefault(name, []).append(width)
        return widths

    def _uniform(self, problem: Problem) -> list[Point]:
        """The assignments with one weight width for all layers, where activations can follow by the offset."""
        points: list[Point] = []
        for bits in _span(self.weight_bits):
            picks = [self._uniform_pick(variable, bits) for variable in problem.variables]
            if None not in picks:
                points.append(problem.point([pick for pick in picks if pick is not None]))
        return points

    def _uniform_pick(self, variable: Variable, bits: int) -> int | None:
        """The choice in which weights have these bits and activations the offset more; None if there is none."""
        if len(variable.choices) == 1:  # a network input: its width is given
            return 0
        for index, choice in enumerate(variable.choices):
            wanted = {name: bits if name in variable.weights else bits + self.activation_offset for name in choice}
            if choice == wanted:
                return index
        return None


def choose(front: Front, budget: float | None) -> Allocation:
    """The point of a front with the least loss among those within the budget.

    Raises:
        InputError: No point is; the message says the smallest budget that can be met.
    """
    within = [i for i, point in enumerate(front.points) if budget is None or point.cost <= budget]
    if budget is not None and not within:
        least = front.points[0].cost
        raise InputError(
            "allocate.pareto, budget_bops",
            f"{budget:g}, which no assignment of bits meets",
            f"at least {ceil(least)}",
            "raise the budget, or allow fewer bits (weight_bits)",
        )
    return Allocation(front.points[within[-1]], budget, within[-1])


def _span(bits: tuple[int, int]) -> range:
    return range(bits[0], bits[1] + 1)
