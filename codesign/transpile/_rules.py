"""How each node of a QONNX file becomes layers of hls4ml."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx

from codesign.ops.op import Shape
from codesign.transpile._layers import Layer, Layers, Place, Rule, Values, attributes, in_order
from codesign.transpile._types import ap_type, constant_type

#: hls4ml's names of the axes of windows, by number of axes.
AXES = {1: (("width", "left", "right"),), 2: (("height", "top", "bottom"), ("width", "left", "right"))}


def quantizer(layers: Layers, node: onnx.NodeProto) -> None:
    """A cast that truncates and saturates."""
    precision = {"result": ap_type(layers.formats[node.output[0]], saturate=True)}
    _elementwise(layers, node, "Activation", precision, activation="linear")


def relu(layers: Layers, node: onnx.NodeProto) -> None:
    """A ReLU into the type of its result."""
    _elementwise(layers, node, "Activation", layers.accumulator(node), activation="relu")


def leaky_relu(layers: Layers, node: onnx.NodeProto) -> None:
    """A leaky ReLU, its slope a power of two."""
    slope = attributes(node)["alpha"]
    precision = layers.accumulator(node) | {"param": constant_type(np.array(slope))}
    _elementwise(layers, node, "LeakyReLU", precision, activation="LeakyReLU", activ_param=slope)


def merge(layers: Layers, node: onnx.NodeProto) -> None:
    """Sum, difference or product of two tensors."""
    operation = {"Add": "add", "Sub": "subtract", "Mul": "multiply"}[node.op_type]
    _elementwise(layers, node, "Merge", layers.accumulator(node), op=operation)


def _elementwise(layers: Layers, node: onnx.NodeProto, kind: str, precision: Mapping[str, str], **more: Any) -> None:
    inputs = [layers.like(name, node.input[0]) for name in node.input if name not in layers.constants]
    layers.add(node.name, kind, node.output[0], inputs, precision, **more)
    layers.keep(node.output[0], node.input[0])


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
        source = _reshape(layers, f"{node.name}_rows", f"{output}.rows", source, (prod(shape[:-1]), inputs))
    precision = layers.accumulator(node) | types
    made = layers.add(node.name, "Dense", output, [source], precision, n_in=inputs, n_out=outputs, **data)
    if rank > 2:
        made = _reshape(layers, f"{node.name}_shape", output, made, shape)
    layers.places[output] = Place(made, axes)


def reduce_sum(layers: Layers, node: onnx.NodeProto) -> None:
    """A dense layer whose weights are one number or zero: sums, or means with the factor that follows."""
    after = layers.following(node, "Mul")
    factor = 1.0 if after is None else float(layers.constants[after[1]])
    shape, output = layers.shapes[node.input[0]], node.output[0] if after is None else after[0].output[0]
    axes = {int(axis) - 1 for axis in layers.constants[node.input[1]]}
    kept = [size if axis not in axes else 1 for axis, size in enumerate(shape)]
    targets = np.broadcast_to(np.arange(np.prod(kept)).reshape(kept), shape)
    flat, elements = _flat(layers, f"{node.name}_flat", f"{output}.flat", node.input[0])
    weight = np.equal.outer(targets.reshape(-1)[list(elements)], np.arange(np.prod(kept))) * factor
    data, types = layers.weights(weight, "", None)
    precision = layers.accumulator(node) | types
    sizes = {"n_in": weight.shape[0], "n_out": weight.shape[1]}
    total = layers.add(node.name, "Dense", output, [flat], precision, **sizes, **data)
    if len(layers.shapes[output]) != 1:
        _reshape(layers, f"{node.name}_shape", output, total, layers.shapes[output])


def convolution(layers: Layers, node: onnx.NodeProto) -> None:
    """A convolution without groups and gaps: what they leave out is zero."""
    options, weight = attributes(node), layers.constants[node.input[1]]
    after = layers.following(node, "Mul") if node.input[1] not in layers.formats else None  # sums, for averages
    factor = 1.0 if after is None else float(layers.constants[after[1]])
    dense = _ungrouped(_spread(weight, options.get("dilations", [1] * (weight.ndim - 2))), options.get("group", 1))
    _convolve(layers, node, dense * factor, node.output[0] if after is None else after[0].output[0])


def average_pool(layers: Layers, node: onnx.NodeProto) -> None:
    """A convolution with one over the number of elements, a power of two."""
    kernel, channels = tuple(attributes(node)["kernel_shape"]), layers.shapes[node.input[0]][0]
    ones = np.full((channels, 1, *kernel), 1 / np.prod(kernel))
    _convolve(layers, node, _ungrouped(ones, channels), node.output[0])


def _convolve(layers: Layers, node: onnx.NodeProto, weight: Values, output: str) -> None:
    """A convolution.

    Args:
        layers: Where it goes.
        node: The node, with strides and pads.
        weight: ``[out_channels, in_channels, *kernel]``.
        output: The tensor that it gives.
    """
    tensor = node.input[1] if len(node.input) > 1 else ""
    bias = node.input[2] if len(node.input) > 2 else None
    data, types = layers.weights(np.moveaxis(weight, (0, 1), (-1, -2)), tensor, bias)
    given, found = layers.shapes[node.input[0]], layers.shapes[output]
    windows = _windows(given, found, weight.shape[2:], attributes(node), ("filt", "in", "out"))
    source = layers.last(node.input[0])
    layers.add(
        node.name, f"Conv{len(given) - 1}D", output, [source], layers.accumulator(node) | types,
        n_chan=given[0], n_filt=found[0], **windows, **data,
    )  # fmt: skip


def max_pool(layers: Layers, node: onnx.NodeProto) -> None:
    """Max pooling; zeros are put around what is never negative, where hls4ml's own padding is the largest half."""
    given, found, options = layers.shapes[node.input[0]], layers.shapes[node.output[0]], attributes(node)
    source = layers.last(node.input[0])
    if any(options["pads"]) and layers.precisions[source]["result"].startswith("ap_ufixed"):
        half = len(options["pads"]) // 2
        before, after = options["pads"][:half], options["pads"][half:]
        source, given = _zeros(layers, f"{node.name}_zeros", node.output[0], source, given, before, after)
        options["pads"] = [0] * len(options["pads"])
    windows = _windows(given, found, tuple(options["kernel_shape"]), options, ("pool", "in", "out"))
    if len(given) == 2:
        windows |= {"n_in": windows["in_width"], "n_out": windows["out_width"]}
    layers.add(
        node.name, f"MaxPooling{len(given) - 1}D", node.output[0], [source], layers.accumulator(node),
        n_filt=given[0], count_pad=False, **windows,
    )  # fmt: skip


def _windows(given: Shape, found: Shape, kernel: Shape, options: Layer, names: tuple[str, str, str]) -> Layer:
    """hls4ml's attributes of windows."""
    rank = len(kernel)
    made: Layer = {"data_format": "channels_last", "padding": "valid"}
    for axis, (name, before, after) in enumerate(AXES[rank]):
        made |= {f"{names[0]}_{name}": kernel[axis], f"stride_{name}": options["strides"][axis]}
        made |= {f"{names[1]}_{name}": given[axis + 1], f"{names[2]}_{name}": found[axis + 1]}
        made |= {f"pad_{before}": options["pads"][axis], f"pad_{after}": options["pads"][axis + rank]}
    return made


def _spread(weight: Values, dilations: Shape) -> Values:
    """A kernel with the zeros that dilation skips."""
    kernel = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilations, strict=True)]
    wide = np.zeros((*weight.shape[:2], *kernel))
    wide[(..., *(slice(None, None, step) for step in dilations))] = weight
    return wide


def _ungrouped(weight: Values, groups: int) -> Values:
    """A weight of ``[out_channels, in_channels, *kernel]`` with zeros between groups."""
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    wide = np.zeros((weight.shape[0], inputs * groups, *weight.shape[2:]))
    for group in range(groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        wide[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return wide


def pad(layers: Layers, node: onnx.NodeProto) -> None:
    """Zeros around positions."""
    pads, given = [int(size) for size in layers.constants[node.input[1]]], layers.shapes[node.input[0]]
    before, after = pads[2 : len(given) + 1], pads[len(given) + 3 :]  # behind the batch and the channels
    _zeros(layers, node.name, node.output[0], layers.last(node.input[0]), given, before, after)


def _zeros(
    layers: Layers, name: str, output: str, source: str, given: Shape, before: Sequence[int], after: Sequence[int]
) -> tuple[str, Shape]:
    """Zeros around the positions of what a layer gives; the new layer, and its shape as the file has it."""
    found = (given[0], *(sum(sizes) for sizes in zip(before, given[1:], after, strict=True)))
    sizes: Layer = {"n_chan": given[0], "data_format": "channels_last"}
    for axis, (word, start, end) in enumerate(AXES[len(given) - 1]):
        sizes |= {f"in_{word}": given[axis + 1], f"out_{word}": found[axis + 1]}
        sizes |= {f"pad_{start}": before[axis], f"pad_{end}": after[axis]}
    precision = {"result": layers.precisions[source]["result"]}
    return layers.add(name, f"ZeroPadding{len(given) - 1}D", output, [source], precision, **sizes), found


def reshape(layers: Layers, node: onnx.NodeProto) -> None:
    """The same elements in another shape; in the file's order, unless the weights that follow can take another."""
    output, source = node.output[0], node.input[0]
    if len(layers.shapes[output]) == 1 and layers.only_products(output):
        layer, elements = _flat(layers, node.name, output, source)
        layers.places[output] = Place(layer, (0,), elements)
    else:
        _reshape(layers, node.name, output, layers.first(source), layers.shapes[output])


def _flat(layers: Layers, name: str, output: str, tensor: str) -> tuple[str, Shape]:
    """A tensor with one axis, its elements in the order that they have; and which of the file's each is."""
    place, shape = layers.places[tensor], layers.shapes[tensor]
    elements = np.arange(prod(shape)).reshape(shape).transpose(place.axes).reshape(-1)
    layer = _reshape(layers, name, output, place.layer, (prod(shape),))
    return layer, place.elements or tuple(int(element) for element in elements)


def _reshape(layers: Layers, name: str, output: str, source: str, shape: Shape) -> str:
    precision = {"result": layers.precisions[source]["result"]}
    if len(shape) == 1:  # hls4ml takes a Transpose right before it into the weights after it, by an order of its own
        source = layers.add(f"{name}_row", "Reshape", output, [source], precision, target_shape=[1, *shape])
    return layers.add(name, "Reshape", output, [source], precision, target_shape=list(shape))


def transpose(layers: Layers, node: onnx.NodeProto) -> None:
    """Axes in another order: no layer, until one wants them so."""
    order, place = [axis - 1 for axis in attributes(node)["perm"][1:]], layers.places[node.input[0]]
    layers.places[node.output[0]] = Place(place.layer, tuple(order.index(axis) for axis in place.axes))


def concat(layers: Layers, node: onnx.NodeProto) -> None:
    """Two at a time, in the order that the first has."""
    output, rank = node.output[0], len(layers.shapes[node.output[0]])
    axis = layers.places[node.input[0]].axes.index(attributes(node)["axis"] - 1) + 1
    names = [layers.like(name, node.input[0]) for name in node.input]
    joined = names[0]
    for index, name in enumerate(names[1:], 1):
        own = node.name if index == len(names) - 1 else f"{node.name}_{index}"
        options = {"op": f"concatenate{rank}d", "axis": axis}
        joined = layers.add(own, "Concatenate", output, [joined, name], layers.accumulator(node), **options)
    layers.keep(output, node.input[0])


#: By type of node.
RULES: Mapping[str, Rule] = {
    "Quant": quantizer,
    "MatMul": matmul,
    "Conv": convolution,
    "Relu": relu,
    "LeakyRelu": leaky_relu,
    "Pad": pad,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "ReduceSum": reduce_sum,
    "Add": merge,
    "Sub": merge,
    "Mul": merge,
    "Concat": concat,
    "Flatten": reshape,
    "Reshape": reshape,
    "Transpose": transpose,
}
