"""What a width means for a tensor: the expected loss increase, and the weights that become zero."""

from collections.abc import Mapping

import numpy as np

from codesign.design import Sensitivity
from codesign.errors import InputError
from codesign.fixed import quantize
from codesign.starting import Starting

Widths = Mapping[str, list[int]]


def density_table(start: Starting, widths: Widths) -> dict[str, dict[int, float]]:
    """Fraction of weights that do not round to zero, per weight tensor and width, before fine-tuning.

    Fine-tuning keeps zeros zero, so that a cost counted with these densities is never exceeded.
    """
    table: dict[str, dict[int, float]] = {}
    for name in set(widths) & set(start.graph.parameters):
        for bits in widths[name]:
            codes = quantize(start.graph.parameters[name], start.format(name, bits)[0], "nearest_even").values
            table.setdefault(name, {})[bits] = float(np.count_nonzero(codes)) / codes.size
    return table


def loss_table(start: Starting, metric: str, sensitivity: Sensitivity, widths: Widths) -> dict[str, dict[int, float]]:
    """Expected loss increase per tensor and width.

    From a trace, ``1/2 * (trace / elements) * sum of squared quantization errors`` (HAWQ-V2, eq. 11); from the top
    eigenvalue the same with it in place of the mean; a measured loss increase is taken as it is.
    The quantizer is the one that fine-tuning starts from. For an activation the error is measured on calibration
    data, per sample. Network inputs are left out: their width is given, not chosen.

    Args:
        start: The network and its calibration data.
        metric: Name of the sensitivity, for messages.
        sensitivity: Scores by tensor.
        widths: The widths to judge, by tensor name.

    Raises:
        InputError: A tensor was not measured, or its expected loss is not finite.
    """
    table: dict[str, dict[int, float]] = {}
    for name, choices in widths.items():
        if name in start.graph.inputs:
            continue
        if name not in sensitivity.scores:
            wanted = "a score of every tensor whose bits are chosen"
            hint = f"let sensitivity.{metric} measure all (its option tensors or activations), or use another metric"
            raise InputError(f"tensor {name!r}", f"not measured by sensitivity.{metric}", wanted, hint)
        table[name] = {bits: _increase(start, metric, sensitivity, name, bits) for bits in choices}
        if not np.isfinite(list(table[name].values())).all():
            raise InputError(f"tensor {name!r}", "an expected loss that is not finite", "weights and data in range")
    return table


def _increase(start: Starting, metric: str, sensitivity: Sensitivity, name: str, bits: int) -> float:
    score = sensitivity.scores[name]
    if sensitivity.quantity == "loss_increase":
        measured = sensitivity.increases[name]
        if bits not in measured:
            found = f"{bits} bits, not measured by sensitivity.{metric}"
            raise InputError(f"tensor {name!r}", found, f"one of {sorted(measured)}", f"set sensitivity.{metric}.bits")
        return measured[bits].value
    # The error per element, summed over the elements, times the curvature per element.
    curvature = score.value if sensitivity.quantity == "trace" else score.value * score.size
    return 0.5 * curvature * start.format(name, bits)[1]
