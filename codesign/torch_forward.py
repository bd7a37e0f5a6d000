"""The float network in torch, differentiable, evaluated from the graph."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codesign.arrays import FloatArray
from codesign.design import Split
from codesign.graph import Graph, Node


def to_tensors(arrays: Mapping[str, FloatArray]) -> dict[str, Tensor]:
    """Writable float32 copies of named arrays."""
    return {name: torch.tensor(np.asarray(array, np.float32)) for name, array in arrays.items()}


def split_tensors(split: Split) -> tuple[tuple[Tensor, ...], Tensor]:
    """Inputs of a split, and what is wanted of them: int64 labels or float32 targets."""
    inputs = tuple(torch.tensor(np.asarray(x, np.float32)) for x in split.inputs)
    return inputs, torch.tensor(np.asarray(split.wanted, np.int64 if split.targets is None else np.float32))


def mean_loss(outputs: Tensor, wanted: Tensor) -> Tensor:
    """The loss that a network was trained with: cross-entropy for labels, mean squared error for targets.

    Args:
        outputs: ``[batch, outputs]``.
        wanted: Class indices ``[batch]``, or numbers ``[batch, outputs]``.
    """
    if wanted.is_floating_point():
        return functional.mse_loss(outputs, wanted)
    return functional.cross_entropy(outputs, wanted)


def role_tensors(node: Node, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A node's parameters by role."""
    return {role: parameters[name] for role, name in node.op.parameters().items()}


def float_forward(graph: Graph, parameters: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> dict[str, Tensor]:
    """Every tensor of the network for a batch.

    Args:
        graph: The network.
        parameters: Float parameters by name.
        inputs: ``[batch, ...]`` per graph input, in order.
    """

    def step(node: Node, values: list[Tensor]) -> Tensor:
        return node.op.forward(values, role_tensors(node, parameters))

    return graph.run(dict(zip(graph.inputs, inputs, strict=True)), step)


@contextmanager
def threads(count: int) -> Generator[None]:
    """Give torch that many threads for a while.

    One is the default of every pass: sums are then taken in one order whatever the machine, and small networks don't
    wait on threads that a busy machine does not schedule (seen: a hundredfold).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
