"""What a width means for a tensor: the expected loss increase, and the weights that become zero."""

from collections.abc import Mapping

import numpy as np

from codesign.calibrate import best_format, even_rows
from codesign.design import Design
from codesign.fixed import quantize
from codesign.graph import Graph


def density_table(graph: Graph, widths: Mapping[str, list[int]]) -> dict[str, dict[int, float]]:
    """Fraction of weights that do not round to zero, per weight tensor and width, before fine-tuning.

    Fine-tuning keeps zeros zero, so that a cost counted with these densities is never exceeded.
    """
    table: dict[str, dict[int, float]] = {}
    for name in set(widths) & set(graph.parameters):
        weights = graph.parameters[name]
        for bits in widths[name]:
            codes = quantize(weights, best_format(weights, bits, True)[0], "nearest_even").values
            table.setdefault(name, {})[bits] = float(np.count_nonzero(codes)) / codes.size
    return table


def loss_table(design: Design, widths: Mapping[str, list[int]], calibration: int) -> dict[str, dict[int, float]]:
    """``1/2 * (trace / elements) * sum of squared quantization errors`` per tensor and width (HAWQ-V2, eq. 11).

    The quantizer is the one that fine-tuning starts from. For an activation the error is measured on calibration
    data, per sample. Network inputs are left out: their width is given, not chosen.

    Args:
        design: Graph, dataset and sensitivity.
        widths: The widths to judge, by tensor name.
        calibration: Training samples to measure activations on.
    """
    import torch

    from codesign.torch_forward import float_forward, to_tensors

    graph, sensitivity = design.graph, design.sensitivity
    train = design.dataset.split("train")
    rows = even_rows(len(train), calibration)
    with torch.no_grad():
        values = float_forward(graph, to_tensors(graph.parameters), [torch.tensor(x[rows]) for x in train.inputs])
    signed = graph.signed()
    table: dict[str, dict[int, float]] = {}
    for name, choices in widths.items():
        if name in graph.inputs:
            continue
        if name in graph.parameters:
            trace, tensor, sign = sensitivity.parameters[name], graph.parameters[name], True
        else:
            trace, tensor, sign = sensitivity.activations[name], values[name].numpy(), signed[name]
        # The error per element, summed over the elements, times the trace per element.
        table[name] = {bits: 0.5 * trace.value * best_format(tensor, bits, sign)[1] for bits in choices}
    return table
