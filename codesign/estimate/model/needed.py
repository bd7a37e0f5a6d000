"""Which elements of a network's tensors anything depends on: what is behind zero weights alone is never made."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.fixed import Codes
from codesign.graph import Node
from codesign.quantized import Quantized

Mask = npt.NDArray[np.bool_]


def needed(quantized: Quantized) -> dict[str, Mask]:
    """Elements of every tensor that an output depends on through weights that are not zero, by tensor."""
    graph = quantized.graph
    shapes = graph.shapes()
    found: dict[str, Mask] = {name: np.zeros(shape, bool) for name, shape in shapes.items()}
    for name in graph.outputs:
        found[name][...] = True
    for node in reversed(graph.nodes):
        own, inputs = found[node.output], [found[name] for name in node.inputs]
        if "weight" in node.op.parameters():
            channels = by_channel(inputs[0], node)
            channels[_read(quantized, node, own, len(channels))] = True
        elif node.op.moves_data:
            _moved(node, own, inputs)
        else:
            for mask in inputs:
                mask |= own if mask.shape == own.shape else own.any()
    return found


def by_channel(tensor: npt.NDArray[Any], node: Node) -> npt.NDArray[Any]:
    """A view of a weighted node's input or output with the channels that its weights tell apart first."""
    return np.moveaxis(tensor, -1 if node.op.kind == "linear" else 0, 0)


def _read(quantized: Quantized, node: Node, own: Mask, count: int) -> Mask:
    """Of the ``count`` input channels, those that some needed output has a weight for."""
    weight = quantized.codes[node.op.parameters()["weight"]]
    outputs, channels = weight.shape[:2]
    live: Mask = by_channel(own, node).reshape(outputs, -1).sum(axis=1) > 0
    used: Mask = ((weight != 0).reshape(outputs, channels, -1).sum(axis=2) > 0) & live[:, np.newaxis]
    read: Mask = used.reshape(count // channels, -1, channels).sum(axis=1) > 0
    return read.reshape(-1)


def _moved(node: Node, own: Mask, inputs: Sequence[Mask]) -> None:
    """Follow numbers of elements, from 1, through the operation; it may put zeros between them."""
    start, numbers = 1, list[Codes]()
    for mask in inputs:
        numbers.append(Codes(np.arange(start, start + mask.size).reshape(1, *mask.shape), 0))
        start += mask.size
    read = np.zeros(start, bool)
    read[np.asarray(node.op.integer(numbers, {}).values)[0][own]] = True
    start = 1
    for mask in inputs:
        mask |= read[start : start + mask.size].reshape(mask.shape)
        start += mask.size
