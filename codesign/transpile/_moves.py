"""Rules for what moves elements: new shapes, parts, repetition, the largest of some, turned axes, concatenation."""

from math import prod

import numpy as np
import onnx

from codesign.ops.op import Shape
from codesign.transpile._file import attributes
from codesign.transpile._layers import Layers, Place, in_order, numbered


def reshape(layers: Layers, node: onnx.NodeProto) -> None:
    """The same elements in another shape; in the file's order, unless the weights that follow can take another."""
    output, source = node.output[0], node.input[0]
    shape = layers.shapes[output]
    if len(shape) == 1 and layers.only_products(output):
        layer, elements = flat(layers, node.name, output, source)
        layers.places[output] = Place(layer, (0,), elements)
    else:
        elements = numbered(layers.shapes[source]).reshape(shape)
        layers.choose(node.name, output, source, elements, in_order(len(shape)))


def flat(layers: Layers, name: str, output: str, tensor: str) -> tuple[str, Shape]:
    """A tensor with one axis, its elements in the order that they have; and which of the file's each is."""
    place, shape = layers.places[tensor], layers.shapes[tensor]
    elements = numbered(shape).transpose(place.axes).reshape(-1)
    layer = shaped(layers, name, output, place.layer, (prod(shape),))
    return layer, place.elements or tuple(int(element) for element in elements)


def shaped(layers: Layers, name: str, output: str, source: str, shape: Shape) -> str:
    """What a layer gives in another shape."""
    precision = {"result": layers.precisions[source]["result"]}
    if layers.streamed:  # hls4ml makes a layer of this name of it, whose copies would have a type of its own choice
        layers.precisions[f"repack_{name}"] = precision
    return layers.add(name, "Reshape", output, [source], precision, target_shape=list(shape))


def part(layers: Layers, node: onnx.NodeProto) -> None:
    """Ranges along axes."""
    starts, ends, axes, steps = (layers.constants[name] for name in node.input[1:])
    shape = layers.shapes[node.input[0]]
    ranges = [slice(None)] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        ranges[int(axis) - 1] = slice(int(start), int(end), int(step))
    layers.choose(node.name, node.output[0], node.input[0], numbered(shape)[tuple(ranges)])


def repeat(layers: Layers, node: onnx.NodeProto) -> None:
    """Every element several times along axes."""
    elements = numbered(layers.shapes[node.input[0]])
    for axis, factor in enumerate(layers.constants[node.input[2]][1:]):
        elements = np.repeat(elements, int(factor), axis)
    layers.choose(node.name, node.output[0], node.input[0], elements)


def largest(layers: Layers, node: onnx.NodeProto) -> None:
    """The largest along axes: a choice among the elements there."""
    shape, options = layers.shapes[node.input[0]], attributes(node)
    axes = sorted(axis - 1 for axis in options["axes"])
    elements = np.moveaxis(numbered(shape), axes, range(-len(axes), 0))
    kept = layers.shapes[node.output[0]]
    layers.choose(node.name, node.output[0], node.input[0], elements.reshape(*kept, -1), in_order(len(kept)))


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
        own = node.name if index == len(names) - 1 else layers.inner(f"{node.name}_{index}")
        options = {"op": f"concatenate{rank}d", "axis": axis}
        joined = layers.add(own, "Concatenate", output, [joined, name], layers.accumulator(output), **options)
    layers.keep(output, node.input[0])
