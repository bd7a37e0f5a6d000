"""How each node of a QONNX file becomes layers of hls4ml."""

from collections.abc import Mapping
from math import prod

import numpy as np
import onnx

from codesign.errors import ContractError
from codesign.ops.op import Shape
from codesign.transpile._elements import arithmetic, floor, leaky_relu, limits, quantizer, relu, whole
from codesign.transpile._layers import WINDOWS, Layers, Place, Rule, channels_last, in_order
from codesign.transpile._moves import concat, flat, largest, part, repeat, reshape, shaped, transpose
from codesign.transpile._types import ap_type
from codesign.transpile._windows import average_pool, convolution, max_pool, pad


def matmul(layers: Layers, node: onnx.NodeProto) -> None:
    """A dense layer, with the bias that is added to it."""
    after = layers.following(node, "Add")
    output = node.output[0] if after is None else after[0].output[0]
    place, shape, weight = layers.places[node.input[0]], layers.shapes[output], layers.constants[node.input[1]]
    data, types = layers.weights(
        weight[list(place.elements)] if place.elements else weight, node.input[1], None if after is None else after[1]
    )
    (inputs, outputs), rank = weight.shape, len(shape)
    axes = place.axes if place.axes[-1] == rank - 1 else in_order(rank)
    source, shape = layers.moved(node.input[0], axes), tuple(shape[axis] for axis in axes)
    if rank > 2:  # hls4ml makes a convolution of it, which is not exact over two axes of positions
        source = shaped(layers, layers.inner(f"{node.name}_rows"), f"{output}.rows", source, (prod(shape[:-1]), inputs))
    precision = layers.accumulator(output) | types
    made = layers.add(node.name, "Dense", output, [source], precision, n_in=inputs, n_out=outputs, **data)
    if rank > 2:
        made = shaped(layers, layers.inner(f"{node.name}_shape"), output, made, shape)
    layers.places[output] = Place(made, axes)


def reduce_sum(layers: Layers, node: onnx.NodeProto) -> None:
    """A dense layer whose weights are one number or zero: sums, or means with the factor that follows."""
    after = layers.following(node, "Mul")
    factor = 1.0 if after is None else float(layers.constants[after[1]])
    shape, output = layers.shapes[node.input[0]], node.output[0] if after is None else after[0].output[0]
    axes = {int(axis) - 1 for axis in layers.constants[node.input[1]]}
    kept = [size if axis not in axes else 1 for axis, size in enumerate(shape)]
    targets = np.broadcast_to(np.arange(np.prod(kept)).reshape(kept), shape)
    row, elements = flat(layers, layers.inner(f"{node.name}_flat"), f"{output}.flat", node.input[0])
    weight = np.equal.outer(targets.reshape(-1)[list(elements)], np.arange(np.prod(kept))) * factor
    data, types = layers.weights(weight, "", None)
    precision = layers.accumulator(output) | types
    sizes = {"n_in": weight.shape[0], "n_out": weight.shape[1]}
    total = layers.add(node.name, "Dense", output, [row], precision, **sizes, **data)
    if len(layers.shapes[output]) != 1:
        shaped(layers, layers.inner(f"{node.name}_shape"), output, total, layers.shapes[output])


#: By type of node.
RULES: Mapping[str, Rule] = {
    "Quant": quantizer,
    "MatMul": matmul,
    "Conv": convolution,
    "Relu": relu,
    "LeakyRelu": leaky_relu,
    "Floor": floor,
    "Clip": limits,
    "Max": limits,
    "Min": limits,
    "Cast": whole,
    "Pad": pad,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "ReduceMax": largest,
    "ReduceSum": reduce_sum,
    "Add": arithmetic,
    "Sub": arithmetic,
    "Mul": arithmetic,
    "Concat": concat,
    "Flatten": reshape,
    "Reshape": reshape,
    "Transpose": transpose,
    "Slice": part,
    "Resize": repeat,
}


def make_layers(layers: Layers) -> tuple[list[str], list[str]]:
    """All layers of the file; names of the input and output layers.

    Raises:
        ContractError: A node that the list of allowed operations should have kept out.
    """
    graph = layers.model.graph
    for info in graph.input:
        quant = next(node for node in graph.node if info.name in node.input)
        rank = len(layers.shapes[info.name])
        last = layers.streamed and any(node.op_type in WINDOWS for node in layers.readers(quant.output[0]))
        axes = channels_last(rank) if last else in_order(rank)
        precision = {"result": ap_type(layers.formats[quant.output[0]], saturate=True)}
        shape = [layers.shapes[info.name][axis] for axis in axes]
        layers.add(info.name, "InputLayer", info.name, [], precision, input_shape=shape)
        layers.places[info.name] = Place(info.name, axes)
    for node in graph.node:
        if node.output[0] in layers.constants or node.output[0] in layers.folded:
            continue
        if node.op_type not in RULES:
            raise ContractError(f"node {node.name!r}", f"operation {node.op_type}", f"one of {', '.join(RULES)}")
        RULES[node.op_type](layers, node)
    ends = [layers.places[info.name].layer if layers.streamed else layers.first(info.name) for info in graph.output]
    return [info.name for info in graph.input], ends


def ports(layers: Layers) -> dict[str, list[Shape]]:
    """The order of the axes of inputs and outputs: which of the file's each is."""
    graph = layers.model.graph
    outputs = [layers.places[info.name].axes for info in graph.output]
    return {
        "inputs": [layers.places[info.name].axes for info in graph.input],
        "outputs": outputs if layers.streamed else [in_order(len(axes)) for axes in outputs],
    }
