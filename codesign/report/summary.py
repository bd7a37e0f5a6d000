"""`report.summary`: the numbers of a build, recounted from what was built."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, ClassVar

from codesign.design import Design, Measure, Sensitivity
from codesign.passes import Context, Pass
from codesign.sensitivity._ranking import disagreements, groups, ranking, unit


@dataclass(frozen=True)
class Summary(Pass):
    """Gather accuracy, layers, measures and checks into the report; BOPs are recounted from the QONNX file.

    The report says what failed: a budget that is exceeded, a check that differs.
    """

    reads: ClassVar[tuple[str, ...]] = (
        "graph", "dataset", "sensitivity", "front", "allocation", "quantized", "artifacts.qonnx", "measures", "checks",
    )  # fmt: skip
    writes: ClassVar[tuple[str, ...]] = ("measures", "report")
    distributions: ClassVar[tuple[str, ...]] = ("onnx",)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Recount, compare with the budget, gather."""
        from codesign.report._recount import recount, total_weight_bits

        layers = recount(context.store.path(design.artifacts["qonnx"].digest))
        used = design.sensitivity[design.front.metric]
        counted = {
            "bops": (sum(layer.bops for layer in layers), "bit operations"),
            "bops_allocated": (design.allocation.point.cost, "bit operations"),
            "weight_bits_total": (float(total_weight_bits(layers)), "bits"),
            "predicted_loss_increase": (
                design.allocation.point.loss,
                used.loss_unit,
            ),
        }
        budget = design.allocation.budget
        if budget is not None:
            counted["bops_budget"] = (budget, "bit operations")
        measures = {name: Measure(v, unit, "estimated", self.name) for name, (v, unit) in counted.items()}
        failures = [
            f"{check.start} -> {check.end}: {check.mismatches} of {check.inputs} inputs give other integers"
            for check in design.checks.values()
            if check.status == "differs"
        ]
        if budget is not None and measures["bops"].value > budget:
            failures.append(f"bops {measures['bops'].value:,.0f} exceed the budget of {budget:,.0f}")
        accuracy = {key: design.measures[f"accuracy_{key}"].value for key in ("float", "quantized")}
        report = {
            "accuracy": accuracy,
            "input": _input(design),
            "sensitivity": _sensitivity(design),
            "layers": [_layer(design, layer) for layer in layers],
            "failures": failures,
        }
        return {"measures": measures, "report": report}


def _layer(design: Design, counted: Any) -> dict[str, Any]:
    """One row of the report's layer table."""
    graph, quantized = design.graph, design.quantized
    node = next(node for node in graph.nodes if node.name == counted.name)
    shapes = graph.shapes()
    weight = node.op.parameters()["weight"]
    score = design.sensitivity[design.front.metric].parameters[weight]
    accumulator = quantized.accumulators()[node.output].smallest_format()
    return {
        "name": node.name,
        "op": node.op.kind,
        "weight_name": weight,
        "shape": list(shapes[node.output]),
        "params": sum(prod(graph.parameters[name].shape) for name in node.op.parameters().values()),
        "weight_bits": counted.weight_bits,
        "activation_bits": counted.activation_bits,
        "accumulator_bits": accumulator.width,
        "weight_format": str(quantized.formats[weight]),
        "activation_format": str(quantized.formats[graph.origin(node.inputs[0])]),
        "nonzero_weights": counted.nonzero,
        "sensitivity": score.value,
        "sensitivity_stderr": score.stderr,
        "macs": node.op.work([shapes[name] for name in node.inputs], shapes[node.output]).macs,
        "bops": counted.bops,
    }


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
        normalization = {
            "applied": "before the input quantizer, outside the firmware: (x - mean) / scale",
            "mean": [mean.tolist() for mean in dataset.mean],
            "scale": [scale.tolist() for scale in dataset.scale],
        }
    formats = {name: str(design.quantized.formats[name]) for name in design.graph.inputs}
    return {"formats": formats, "normalization": normalization, "classes": list(dataset.classes)}
