"""Rules for windows over positions: convolutions, pooling, padding."""

from collections.abc import Sequence

import numpy as np
import onnx

from codesign.ops.op import Shape
from codesign.transpile._file import Values, attributes
from codesign.transpile._layers import Layer, Layers, numbered

#: hls4ml's names of the axes of windows, by number of axes.
AXES = {1: (("width", "left", "right"),), 2: (("height", "top", "bottom"), ("width", "left", "right"))}


def convolution(layers: Layers, node: onnx.NodeProto) -> None:
    """A convolution without groups and gaps: what they leave out is zero."""
    options, weight = attributes(node), layers.constants[node.input[1]]
    after = layers.following(node, "Mul")  # sums, for averages
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
    given, found, options = layers.shapes[node.input[0]], layers.shapes[output], attributes(node)
    source = layers.last(node.input[0])
    if layers.streamed and any(options["pads"]):  # hls4ml puts its own zeros before other readers of the stream
        source, given = _padded(layers, node, output, source, given, options)
    windows = _windows(given, found, weight.shape[2:], options, ("filt", "in", "out"))
    layers.add(
        node.name, f"Conv{len(given) - 1}D", output, [source], layers.accumulator(output) | types,
        n_chan=given[0], n_filt=found[0], **windows, **data,
    )  # fmt: skip


def max_pool(layers: Layers, node: onnx.NodeProto) -> None:
    """Max pooling; zeros are put around what is never negative, where hls4ml's own padding is the largest half."""
    given, found, options = layers.shapes[node.input[0]], layers.shapes[node.output[0]], attributes(node)
    source = layers.last(node.input[0])
    if any(options["pads"]) and layers.precisions[source]["result"].startswith("ap_ufixed"):
        source, given = _padded(layers, node, node.output[0], source, given, options)
    windows = _windows(given, found, tuple(options["kernel_shape"]), options, ("pool", "in", "out"))
    if len(given) == 2:
        windows |= {"n_in": windows["in_width"], "n_out": windows["out_width"]}
    layers.add(
        node.name, f"MaxPooling{len(given) - 1}D", node.output[0], [source], layers.accumulator(node.output[0]),
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
    """Zeros around positions; around channels too, which hls4ml has not."""
    pads, given = [int(size) for size in layers.constants[node.input[1]]], layers.shapes[node.input[0]]
    rank = len(given)
    before, after = pads[1 : rank + 1], pads[rank + 2 :]  # behind the batch
    if rank > 1 and before[0] == after[0] == 0:
        _zeros(layers, node.name, node.output[0], layers.last(node.input[0]), given, before[1:], after[1:])
    else:
        widths = list(zip(before, after, strict=True))
        layers.choose(node.name, node.output[0], node.input[0], np.pad(numbered(given), widths, constant_values=-1))


def _padded(
    layers: Layers, node: onnx.NodeProto, output: str, source: str, given: Shape, options: Layer
) -> tuple[str, Shape]:
    """The zeros of a node's windows as a layer of their own, taken out of its options."""
    half = len(options["pads"]) // 2
    before, after = options["pads"][:half], options["pads"][half:]
    options["pads"] = [0] * len(options["pads"])
    return _zeros(layers, layers.inner(f"{node.name}_zeros"), output, source, given, before, after)


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
