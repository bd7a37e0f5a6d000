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


def loss_table(start: Starting, sensitivity: Sensitivity, widths: Widths) -> dict[str, dict[int, float]]:
    """``1/2 * (trace / elements) * sum of squared quantization errors`` per tensor and width (HAWQ-V2, eq. 11).

    The quantizer is the one that fine-tuning starts from. For an activation the error is measured on calibration
    data, per sample. Network inputs are left out: their width is given, not chosen.

    Args:
        start: The network and its calibration data.
        sensitivity: Traces by tensor.
        widths: The widths to judge, by tensor name.

    Raises:
        InputError: A tensor's expected loss is not finite.
    """
    table: dict[str, dict[int, float]] = {}
    traces = {**sensitivity.activations, **sensitivity.parameters}
    for name, choices in widths.items():
        if name in start.graph.inputs:
            continue
        # The error per element, summed over the elements, times the trace per element.
        table[name] = {bits: 0.5 * traces[name].value * start.format(name, bits)[1] for bits in choices}
        if not np.isfinite(list(table[name].values())).all():
            raise InputError(f"tensor {name!r}", "an expected loss that is not finite", "weights and data in range")
    return table
