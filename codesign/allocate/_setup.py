"""From a design to the allocation problem: tables of losses and costs for every width that may be chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

from codesign.allocate._counting import operations
from codesign.allocate._decisions import Choice, Rules, decisions
from codesign.allocate._losses import loss_table, nonzero_table
from codesign.allocate._model import Model, make_model
from codesign.allocate._pieces import Piece
from codesign.allocate.costs import Hardware, make_cost
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
    graph = design.graph
    _check_measured(graph, measurements)
    hardware = Hardware(design.target, reuse_factor, measurements)
    models = {name: make_cost(name, hardware, "allocate.pareto, budgets or costs") for name in costs}
    sent = {name: int(fixed.envelope().width) for name, fixed in sent_formats(design).items()}
    choices = decisions(graph, rules, sent)
    for name, cost in models.items():
        cost.require_rules(name, operations(graph))
        if rules.granularity != "tensor" and not cost.by_channel:
            found = f"{rules.granularity!r}, of which the cost {name!r} knows nothing"
            raise InputError("allocate.pareto, granularity", found, "'tensor'", "or leave the cost out")
    start = Starting.of(design, calibration)
    widths: dict[Piece, list[int]] = {}
    for decision in choices:
        for choice in decision:
            for piece, bits in choice.items():
                widths.setdefault(piece, []).append(bits)
    losses = loss_table(start, metric, design.sensitivity[metric], widths)
    nonzeros = nonzero_table(start, widths)
    model = make_model(graph, choices, losses, nonzeros, models)
    return Setup(model, rules, {name: cost.limit() for name, cost in models.items()})
