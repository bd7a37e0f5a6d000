"""From a design to the allocation problem: tables of losses and costs for every width that may be chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from codesign.allocate._decisions import Choice, decisions
from codesign.allocate._losses import loss_table, nonzero_table
from codesign.allocate._model import Model, make_model
from codesign.allocate._pieces import Piece
from codesign.allocate._widths import Rules
from codesign.allocate.costs import Cost, Hardware, make_cost
from codesign.allocate.counting.counts import operations
from codesign.design import Design, Measurement, Point
from codesign.errors import InputError, did_you_mean
from codesign.graph import Graph
from codesign.starting import Starting, sent_formats


@dataclass(frozen=True)
class Setup:
    """The problem of a design.

    Args:
        model: Decisions, loss and costs.
        rules: Which widths are allowed.
        limits: What the target allows of each cost, by name; None where it does not say.
    """

    model: Model
    rules: Rules
    limits: dict[str, float | None]

    def uniform(self) -> dict[int, Point]:
        """The assignments with one weight width for all layers that have a choice, by it.

        Activations follow by the offset, where they can; pinned tensors keep their widths.
        """
        found: dict[int, Point] = {}
        for bits in range(self.rules.weight_bits[0], self.rules.weight_bits[1] + 1):
            picks = [self._uniform_pick(choices, bits) for choices in self.model.decisions]
            if None not in picks:
                found[bits] = self.model.point([pick for pick in picks if pick is not None], None)
        return found

    def _uniform_pick(self, choices: tuple[Choice, ...], bits: int) -> int | None:
        """The choice in which weights have these bits and activations the offset more; None if there is none."""
        if len(choices) == 1:  # a network input or a pinned tensor: its width is given
            return 0
        weights = self.model.weights
        for index, choice in enumerate(choices):
            offset = self.rules.activation_offset
            if all(width == (bits if p.tensor in weights else bits + offset) for p, width in choice.items()):
                return index
        return None


def _check_measured(graph: Graph, measurements: Sequence[Measurement]) -> None:
    """Refuse a table with a layer that the network does not have: a name misspelt would leave another one out."""
    names = [node.name for node in graph.weighted()]
    for row in measurements:
        if row.layer not in names:
            found = f"layer {row.layer!r}, which the network does not have"
            raise InputError("allocate.pareto, measurements", found, "", did_you_mean(row.layer, names))


def set_up(
    design: Design,
    metric: str,
    rules: Rules,
    costs: Sequence[str],
    reuse_factor: int,
    measurements: tuple[Measurement, ...],
    calibration: int,
) -> Setup:
    """Make the tables.

    Args:
        design: Graph, data, sensitivity and target.
        metric: The sensitivity that predicts the loss.
        rules: Which widths are allowed.
        costs: Names of the costs.
        reuse_factor: What costs are told of the hardware: products that one multiplier does one after another.
        measurements: Likewise: measured costs of layers.
        calibration: Training samples on which activations are looked at.

    Raises:
        InputError: Rules that leave a tensor no width, an unknown cost, a cost without a rule for an operation, a
            tensor that was not measured.
    """
    _check_measured(design.graph, measurements)
    sent = {name: int(fixed.envelope().width) for name, fixed in sent_formats(design).items()}
    choices = decisions(design.graph, rules, sent)
    models = cost_models(design, costs, reuse_factor, measurements, "allocate.pareto, budgets or costs")
    for name, cost in models.items():
        if rules.granularity != "tensor" and not cost.by_channel:
            found = f"{rules.granularity!r}, of which the cost {name!r} knows nothing"
            raise InputError("allocate.pareto, granularity", found, "'tensor'", "or leave the cost out")
    model = tables(design, Starting.of(design, calibration), metric, choices, models)
    return Setup(model, rules, {name: cost.limit() for name, cost in models.items()})


def cost_models(
    design: Design, names: Sequence[str], reuse_factor: int, measurements: tuple[Measurement, ...], where: str
) -> dict[str, Cost]:
    """The costs of a design by name.

    Args:
        design: Graph and target.
        names: Of the costs.
        reuse_factor: What costs are told of the hardware: products that one multiplier does one after another.
        measurements: Likewise: measured costs of layers.
        where: Who asks, for messages.

    Raises:
        InputError: An unknown cost, or one without a rule for an operation.
    """
    hardware = Hardware(design.target, reuse_factor, measurements)
    models = {name: make_cost(name, hardware, where) for name in names}
    for name, cost in models.items():
        cost.require_rules(name, operations(design.graph))
    return models


def tables(
    design: Design,
    start: Starting,
    metric: str,
    choices: list[tuple[Choice, ...]],
    models: Mapping[str, Cost],
) -> Model:
    """Losses and costs of all choices.

    Args:
        design: Graph and sensitivity.
        start: The quantizers that are judged.
        metric: The sensitivity that predicts the loss.
        choices: Per decision.
        models: Costs by name.

    Raises:
        InputError: A tensor was not measured.
    """
    widths: dict[Piece, list[int]] = {}
    for decision in choices:
        for choice in decision:
            for piece, bits in choice.items():
                widths.setdefault(piece, []).append(bits)
    losses = loss_table(start, metric, design.sensitivity[metric], widths)
    return make_model(design.graph, choices, losses, nonzero_table(start, widths), models)


def budget_of(name: str, most: float | str, limits: Mapping[str, float | None], where: str) -> float:
    """A budget as a number.

    Args:
        name: The cost.
        most: A number, or "target".
        limits: What the target allows of each cost.
        where: Who asks, for messages.

    Raises:
        InputError: The target does not say.
    """
    if not isinstance(most, str):
        return most
    limit = limits[name]
    if limit is None or not isfinite(limit):
        hint = "give a number, or add the limit to the target file, where docs/reference/costs.md names one"
        found = '"target", which sets no limit on it'
        raise InputError(f"{where}, budgets.{name}", found, "a positive number", hint)
    return limit
