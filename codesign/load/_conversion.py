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


def check_conversion(module: nn.Module, graph: Graph, dataset: Dataset) -> None:
    """Run both on samples of the data.

    Hooks, pruning masks and parametrizations change what a module computes without being operations of it.

    Raises:
        InputError: The outputs differ (a final softmax, which conversion takes off, is put back first).
    """
    rows = even_rows(len(dataset.labels), SAMPLES)
    inputs = [torch.tensor(np.asarray(x[rows])) for x in dataset.inputs]
    first = next(module.parameters())
    with torch.no_grad(), threads(1), evaluating(module):
        given: Tensor | tuple[Tensor, ...] = module(*(x.to(first, copy=True) for x in inputs))
        wanted = (given if isinstance(given, Tensor) else given[0]).cpu().float()
        logits = float_forward(graph, to_tensors(graph.parameters), inputs)[graph.outputs[0]]
    if any(_close(found, wanted) for found in (logits, logits.softmax(-1), logits.log_softmax(-1))):
        return
    largest = float((logits - wanted).abs().max())
    raise InputError(
        f"network {type(module).__name__}",
        f"computes something else than its layers: outputs differ by up to {largest:.3g}",
        "layers without hooks, masks, parametrizations or randomness",
        "make them part of the weights first (torch.nn.utils.prune.remove, remove_parametrizations)",
    )


def _close(found: Tensor, wanted: Tensor) -> bool:
    return bool((found - wanted).abs().max() <= TOLERANCE * wanted.abs().max().clamp(min=1e-30))
