"""Units that no output depends on, taken out of the graph."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.arrays import IntArray
from codesign.errors import ContractError, InputError
from codesign.estimate.model.needed import by_channel, needed
from codesign.finetune._units import channel_axis
from codesign.fixed import Codes, Fixed
from codesign.graph import Graph, Node
from codesign.quantized import Quantized

#: For each axis along which something is cut: which of it is left.
Kept = dict[int, IntArray]


@dataclass(frozen=True)
class Cuts:
    """What taking some units of a layer out changes.

    Args:
        tensors: Axis of the units in each tensor that has them.
        columns: Unit that each input channel of the weights that read them meets, by node.
    """

    tensors: dict[str, int]
    columns: dict[str, IntArray]


def shrunk(quantized: Quantized) -> tuple[Quantized, dict[str, IntArray]]:
    """The same network without dead units, and the numbers of those that are left, by layer.

    A layer's unit goes where no output depends on it and everything from the layer to the weights that read it treats
    units alike: activations, pooling, means, flattening. Others stay, with weights that are zero. Units before pooling
    and means over positions count as needed as long as any of what comes after is. One unit stays in any case.

    Raises:
        ContractError: The integers would not be the same.
    """
    left: dict[str, IntArray] = {}
    made, live = quantized, needed(quantized)
    for node in quantized.graph.weighted():
        alive = by_channel(live[node.output], node)
        kept = np.flatnonzero(alive.reshape(len(alive), -1).any(1))
        kept = kept if len(kept) else np.zeros(1, np.int64)
        if len(kept) == len(alive):
            continue
        cuts = _cuts(quantized.graph, node)
        if cuts is None:
            continue
        try:
            smaller = _cut(made, node, cuts, kept)
            smaller.graph.shapes()
        except InputError:  # something on the way has its sizes written down
            continue
        made, left[node.name] = smaller, kept
    _require_same(quantized, made)
    return made, left


def _cuts(graph: Graph, node: Node) -> Cuts | None:
    """Where the units of a layer are; None if anything but weights tells them apart."""
    shapes = graph.shapes()
    if _shared(graph, node) or _grouped(graph, node):
        return None
    axis = len(shapes[node.output]) - 1 if channel_axis(node) == -1 else 0
    cuts, ahead = Cuts({}, {}), [(node.output, axis)]
    while ahead:
        tensor, axis = ahead.pop()
        cuts.tensors[tensor] = axis
        if tensor in graph.outputs:
            return None
        for reader in graph.consumers(tensor):
            if "weight" in reader.op.parameters():
                if _shared(graph, reader) or axis != (len(shapes[tensor]) - 1 if channel_axis(reader) == -1 else 0):
                    return None
                if _grouped(graph, reader):
                    return None
                cuts.columns[reader.name] = np.arange(shapes[tensor][axis])
            elif reader.op.kind == "flatten":
                if (columns := _flattened(graph, reader, axis)) is None:
                    return None
                cuts.columns.update(columns)
            else:
                after = _after(reader, shapes[tensor], axis)
                if after is None:
                    return None
                ahead.append((reader.output, after))
    return cuts


def _shared(graph: Graph, node: Node) -> bool:
    """Whether another node has the same parameters."""
    own = set(node.op.parameters().values())
    return any(own & set(other.op.parameters().values()) for other in graph.nodes if other != node)


def _grouped(graph: Graph, node: Node) -> bool:
    """Whether its weights read groups of channels: how many there are is written down in the operation."""
    read = graph.shapes()[node.inputs[0]][channel_axis(node)]
    return bool(graph.parameters[node.op.parameters()["weight"]].shape[1] != read)


def _flattened(graph: Graph, node: Node, axis: int) -> dict[str, IntArray] | None:
    """The unit that every element of a flattened tensor is of, for the weights that read it."""
    shape = graph.shapes()[node.inputs[0]]
    places = np.arange(shape[axis]).reshape([-1 if place == axis else 1 for place in range(len(shape))])
    numbers = np.broadcast_to(places, shape).reshape(-1)
    readers = graph.consumers(node.output)
    if node.output in graph.outputs or any(each.op.kind != "linear" or _shared(graph, each) for each in readers):
        return None
    return {reader.name: numbers for reader in readers}


def _after(node: Node, shape: tuple[int, ...], axis: int) -> int | None:
    """The units' axis after an operation on single units: the one that grows with the input's."""
    if len(node.inputs) != 1 or node.op.parameters() or node.op.moves_data:
        return None
    longer = (*shape[:axis], shape[axis] + 1, *shape[axis + 1 :])
    try:
        before, after = (node.op.shape(node.name, [each], {}) for each in (shape, longer))
    except InputError:
        return None
    grown = [place for place, (size, more) in enumerate(zip(before, after, strict=False)) if size != more]
    if len(before) != len(after) or len(grown) != 1 or before[grown[0]] != shape[axis]:
        return None
    return grown[0]


def _cut(quantized: Quantized, node: Node, cuts: Cuts, kept: IntArray) -> Quantized:
    graph = quantized.graph
    changes: dict[str, Kept] = {name: {0: kept} for name in node.op.parameters().values()}
    for reader in graph.weighted():
        if reader.name in cuts.columns:
            name = reader.op.parameters()["weight"]
            changes[name] = {**changes.get(name, {}), 1: np.flatnonzero(np.isin(cuts.columns[reader.name], kept))}
    tensors: dict[str, Kept] = {tensor: {axis: kept} for tensor, axis in cuts.tensors.items()}
    sizes = graph.shapes()
    parameters = {name: _taken(value, changes.get(name, {})) for name, value in graph.parameters.items()}
    codes = {name: _taken(value, changes.get(name, {})) for name, value in quantized.codes.items()}
    formats = {
        name: _format(fixed, graph.parameters[name].shape if name in graph.parameters else sizes[name], each)
        if (each := {**changes, **tensors}.get(name))
        else fixed
        for name, fixed in quantized.formats.items()
    }
    return replace(quantized, graph=replace(graph, parameters=parameters), codes=codes, formats=formats)


def _taken(values: npt.NDArray[Any], kept: Mapping[int, IntArray]) -> npt.NDArray[Any]:
    for axis, places in kept.items():
        values = np.take(values, places, axis)
    return values


def _format(fixed: Fixed, shape: tuple[int, ...], kept: Kept) -> Fixed:
    """Along axes on which the format is the same for all, nothing is cut."""
    parts: list[Any] = []
    for bits in (fixed.width, fixed.integer):
        if np.ndim(bits):
            own = np.asarray(bits).reshape((1,) * (len(shape) - np.ndim(bits)) + np.shape(bits))
            bits = _taken(own, {axis: places for axis, places in kept.items() if own.shape[axis] > 1})
        parts.append(bits)
    return Fixed(fixed.signed, *parts)


def _require_same(before: Quantized, after: Quantized) -> None:
    """Random codes of the inputs, and the ends of their ranges, give the same."""
    random, given = np.random.default_rng(0), dict[str, Codes]()
    for name, shape in before.graph.inputs.items():
        fixed = before.formats[name]
        low, high = (np.broadcast_to(np.asarray(end), shape) for end in (fixed.low, fixed.high))
        drawn = random.integers(low, high + 1, (64, *shape))
        given[name] = Codes(np.concatenate([drawn, low[np.newaxis], high[np.newaxis]]), fixed.fraction)
    wanted, found = (each.run(given) for each in (before, after))
    for name in before.graph.outputs:
        if not np.array_equal(wanted[name].real(), found[name].real()):
            raise ContractError("dead units", "other integers without them", "the same")
