"""`report.summary`: the numbers of a build, recounted from what was built."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from codesign.describe import amount
from codesign.design import Design, Measure, Sensitivity
from codesign.limits import allowed, exceeded, limits
from codesign.passes import Context, Pass
from codesign.ranking import disagreements, groups, ranking, unit
from codesign.report._curves import classification, training
from codesign.report._histogram import histogram

if TYPE_CHECKING:
    from codesign.allocate.costs import Cost, Part


@dataclass(frozen=True)
class Summary(Pass):
    """Gather accuracy, layers, measures and checks into the report; costs are recounted from the QONNX file.

    The report says what failed: a budget that is exceeded, a check that differs, a limit of the target's that a number
    which is no estimate doesn't keep.
    """

    reads: ClassVar[tuple[str, ...]] = (
        "target", "graph", "dataset", "sensitivity", "front", "allocation", "quantized", "artifacts.qonnx", "measures",
        "checks",
    )  # fmt: skip
    optional: ClassVar[tuple[str, ...]] = ("chosen_for", "trained", "confusion", "separation")
    writes: ClassVar[tuple[str, ...]] = ("measures", "report")
    distributions: ClassVar[tuple[str, ...]] = ("onnx",)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Recount, compare with the budgets, gather."""
        from codesign.allocate.costs import Hardware, make_cost
        from codesign.report._recount import recount

        front, point = design.front, design.allocation.point
        hardware = Hardware(
            design.chosen_for if design.has("chosen_for") else design.target, front.reuse_factor, front.measurements
        )
        costs = {name: make_cost(name, hardware, "report.summary") for name in point.costs}
        with_paths = any(cost.form != "sum" for cost in costs.values())
        counted = recount(context.store.path(design.artifacts["qonnx"].digest), with_paths=with_paths)
        totals = {name: cost.total(counted) for name, cost in costs.items()}
        figures = dict[str, tuple[float, str]]()
        for name, cost in costs.items():
            figures[name] = totals[name], cost.unit
            figures[f"{name}_allocated"] = point.costs[name], cost.unit
        measures = {name: Measure(v, unit, "estimated", self.name) for name, (v, unit) in figures.items()}
        measures[f"{front.losses}_loss_increase"] = Measure(
            point.loss,
            design.sensitivity[front.metric].loss_unit,
            "estimated" if front.losses == "predicted" else "simulated",
            self.name,
        )
        failures = [check.failure for check in design.checks.values() if check.failure]
        for name, total in totals.items():
            if name in front.budgets and total > front.budgets[name]:
                failures.append(f"{name} {amount(total)} exceeds the budget of {amount(front.budgets[name])}")
            if total > point.costs[name]:
                failures.append(
                    f"{name} {amount(total)} is more than the {amount(point.costs[name])} that was allocated"
                )
        held = limits(design.target, design.measures)
        failures += exceeded(held, design.measures, design.target)
        report = {
            "quality": _quality(design.measures),
            "input": _input(design),
            "sensitivity": _sensitivity(design),
            "layers": _layers(design, counted.parts, costs),
            "costs": {name: cost.unit for name, cost in costs.items()},
            "limits": {name: {"value": limit.value, "least": limit.least} for name, limit in held.items()},
            "allowed": allowed(design.target),
            **classification(design),
            "finetune": training(design),
            "failures": failures,
        }
        return {"measures": measures, "report": report}


def _quality(measures: Mapping[str, Measure]) -> dict[str, dict[str, Any]]:
    """Whatever was measured of the float network and of the integers alike, such as ``accuracy``."""
    found: dict[str, dict[str, Any]] = {}
    for name, own in measures.items():
        figure = name.removesuffix("_float")
        other = measures.get(f"{figure}_quantized")
        if figure != name and other is not None:
            known = own.error is not None and other.error is not None
            errors = {"float": own.error, "quantized": other.error} if known else None
            if errors and (paired := measures.get(f"{figure}_difference")) is not None:
                errors["difference"] = paired.error
            found[figure] = {"float": own.value, "quantized": other.value, "unit": own.unit, "errors": errors}
    return found


def _layers(design: Design, parts: Sequence["Part"], costs: Mapping[str, "Cost"]) -> list[dict[str, Any]]:
    """The report's layer table: what was counted in the file, beside what the design knows of the layer."""
    quantized = design.quantized
    graph = quantized.graph
    shapes, accumulators = graph.shapes(), quantized.accumulators()
    before = design.trained.parameters if design.has("trained") else {}
    rows: list[dict[str, Any]] = []
    for node in graph.weighted():
        own = [part for part in parts if part.node == node.name]
        weight = node.op.parameters()["weight"]
        score = design.sensitivity[design.front.metric].parameters[weight]
        rows.append(
            {
                "name": node.name,
                "op": node.op.kind,
                "weight_name": weight,
                "shape": list(shapes[node.output]),
                "params": sum(prod(graph.parameters[name].shape) for name in node.op.parameters().values()),
                "weight_bits": [min(widths := [part.weight_bits for part in own]), max(widths)],
                "activation_bits": own[0].activation_bits,
                "accumulator_bits": accumulators[node.output].smallest_format().width,
                "weight_format": str(quantized.formats[weight]),
                "activation_format": str(quantized.formats[graph.origin(node.inputs[0])]),
                "nonzero_weights": sum(part.nonzero for part in own),
                "histogram": histogram(quantized.parameters(node)["weight"], before.get(weight)),
                "sensitivity": score.value,
                "sensitivity_stderr": score.stderr,
                "macs": sum(part.macs for part in own),
                "costs": {name: cost.of_node(own) for name, cost in costs.items()},
            }
        )
    return rows


def _sensitivity(design: Design) -> dict[str, Any]:
    """Every metric's scores, which one the bits were chosen by, and where metrics disagree."""
    named = groups(design.graph)
    return {
        "metric": design.front.metric,
        "metrics": {name: _metric(found, named) for name, found in design.sensitivity.items()},
        "disagreements": [
            str(item) for tensors in named.values() for item in disagreements(design.sensitivity, tensors)
        ],
    }


def _metric(found: Sensitivity, named: Mapping[str, list[str]]) -> dict[str, Any]:
    scores = [
        {"tensor": name, "kind": kind, **asdict(found.scores[name])}
        for kind, tensors in named.items()
        for name in tensors
        if name in found.scores
    ]
    return {
        "quantity": found.quantity,
        "matrix": found.matrix,
        "ranked_by": unit(found),
        "samples": found.samples,
        "loss": found.loss,
        "loss_unit": found.loss_unit,
        "scores": scores,
        "ranking": {kind: [asdict(place) for place in ranking(found, tensors)] for kind, tensors in named.items()},
    }


def _input(design: Design) -> dict[str, Any]:
    """The formats of the inputs, and the normalization that was applied before them."""
    dataset = design.dataset
    normalization = None
    if dataset.mean is not None and dataset.scale is not None:
        outside = "before the input quantizer, outside the firmware: (x - mean) / scale"
        inside = "inside the firmware: offsets and powers of two first, the rest in the first layer's weights"
        normalization = {
            "applied": inside if dataset.inside else outside,
            "mean": [mean.tolist() for mean in dataset.mean],
            "scale": [scale.tolist() for scale in dataset.scale],
        }
    formats = {name: str(design.quantized.formats[name]) for name in design.graph.inputs}
    return {"formats": formats, "normalization": normalization, "classes": list(dataset.classes)}
