"""The exact Gauss-Newton traces of a cross-entropy loss, streamed over the data."""

from collections import defaultdict

import torch
from torch import Tensor
from torch.nn import functional

from codesign.design import Sensitivity, Split, Trace
from codesign.errors import InputError
from codesign.graph import Graph
from codesign.passes import Progress
from codesign.torch_forward import float_forward, role_tensors, split_tensors, to_tensors


def traces(graph: Graph, data: Split, batch: int, progress: Progress) -> Sensitivity:
    """Traces of every parameter and activation.

    Args:
        graph: The float network; its only output is the logits ``[batch, classes]``.
        data: Samples to average over.
        batch: Samples held at a time.
        progress: Told how many samples are done.

    Raises:
        InputError: The loss is not finite, or the network has several outputs.
    """
    if len(graph.outputs) != 1:
        raise InputError("network", f"{len(graph.outputs)} outputs", "one output, the logits of the classes")
    if len(data) < 2:
        raise InputError("sensitivity", f"{len(data)} sample", "at least 2 in the training split, for a standard error")
    parameters = to_tensors(graph.parameters)
    inputs, labels = split_tensors(data)
    sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros(2, dtype=torch.float64))
    loss = 0.0
    sizes: dict[str, int] = {name: value.size for name, value in graph.parameters.items()}
    for start in range(0, len(labels), batch):
        rows = slice(start, start + batch)
        values, logits = _forward(graph, parameters, tuple(x[rows] for x in inputs))
        loss += float(functional.cross_entropy(logits.detach(), labels[rows], reduction="sum"))
        for name, per_sample in _batch_traces(graph, parameters, values, logits).items():
            sums[name] += torch.stack([per_sample.sum(), per_sample.square().sum()])
        sizes |= {name: values[name][0].numel() for name in graph.activations()}
        progress("Hessian traces", min(start + batch, len(labels)), len(labels))
    count = len(labels)
    if not torch.isfinite(torch.tensor(loss)):
        raise InputError("sensitivity", "the loss on the training data is not finite", "a trained network")
    found = {name: _trace(total, count, sizes[name]) for name, total in sums.items()}
    exact = all(node.op.piecewise_linear for node in graph.nodes)
    return Sensitivity(
        metric="hessian" if exact else "gauss_newton",
        parameters={name: found[name] for name in graph.parameters if name in found},
        activations={name: found[name] for name in graph.activations()},
        samples=count,
        loss=loss / count,
    )


def _forward(
    graph: Graph, parameters: dict[str, Tensor], inputs: tuple[Tensor, ...]
) -> tuple[dict[str, Tensor], Tensor]:
    """All tensors, with gradients tracked from the inputs on, and the logits."""
    values = float_forward(graph, parameters, [x.requires_grad_() for x in inputs])
    return values, values[graph.outputs[0]]


def _batch_traces(
    graph: Graph, parameters: dict[str, Tensor], values: dict[str, Tensor], logits: Tensor
) -> dict[str, Tensor]:
    """Per-sample traces ``[batch]`` by tensor name, float64."""
    activations = graph.activations()
    nodes = [node for node in graph.nodes if role_tensors(node, parameters)]
    wanted = list(dict.fromkeys([*(node.output for node in nodes), *activations]))
    probabilities = logits.detach().softmax(1)
    roots = probabilities.sqrt()
    per_sample: dict[str, Tensor] = defaultdict(lambda: torch.zeros(len(logits), dtype=torch.float64))
    for c in range(logits.shape[1]):
        column = -roots[:, c : c + 1] * probabilities  # S_c = sqrt(p_c) (e_c - p)
        column[:, c] += roots[:, c]
        last = c == logits.shape[1] - 1
        found = torch.autograd.grad(logits, [values[name] for name in wanted], column, retain_graph=not last)
        gradients = dict(zip(wanted, found, strict=True))
        for node in nodes:
            inputs = [values[name].detach() for name in node.inputs]
            for role, norms in node.op.squared_gradient_norms(inputs, gradients[node.output]).items():
                per_sample[node.op.parameters()[role]] += norms
        for name in activations:
            per_sample[name] += gradients[name].flatten(1).square().sum(1)
    return per_sample


def _trace(total: Tensor, count: int, size: int) -> Trace:
    mean = float(total[0]) / count
    variance = max(float(total[1]) / count - mean**2, 0.0) * count / (count - 1)
    return Trace(mean, (variance / count) ** 0.5, size)
