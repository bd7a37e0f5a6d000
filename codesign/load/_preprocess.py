"""A step before the network: with it, the graph starts at what the trigger sends."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from math import ceil, log2
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from codesign.calibrate import even_rows
from codesign.design import Dataset
from codesign.errors import InputError
from codesign.graph import Graph, Node
from codesign.interval import MOST_BITS, Interval
from codesign.load._fx import calls, folded
from codesign.load._importer import Importer
from codesign.load._normalize import normalizing
from codesign.load._numpy import Function, trace
from codesign.torch_forward import float_forward

SAMPLES = 4096


class Chain(nn.Module):
    """A step and the network that reads it, to compare with."""

    def __init__(self, before: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.before, self.network = before, network

    def forward(self, *inputs: Tensor) -> Any:
        """The network's outputs, in its own number type."""
        found: Any = self.before(*inputs)
        results = cast(tuple[Tensor, ...], found if isinstance(found, tuple) else (found,))
        return self.network(*(each.to(next(self.network.parameters())) for each in results))


class OnWords(nn.Module):
    """A numpy function of words, as a module of the real numbers that they stand for.

    Args:
        function: Of integer arrays ``[samples, ..., features]``.
        dataset: Has the formats.
    """

    def __init__(self, function: Function, dataset: Dataset) -> None:
        super().__init__()
        if dataset.formats is None:
            found = f"{function.__name__}, a numpy function on words, and no formats"
            raise InputError(
                "load.torch, preprocess", found, "how the trigger sends the inputs", "set load.npz.formats"
            )
        self.function, self.formats = function, dataset.formats

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Float64 tensors."""
        pairs = zip(inputs, self.formats, strict=True)
        words = [np.ldexp(x.double().numpy(), np.asarray(own.fraction)).astype(np.int64) for x, own in pairs]
        try:
            found: Any = self.function(*words)
        except Exception as error:
            raise InputError(
                "preprocess", f"{self.function.__name__} raised {type(error).__name__}: {error}"
            ) from error
        results = cast(tuple[Any, ...], found if isinstance(found, tuple) else (found,))
        return tuple(torch.tensor(np.asarray(each, np.float64)) for each in results)


def composed(network: nn.Module, dataset: Dataset, step: nn.Module | Function | None) -> tuple[nn.Module, Graph]:
    """A network with what comes before it: as a module to compare with, and as a graph that is not yet folded.

    Raises:
        InputError: The network or the step can't be converted, or the step and a normalization are both to be inside.
    """
    if step is None and not dataset.inside:
        return network, calls(network, [x.shape[1:] for x in dataset.inputs])
    if step is not None and dataset.inside:
        hint = "normalize in the step, or in the network's first layer"
        raise InputError("load.torch, preprocess", "normalize = 'inside' beside it", "one of both", hint)
    module, before = normalizing(dataset) if step is None else preprocessing(step, dataset)
    shapes = before.shapes()
    return Chain(module, network), joined(before, calls(network, [shapes[name] for name in before.outputs]))


def preprocessing(step: nn.Module | Function, dataset: Dataset) -> tuple[nn.Module, Graph]:
    """A step as a module, and as a graph from the inputs to what the network reads.

    Raises:
        InputError: It has parameters, does what no operation stands for, or gives other numbers than its graph.
    """
    shapes = [x.shape[1:] for x in dataset.inputs]
    if isinstance(step, nn.Module):
        if names := [name for name, _ in step.named_parameters()]:
            hint = "make constants buffers, and put what is trained into the network"
            raise InputError(
                "preprocess", f"parameters {', '.join(names)}", "none: the checkpoint is the network's", hint
            )
        return step, calls(step, shapes)
    module = OnWords(step, dataset)
    graph, _ = folded(Importer(trace(step, module.formats), shapes).run())
    check_ranges(graph, dataset)  # first: numpy takes a negative index from the end
    _check_same(module, graph, dataset)
    return module, graph


def joined(before: Graph, network: Graph) -> Graph:
    """One graph of a step and the network that reads it; the network keeps its names."""
    taken = {*network.parameters, *(name for node in network.nodes for name in (node.name, node.output))}
    names: dict[str, str] = {}
    for name in [*before.inputs, *before.parameters, *(node.output for node in before.nodes)]:
        own = name if name in before.inputs else f"preprocess.{name}"
        names[name] = next(each for each in chain((own,), (f"{own}_{n}" for n in count(1))) if each not in taken)
        taken.add(names[name])
    nodes = [
        replace(node, name=names[node.output], output=names[node.output], inputs=tuple(names[i] for i in node.inputs))
        for node in before.nodes
    ]
    read = dict(zip(network.inputs, (names[name] for name in before.outputs), strict=True))
    nodes += [replace(node, inputs=tuple(read.get(name, name) for name in node.inputs)) for node in network.nodes]
    return Graph(
        {names[name]: shape for name, shape in before.inputs.items()},
        tuple(read.get(name, name) for name in network.outputs),
        tuple(nodes),
        {**before.parameters, **network.parameters},
    )


def check_ranges(graph: Graph, dataset: Dataset) -> None:
    """Refuse, before anything is trained, what words of the formats can bring out of range.

    Raises:
        InputError: Names the operation.
    """
    ranges: dict[str, Interval] = {}
    if dataset.formats is not None:
        pairs = zip(graph.inputs.items(), dataset.formats, strict=True)
        ranges = {name: Interval.of(fixed, shape) for (name, shape), fixed in pairs}
    quantized = set(graph.activations())
    for node in graph.nodes:
        if all(name in ranges for name in node.inputs) and not node.op.parameters() and not node.op.reads_quantized:
            found = _interval(node, [ranges[name] for name in node.inputs])
            if node.output not in quantized:
                ranges[node.output] = found


def _interval(node: Node, inputs: Sequence[Interval]) -> Interval:
    try:
        if (most := node.op.magnitude(list(inputs), {})) >= 2.0**MOST_BITS:
            found = f"numbers of {ceil(log2(most)) + 1} bits"
            raise InputError("formats", found, f"at most {MOST_BITS}", "send features in closer formats")
        return node.op.interval(list(inputs), {})
    except InputError as error:
        raise InputError(f"layer {node.name!r}, {error.where}", error.found, error.wanted, error.next_step) from error


def _check_same(module: OnWords, graph: Graph, dataset: Dataset) -> None:
    """Compare a function's numbers with its graph's, on words of the data.

    Raises:
        InputError: They differ: the function looks at more than its words, or does what the graph does not know.
    """
    rows = even_rows(len(dataset.labels), SAMPLES)
    inputs = [torch.tensor(np.asarray(x[rows], np.float64)) for x in dataset.inputs]
    tensors = float_forward(graph, {}, inputs)
    for found, name in zip(module(*inputs), graph.outputs, strict=True):
        if found.shape != tensors[name].shape or bool((found != tensors[name]).any()):
            what = "another shape" if found.shape != tensors[name].shape else "other numbers"
            wanted = "the same calls whatever the words are, on integers that fit int64"
            raise InputError("preprocess", f"{module.function.__name__} gives {what} than its calls as traced", wanted)
