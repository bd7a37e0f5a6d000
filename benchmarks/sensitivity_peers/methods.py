"""The ways to get the traces. Each takes the network, prepares, and gives back what is then timed.

Packages are imported by the method that needs them, so that one that is missing costs only its own row.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.design import Dataset, Design
from codesign.load._fx import graph_from_module
from codesign.passes import silent
from codesign.sensitivity._directions import Backward
from codesign.sensitivity._gauss_newton import Columns, measure
from codesign.sensitivity.hessian_trace import HessianTrace
from sensitivity_peers import curvlinops_peer
from sensitivity_peers.needed import Needed, probes, probes_or_unit_vectors, searched
from sensitivity_peers.networks import Workload

Exact = Callable[[], dict[str, float]]
"""The trace of every layer, exact. A pass whose traces nobody reads gives an empty dict."""
Layerwise = Callable[[str, int], float]
"""A layer's trace, estimated from that many products with its Hessian."""
Passes = Callable[[int], Tensor]
"""That many independent estimates ``[passes, traces]``: of every layer, or one trace of the whole network."""


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Args:
        name: As shown.
        package: What it needs; empty for torch alone.
        prepare: Gives an ``Exact``, ``Layerwise`` or ``Passes``, by ``kind``.
        kind: Which.
        note: As shown.
        needed: Products that a layerwise method needs for an error.
        stages: Of a layerwise method that multiplies many columns at once: how often it does so.
    """

    name: str
    package: str
    prepare: Callable[[Workload], object]
    kind: str
    note: str = ""
    needed: Needed = probes
    stages: int = 0


def _design(load: Workload) -> tuple[Design, HessianTrace]:
    """The network and batch, and the pass."""
    graph, _ = graph_from_module(load.module, [tuple(load.x.shape[1:])])
    count = len(load.y)
    data = Dataset((load.x.numpy(),), load.y.numpy(), {"train": (0, count)})
    options = {"granularity": "tensor", "activations": False, "device": "cpu", "threads": torch.get_num_threads()}
    return Design({"graph": graph, "dataset": data}), HessianTrace(samples=count, **options)


def prepare_ours(load: Workload) -> Exact:
    """``sensitivity.hessian_trace`` of the weights, with their standard errors; importing the network is not timed."""
    design, metric = _design(load)
    with metric.objective(design) as objective:
        backward = Backward(design.graph)

    def run() -> dict[str, float]:
        found = measure(objective, Columns("exact"), backward, silent)
        weights = {name.removesuffix(".weight"): score for name, score in found.parameters.items() if ".weight" in name}
        return {name: score.value for name, score in weights.items()}

    return run


def prepare_pass(load: Workload) -> Exact:
    """The whole pass as a build runs it: data checked, the loss looked at twice, distance from a minimum, records."""
    design, metric = _design(load)

    def run() -> dict[str, float]:
        found = metric(design).sensitivity["hessian_trace"].parameters
        return {name.removesuffix(".weight"): score.value for name, score in found.items() if ".weight" in name}

    return run


def prepare_backward_passes(load: Workload) -> Exact:
    """As many backward passes to all parameters as there are classes; only their time is of interest."""
    parameters = list(load.module.parameters())

    def run() -> dict[str, float]:
        logits = load.module(load.x)
        for column in torch.eye(logits.shape[1]):
            torch.autograd.grad(logits, parameters, column.expand_as(logits), retain_graph=True)
        return {}

    return run


def prepare_backpack(load: Workload) -> Exact:
    """BackPACK's DiagGGNExact, summed over each tensor."""
    from backpack.extensions import DiagGGNExact

    run = _backpack_pass(load)
    return lambda: run(DiagGGNExact(), "diag_ggn_exact")


def prepare_backpack_sampled(load: Workload) -> Passes:
    """BackPACK's DiagGGNMC with one sample per pass."""
    from backpack.extensions import DiagGGNMC

    run = _backpack_pass(load)
    return lambda count: torch.tensor([list(run(DiagGGNMC(1), "diag_ggn_mc").values()) for _ in range(count)])


def _backpack_pass(load: Workload) -> Callable[[object, str], dict[str, float]]:
    from backpack import backpack, extend

    module, criterion = extend(load.copy(), use_converter=True), extend(nn.CrossEntropyLoss())
    parameters = dict(module.named_parameters())
    weights = {name: parameters[f"{name}.weight"] for name in load.layers()}

    def run(extension: object, field: str) -> dict[str, float]:
        module.zero_grad()
        with warnings.catch_warnings(), backpack(extension):
            warnings.simplefilter("ignore")
            criterion(module(load.x), load.y).backward()
        return {name: float(getattr(weight, field).sum(dtype=torch.float64)) for name, weight in weights.items()}

    return run


def prepare_fork_kept(load: Workload) -> Layerwise:
    """The fork, given one batch: the gradient's graph is made once and kept for all probes of all layers."""
    weights = {name: layer.weight for name, layer in load.layers().items()}
    loss = functional.cross_entropy(load.module(load.x), load.y)
    gradients = dict(zip(weights, torch.autograd.grad(loss, list(weights.values()), create_graph=True), strict=True))

    def estimate(layer: str, count: int) -> float:
        return _mean_probe(lambda: gradients[layer], weights[layer], count)

    return estimate


def prepare_fork_fresh(load: Workload) -> Layerwise:
    """The fork, given a data loader: forward and backward again for each probe, here to the layer's weights alone."""
    weights = {name: layer.weight for name, layer in load.layers().items()}

    def gradient(layer: str) -> Tensor:
        loss = functional.cross_entropy(load.module(load.x), load.y)
        return torch.autograd.grad(loss, weights[layer], create_graph=True)[0]

    return lambda layer, count: _mean_probe(lambda: gradient(layer), weights[layer], count)


def _mean_probe(gradient: Callable[[], Tensor], weight: Tensor, count: int) -> float:
    """Mean of ``v^T H v`` over random signs ``v``."""
    total = 0.0
    for _ in range(count):
        signs = torch.randint_like(weight, high=2) * 2 - 1
        (product,) = torch.autograd.grad(gradient(), weight, signs, retain_graph=True)
        total += float((product * signs).sum())
    return total / count


def prepare_pyhessian(load: Workload) -> Passes:
    """PyHessian as published: one trace, of the Hessian in all parameters together."""
    from pyhessian import hessian

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = hessian(load.copy(), nn.CrossEntropyLoss(), data=(load.x, load.y), cuda=False)
    return lambda count: torch.tensor(made.trace(maxIter=count, tol=float("-inf"))).unsqueeze(1)


def _curvlinops(name: str, function: str, needed: Needed, stages: int) -> Method:
    prepare = partial(curvlinops_peer.prepare, function)
    return Method(f"curvlinops {name}", "curvlinops", prepare, "layerwise", needed=needed, stages=stages)


METHODS = (
    Method("codesign hessian_trace", "codesign", prepare_ours, "exact"),
    Method("codesign, whole pass", "codesign", prepare_pass, "exact", "with its checks, as in a build"),
    Method("plain backward passes", "", prepare_backward_passes, "exact", "no traces: the floor"),
    Method("BackPACK DiagGGNExact", "backpack", prepare_backpack, "exact"),
    Method("BackPACK DiagGGNMC", "backpack", prepare_backpack_sampled, "passes"),
    Method("PyHessian fork, one batch", "", prepare_fork_kept, "layerwise", "graph kept for all probes"),
    Method("PyHessian fork, data loader", "", prepare_fork_fresh, "layerwise", "fresh graph for each probe"),
    Method("PyHessian 0.1", "pyhessian", prepare_pyhessian, "passes", "whole network, not per layer"),
    _curvlinops("Hutchinson", "hutchinson_trace", probes_or_unit_vectors, 1),
    _curvlinops("Hutch++", "hutchpp_trace", searched("hutchpp_trace"), 3),
    _curvlinops("XTrace", "xtrace", searched("xtrace"), 2),
)
