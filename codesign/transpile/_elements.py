"""Rules for what is done with each element by itself, or with two elements at one place."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from codesign.errors import ContractError
from codesign.fixed import Fixed, smallest_format
from codesign.transpile._file import Values, attributes
from codesign.transpile._layers import Layers, Place, in_order, numbered
from codesign.transpile._types import ap_type, constant_type

#: From a number to the entry of a table: what comes after each node.
INDEXING = {"Sub": "Mul", "Mul": "Cast", "Cast": "Gather"}


def quantizer(layers: Layers, node: onnx.NodeProto) -> None:
    """A cast that truncates and saturates; where elements differ, shifts and limits after it.

    The cast is to the finest step and the widest range. Shifting each element down drops its own bits, and up again
    brings it to its place. What comes to the network is in its elements' formats already.
    """
    fixed, limits = layers.formats[node.output[0]], _limits_after(layers, node)
    ends = [layers.constants[name] for each in limits for name in each.input if name in layers.constants]
    output = limits[-1].output[0] if limits else node.output[0]
    layers.folded.update(each.output[0] for each in limits)
    kind = _cast(fixed, ends)
    _elementwise(layers, node, "Activation", {"result": f"{kind[:-1]},AP_TRN,AP_SAT,0>"}, activation="linear")
    if np.ndim(fixed.fraction) and node.input[0] not in {info.name for info in layers.model.graph.input}:
        places = np.asarray(fixed.fraction) - int(np.max(fixed.fraction))
        changes = [("affine", [np.ldexp(1.0, places)]), ("affine", [np.ldexp(1.0, -places)])] if places.any() else []
        changes += [("between" if len(ends) == 2 else "at_most", ends)] if ends else []
        source = node.output[0]
        for index, (operation, constants) in enumerate(changes):
            made = output if index == len(changes) - 1 else f"{output}.{index}"
            first, second = [_arranged(layers, node.input[0], each) for each in (*constants, 0.0)][:2]
            _add(layers, layers.inner(f"{node.name}_{index}"), operation, source, made, first, second, kind)
            source = made
    if output not in layers.places:
        layers.places[output] = layers.places[node.output[0]]


def _limits_after(layers: Layers, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Max and Min, or Min alone, that leave each element its own bits; an operation's own limits are none of them."""
    found, last = list[onnx.NodeProto](), node
    for op_type in ("Max", "Min"):
        readers = layers.readers(last.output[0])
        if len(readers) == 1 and readers[0].op_type == op_type:
            last = readers[0]
            found.append(last)
    return found if last.op_type == "Min" and last.output[0] not in layers.accumulators else []


def _cast(fixed: Fixed, ends: list[Values]) -> str:
    """The type of all elements of a quantizer, whose ends are closer than its bits are where there are limits."""
    fraction = int(np.max(fixed.fraction))
    if not ends:
        return ap_type(fixed)
    codes = [np.ldexp(each.astype(np.float64), fraction).astype(np.int64) for each in ends]
    return ap_type(smallest_format(min(int(codes[0].min()), 0), max(int(codes[-1].max()), 1), fraction))


def relu(layers: Layers, node: onnx.NodeProto) -> None:
    """A ReLU into the type of its result."""
    _elementwise(layers, node, "Activation", layers.accumulator(node.output[0]), activation="relu")


def floor(layers: Layers, node: onnx.NodeProto) -> None:
    """A cast that truncates into the type of its result."""
    _elementwise(layers, node, "Activation", layers.accumulator(node.output[0]), activation="linear")


def leaky_relu(layers: Layers, node: onnx.NodeProto) -> None:
    """A leaky ReLU, its slope a power of two."""
    slope = attributes(node)["alpha"]
    precision = layers.accumulator(node.output[0]) | {"param": constant_type(np.array(slope))}
    _elementwise(layers, node, "LeakyReLU", precision, activation="LeakyReLU", activ_param=slope)


def _elementwise(layers: Layers, node: onnx.NodeProto, kind: str, precision: Mapping[str, str], **more: Any) -> None:
    layers.add(node.name, kind, node.output[0], [layers.places[node.input[0]].layer], precision, **more)
    layers.keep(node.output[0], node.input[0])


def arithmetic(layers: Layers, node: onnx.NodeProto) -> None:
    """Sum, difference or product of two tensors, or of one and constants."""
    if not any(name in layers.constants for name in node.input):
        _merge(layers, node)
    elif node.op_type == "Sub":  # nothing but a table begins with it
        table(layers, node)
    else:
        _affine(layers, node)


def _merge(layers: Layers, node: onnx.NodeProto) -> None:
    """Two tensors, their axes in the order of the first that has the result's shape; axes of one element go along."""
    output, given = node.output[0], [layers.shapes[name] for name in node.input]
    shape = layers.shapes[output]
    whole = next((name for name, own in zip(node.input, given, strict=True) if own == shape), None)
    axes = in_order(len(shape)) if whole is None else layers.places[whole].axes
    inputs = [
        layers.moved(name, axes)
        if own == shape
        else layers.gather(layers.inner(f"{node.name}_along{index}"), name, np.broadcast_to(numbered(own), shape), axes)
        for index, (name, own) in enumerate(zip(node.input, given, strict=True))
    ]
    operation = {"Add": "add", "Sub": "subtract", "Mul": "multiply"}[node.op_type]
    made = layers.add(node.name, "Merge", output, inputs, layers.accumulator(output), op=operation)
    layers.places[output] = Place(made, axes)


def _affine(layers: Layers, node: onnx.NodeProto) -> None:
    """Times a constant, plus a constant."""
    constant = next(layers.constants[name] for name in node.input if name in layers.constants)
    output, scale, offset = node.output[0], np.ones(()), np.zeros(())
    if node.op_type == "Add":
        offset = constant
    else:
        scale, after = constant, layers.following(node, "Add")
        if after is not None:
            output, offset = after[0].output[0], layers.constants[after[1]]
    _with_constants(layers, node.name, "affine", node.input[0], output, scale, offset)


def limits(layers: Layers, node: onnx.NodeProto) -> None:
    """A lower limit, an upper one, or both."""
    last, given = node, [layers.constants[name] for name in node.input[1:]]
    if after := layers.following(node, "Min"):
        last, given = after[0], [*given, layers.constants[after[1]]]
    operation = "between" if len(given) == 2 else {"Max": "at_least", "Min": "at_most"}[node.op_type]
    _with_constants(layers, last.name, operation, node.input[0], last.output[0], *given)


def whole(layers: Layers, node: onnx.NodeProto) -> None:
    """To whole numbers: and back, which is a cast that truncates, or as the index of a table."""
    after = layers.readers(node.output[0])
    if [each.op_type for each in after] != ["Cast"]:
        table(layers, node)
        return
    layers.folded.add(after[0].output[0])
    output = after[0].output[0]
    source = layers.places[node.input[0]].layer
    layers.add(node.name, "Activation", output, [source], layers.accumulator(output), activation="linear")
    layers.keep(output, node.input[0])


def table(layers: Layers, node: onnx.NodeProto) -> None:
    """An entry for each number; the C++ takes numbers modulo the table's size, so that negative ones come last.

    Raises:
        ContractError: What follows is not what an operation with a table writes.
    """
    source, low, steps = node.input[0], 0.0, 1.0
    while node.op_type != "Gather":
        if node.op_type == "Sub":
            low = float(layers.constants[node.input[1]])
        elif node.op_type == "Mul":
            steps = float(layers.constants[node.input[1]])
        after = layers.readers(node.output[0])
        if [each.op_type for each in after] != [INDEXING[node.op_type]]:
            found = f"{node.op_type} before {', '.join(each.op_type for each in after) or 'nothing'}"
            raise ContractError(f"node {node.name!r}", found, f"{INDEXING[node.op_type]}, and no other")
        (node,) = after
        layers.folded.add(node.output[0])
    entries = layers.constants[node.input[0]].astype(np.float64)
    size = 1 << (len(entries) - 1).bit_length()
    numbers = (np.arange(size) - round(low * steps)) % size
    rotated = entries[np.minimum(numbers, len(entries) - 1)]
    _add(layers, node.name, "lookup", source, node.output[0], rotated, np.array([steps]))


def _with_constants(
    layers: Layers, name: str, operation: str, source: str, output: str, first: Values, second: Values | float = 0.0
) -> None:
    """A layer of an element and constants that go along with the tensor."""
    _add(layers, name, operation, source, output, _arranged(layers, source, first), _arranged(layers, source, second))


def _add(
    layers: Layers, name: str, operation: str, source: str, output: str, first: Values, second: Values, kind: str = ""
) -> None:
    """One layer; of the type of an operation's result, unless another is given."""
    layers.require_extended(name)
    precision = {
        "result": kind or layers.accumulators[output],
        "first": constant_type(first),
        "second": constant_type(second),
    }
    options = {"operation": operation, "first": first, "second": second}
    layers.add(name, "CodesignElementwise", output, [layers.places[source].layer], precision, **options)
    layers.keep(output, source)


def _arranged(layers: Layers, tensor: str, constants: Values | float) -> Values:
    """Constants in the order that a tensor's elements have: one for all, one for each along its last axis, or all."""
    place, shape = layers.places[tensor], layers.shapes[tensor]
    values = np.broadcast_to(np.asarray(constants, np.float64), shape).transpose(place.axes)
    rows = values.reshape(-1, values.shape[-1])
    if place.elements:
        rows = rows[:, list(place.elements)]
    if (rows == rows[0, 0]).all():
        return rows[0, :1]
    return rows[0] if (rows == rows[0]).all() else rows.reshape(-1)
