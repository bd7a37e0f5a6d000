"""Does the converted network compute what the user's module computes?"""

import numpy as np
import torch
from torch import Tensor, nn

from codesign.calibrate import even_rows
from codesign.design import Dataset
from codesign.errors import InputError
from codesign.graph import Graph
from codesign.load._fx import evaluating
from codesign.torch_forward import float_forward, threads, to_tensors

SAMPLES = 256
#: Share of the largest output that folding and another order of summation may change.
TOLERANCE = 1e-3
#: Share of samples in which a quantizer of the network may fall to the other side of an edge.
FLIPS = 0.02


def check_outputs(graph: Graph, dataset: Dataset) -> None:
    """Refuse a network whose output does not fit the data.

    Raises:
        InputError: Several outputs, fewer than there are classes, or another number than there are targets.
    """
    shape = graph.shapes()[graph.outputs[0]]
    if len(graph.outputs) != 1 or len(shape) != 1 or graph.outputs[0] in graph.inputs:
        found = f"{len(graph.outputs)} outputs, the first of shape {list(shape)}"
        raise InputError("network output", found, "one output of shape [classes], computed by the network")
    classes, largest = shape[-1], int(dataset.labels.max())
    if dataset.targets is not None:
        if dataset.targets.shape[1] != classes:
            found = f"{dataset.targets.shape[1]} numbers per sample"
            raise InputError("targets", found, f"{classes}, one for each of the network's outputs")
    elif largest >= classes:
        count = int((dataset.labels >= classes).sum())
        found = f"{count} labels out of range, the largest {largest}"
        raise InputError("labels", found, f"0 to {classes - 1}, by the network's outputs")


def check_conversion(module: nn.Module, graph: Graph, dataset: Dataset) -> None:
    """Run both on samples of the data.

    Hooks, pruning masks and parametrizations change what a module computes without being operations of it.

    Raises:
        InputError: The outputs differ (a final softmax, which conversion takes off, is put back first).
    """
    inputs = samples(dataset, SAMPLES)
    first = next(module.parameters())
    with torch.no_grad(), threads(1), evaluating(module):
        given: Tensor | tuple[Tensor, ...] = module(*(x.to(first, copy=True) for x in inputs))
    wanted = (given if isinstance(given, Tensor) else given[0]).cpu().float()
    if (largest := difference(graph, inputs, wanted)) is not None:
        raise InputError(
            f"network {type(module).__name__}",
            f"computes something else than its layers: outputs differ by up to {largest:.3g}",
            "layers without hooks, masks, parametrizations or randomness",
            "make them part of the weights first (torch.nn.utils.prune.remove, remove_parametrizations)",
        )


def samples(dataset: Dataset, count: int) -> list[Tensor]:
    """Inputs of evenly spread samples."""
    rows = even_rows(len(dataset.labels), count)
    return [torch.tensor(np.asarray(x[rows])) for x in dataset.inputs]


def difference(graph: Graph, inputs: list[Tensor], wanted: Tensor, flips: float = 0.0) -> float | None:
    """The largest difference between a graph's outputs and others; None if they are the same up to rounding.

    Args:
        graph: The network.
        inputs: ``[batch, ...]`` each.
        wanted: ``[batch, classes]``, after the softmax if the network ends in one.
        flips: Share of samples that may differ.
    """
    with torch.no_grad(), threads(1):
        logits = float_forward(graph, to_tensors(graph.parameters), inputs)[graph.outputs[0]]
    if any(_close(found, wanted, flips) for found in (logits, logits.softmax(-1), logits.log_softmax(-1))):
        return None
    return float((logits - wanted).abs().max())


def _close(found: Tensor, wanted: Tensor, flips: float) -> bool:
    if found.shape != wanted.shape:
        return False
    off = (found - wanted).abs().flatten(1).amax(1) > TOLERANCE * wanted.abs().max().clamp(min=1e-30)
    return bool(off.double().mean() <= flips)
