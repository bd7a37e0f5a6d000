"""The graph of an ONNX file in its final form, and the quantizers of its tensors beside it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.given import Quantizer
from codesign.graph import Graph, Node
from codesign.load._fx import rewritten
from codesign.load.onnx_files.layers import Layers
from codesign.load.onnx_files.marker import Marker
from codesign.network import QuantizedNetwork, file_offsets
from codesign.ops.op import Rewritten
from codesign.ops.softmax import Tables


@dataclass(frozen=True)
class Settled:
    """A network as the file has it.

    Args:
        marked: The graph, rewritten for hardware, quantizers in it as markers.
        graph: The same without them.
        quantizers: Of activations and weights, by tensor name.
        notices: What was changed on the way, for the user.
    """

    marked: Graph
    graph: Graph
    quantizers: dict[str, Quantizer]
    notices: tuple[str, ...]


def settle(graph: Graph, layers: Layers, softmax: Tables = "none") -> Settled:
    """Rewrite a graph for hardware, and take the markers out.

    Args:
        graph: As the file has it.
        layers: What was gathered beside it.
        softmax: Which softmax is made of lookup tables.

    Raises:
        InputError: A layer can't be rewritten.
    """
    marked, notices = _rewritten(graph, softmax)
    plain, quantizers, more = _unmarked(marked)
    given = {node.name: node.op.parameters()["weight"] for node in graph.weighted()}
    own = {node.op.parameters()["weight"]: given[node.name] for node in plain.weighted()}  # shared ones may part
    for name, source in own.items():
        if source not in layers.quantizers:
            continue
        scaled = _scaled(layers.quantizers[source], layers.parameters[source], plain.parameters[name])
        if scaled is None:
            more.append(f"{name}: its quantizer is left out, as its weights changed by folding")
        else:
            quantizers[name] = scaled
    return Settled(marked, plain, quantizers, (*layers.notices, *notices, *more))


def _scaled(quantizer: Quantizer, before: FloatArray, after: FloatArray) -> Quantizer | None:
    """The quantizer of weights whose output or input channels were multiplied by numbers: its steps are, too.

    Args:
        quantizer: Of the weights.
        before: As they were, ``[outputs, inputs, ...]``.
        after: As they are.

    Returns:
        The quantizer, or None if they changed otherwise.
    """
    if np.array_equal(before, after):
        return quantizer
    for axis in range(min(2, before.ndim)):
        others = tuple(other for other in range(before.ndim) if other != axis)
        size = (before * before).sum(others, keepdims=True, dtype=np.float64)
        factors = (before * after).sum(others, keepdims=True, dtype=np.float64) / np.where(size > 0, size, 1)
        if np.allclose(before * factors, after, rtol=1e-5, atol=1e-6 * float(np.abs(after).max())):
            # A channel of zeros stays one, whatever its steps.
            steps = quantizer.scale * np.where(factors != 0, np.abs(factors), 1)
            return replace(quantizer, scale=steps).compact()
    return None


def _rewritten(graph: Graph, softmax: Tables) -> tuple[Graph, list[str]]:
    """Rewritten with the markers in place; one that a layer has to be folded across is given up."""
    given_up: list[str] = []
    while True:
        try:
            found, notices = rewritten(graph, softmax)
        except InputError:
            between = next(_between(graph), None)
            if between is None:
                raise
            graph = graph.without(between)
            given_up.append(f"{between.inputs[0]}: its quantizer is left out, as a layer is folded across it")
        else:
            return found, [*given_up, *notices]


def _between(graph: Graph) -> Iterator[Node]:
    """Markers next to an operation that has to go."""
    for node in graph.nodes:
        if isinstance(node.op, Marker):
            before, after = graph.producer(node.inputs[0]), graph.consumers(node.output)
            if any(other is not None and isinstance(other.op, Rewritten) for other in (before, *after)):
                yield node


def _unmarked(graph: Graph) -> tuple[Graph, dict[str, Quantizer], list[str]]:
    """The graph without markers; quantizers by the tensors that they quantize; notices."""
    quantizers: dict[str, Quantizer] = {}
    notices: list[str] = []
    second: set[str] = set()
    while (found := next(_markers(graph), None)) is not None:
        node, quantizer = found
        moved = _moved(graph, node.inputs[0], quantizer)
        source = moved[-1]
        behind = [other for name in moved for other in graph.consumers(name) if other.output not in moved]
        readers = [other.name for other in behind if not isinstance(other.op, Marker)]
        readers += ["the output"] if set(moved) & set(graph.outputs) else []
        # After another marker on the same tensor, its readers have come here: they read what is quantized.
        if readers and source not in quantizers:
            notices.append(f"{source}: read by {', '.join(readers)} before its quantizer in the file, here after it")
        second |= {other.name for other in graph.consumers(node.output) if isinstance(other.op, Marker)}
        graph = graph.without(node)
        before = quantizers.setdefault(source, quantizer)
        if not before.like(quantizer):
            # One right behind another has the last word; of two side by side, the first.
            kept, lost = (quantizer, before) if node.name in second else (before, quantizer)
            quantizers[source] = kept
            notices.append(f"{source}: quantized twice; {lost.where} is left out")
    return graph, quantizers, notices


def _moved(graph: Graph, tensor: str, quantizer: Quantizer) -> list[str]:
    """The tensor, and those before it of which it holds the elements in another order: the last has the format."""
    found = [tensor]
    single = np.size(quantizer.scale) == np.size(quantizer.width) == 1
    while single and (node := graph.producer(found[-1])) is not None and node.op.moves_data:
        found.append(node.inputs[0])
    return found


def _markers(graph: Graph) -> Iterator[tuple[Node, Quantizer]]:
    for node in graph.nodes:
        if isinstance(node.op, Marker):
            yield node, node.op.quantizer


def without_offsets(network: Settled) -> Settled:
    """The network with half a step taken off biases whose sums the file rounds down.

    Such a file has half a step in the bias, so that rounding down is rounding to nearest. Here quantizing adds it.
    """
    graph = network.graph
    formats = {
        name: quantizer.fixed() for name, quantizer in network.quantizers.items() if name not in graph.parameters
    }
    parameters: dict[str, FloatArray] = dict(graph.parameters)
    for bias, half in file_offsets(QuantizedNetwork(graph, formats), network.quantizers).items():
        parameters[bias] = (np.asarray(parameters[bias], np.float64) - half).astype(np.float32)
    return replace(network, graph=replace(graph, parameters=parameters))
