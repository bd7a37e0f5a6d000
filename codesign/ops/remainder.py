"""What is left of a normalization once powers of two are taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from codesign.arrays import FloatArray
from codesign.errors import ContractError, InputError
from codesign.ops._scaling import scale_inputs
from codesign.ops.conv import Conv
from codesign.ops.linear import Linear
from codesign.ops.op import Rewritten, TorchCall
from codesign.ops.pad import Pad

if TYPE_CHECKING:
    from codesign.graph import Graph, Node

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Remainder(Rewritten):
    """``x * scale + shift`` with real numbers, to be taken into the layers that read it.

    Args:
        scale: Of the input's shape.
        shift: Likewise.
    """

    scale: FloatArray
    shift: FloatArray

    kind: ClassVar[str] = "remainder"

    @classmethod
    def from_torch(cls, call: TorchCall) -> Remainder:
        """Stands for no torch call."""
        raise ContractError(f"layer {call.path!r}", "a remainder", "one that loading made")

    def rewrite(self, graph: Graph, node: Node) -> tuple[Graph, str]:
        """Folded into the layers after it, through what only moves data.

        Raises:
            InputError: Something else reads it, or a layer that has one weight for elements with several factors.
        """
        names: list[str] = []
        scale, shift = (np.asarray(each, np.float64) for each in (self.scale, self.shift))
        graph = _fold(graph, node.output, scale, shift, names)
        return graph.without(node), f"{node.name}: folded into {', '.join(names)}"


def _fold(graph: Graph, tensor: str, scale: Float64, shift: Float64, names: list[str]) -> Graph:
    """The graph with ``x * scale + shift`` taken into what reads a tensor; ``names`` gets the layers'."""
    readers = graph.consumers(tensor)
    if not readers or tensor in graph.outputs:
        raise _refusal(tensor, "the network's output")
    for reader in readers:
        op = reader.op
        if op.moves_data and not isinstance(op, Pad):
            graph = _fold(graph, reader.output, _moved(reader, scale), _moved(reader, shift), names)
            continue
        if not isinstance(op, Linear | Conv):
            raise _refusal(reader.name, f"an operation {op.kind!r}")
        axis = -1 if isinstance(op, Linear) else 0
        rows = [np.moveaxis(each, axis, 0).reshape(each.shape[axis], -1) for each in (scale, shift)]
        if any((row != row[:, :1]).any() for row in rows):
            raise _refusal(reader.name, "a layer that has one weight for several elements, each with its own factor")
        if isinstance(op, Conv) and any(op.windows.padding) and rows[1].any():
            raise _refusal(reader.name, "a convolution that pads with zeros")
        graph = scale_inputs(graph, reader, op, rows[0][:, 0], rows[1][:, 0])
        names.append(reader.name)
    return graph


def _moved(node: Node, values: Float64) -> Float64:
    import torch

    return node.op.forward([torch.tensor(values)[None]], {})[0].numpy()


def _refusal(name: str, what: str) -> InputError:
    found = f"{what} reads the normalized inputs"
    wanted = "a linear layer on all of them, or on features that have one mean and deviation"
    return InputError(f"layer {name!r}, normalize = 'inside'", found, wanted, "set load.npz.normalize to 'standard'")
