"""Normalization as a step of the network: powers of two before the first layer, the rest in its weights."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from codesign.arrays import FloatArray
from codesign.design import Dataset
from codesign.errors import ContractError
from codesign.fixed import Fixed
from codesign.graph import Graph, Node
from codesign.ops.affine import Affine
from codesign.ops.dyadic import Dyadics
from codesign.ops.remainder import Remainder


class Normalize(nn.Module):
    """``(x - mean) / scale`` of every input, as it is defined.

    Args:
        mean: Of each input.
        scale: Likewise.
    """

    def __init__(self, mean: Sequence[FloatArray], scale: Sequence[FloatArray]) -> None:
        super().__init__()
        self.pairs = [
            (torch.tensor(np.asarray(m)), torch.tensor(np.asarray(s))) for m, s in zip(mean, scale, strict=True)
        ]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Float64 tensors."""
        return tuple((x.double() - mean) / scale for x, (mean, scale) in zip(inputs, self.pairs, strict=True))


def normalizing(dataset: Dataset) -> tuple[nn.Module, Graph]:
    """The normalization as a module, and as a graph.

    Of every element, the graph takes away the mean, rounded to the grid of the input, and multiplies by the power of
    two nearest to one over the deviation. What is left is a ``Remainder``, for the first layer.
    """
    if dataset.mean is None or dataset.scale is None or dataset.formats is None:
        raise ContractError("normalization inside the network", "no means, or no formats", "what load.npz writes")
    inputs: dict[str, tuple[int, ...]] = {}
    nodes: list[Node] = []
    columns = zip(dataset.inputs, dataset.mean, dataset.scale, dataset.formats, strict=True)
    for number, (x, mean, scale, fixed) in enumerate(columns):
        suffix = f"_{number}" if number else ""
        source, scaled, output = f"x{suffix}", f"scaled{suffix}", f"normalized{suffix}"
        step, rest = _split(np.asarray(mean), np.asarray(scale), fixed)
        inputs[source] = x.shape[1:]
        nodes += [Node(scaled, step, (source,), scaled), Node(output, rest, (scaled,), output)]
    outputs = tuple(node.output for node in nodes[1::2])
    return Normalize(dataset.mean, dataset.scale), Graph(inputs, outputs, tuple(nodes), {})


def _split(mean: FloatArray, scale: FloatArray, fixed: Fixed) -> tuple[Affine, Remainder]:
    """What hardware computes, and what is left of ``(x - mean) / scale``."""
    fraction = np.broadcast_to(fixed.fraction, mean.shape)
    codes = np.rint(np.ldexp(mean, fraction)).astype(np.int64)
    power = -np.rint(np.log2(scale)).astype(np.int64)
    finest = int(np.max(-power))
    factors = Dyadics.of(np.int64(1) << (power + finest), finest)
    fine = fraction - power  # fraction bits of an offset once it is multiplied
    offsets = Dyadics.of(-codes << (int(fine.max()) - fine), int(fine.max()))
    rest = np.ldexp(1.0, -power) / scale
    left = (np.ldexp(codes.astype(np.float64), -fraction) - mean) / scale
    return Affine(factors, offsets), Remainder(rest, left)
