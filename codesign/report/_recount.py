"""What costs see of a network, counted again from the exported file alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from codesign.allocate.costs import Activation, Counted, Part, Single
from codesign.allocate.counting.ways import Step, additions, ways
from codesign.arrays import IntArray
from codesign.errors import ContractError
from codesign.estimate.model.terms import digits, spans
from codesign.fixed import FLOAT32_BITS

#: Operation kinds of nodes with weights, and the axis of their weights that tells output channels apart.
WEIGHTED = {"MatMul": ("linear", 1), "Conv": ("conv", 0)}
#: Nodes that only move data, so that bits pass through.
MOVES = ("Flatten", "Pad", "Reshape", "Resize", "Slice", "Transpose")
#: Nodes after a quantizer that leave each element its own bits.
LIMITS = ("Max", "Min")
#: Starts the metadata property with the widths of each channel of a weight, a JSON list, before the weight's name.
WIDTHS = "widths:"

Values = npt.NDArray[Any]


def recount(path: Path, *, with_paths: bool = True) -> Counted:
    """A QONNX file as a cost sees it.

    Args:
        path: The file.
        with_paths: Whether a cost needs the ways through the network.

    Raises:
        ContractError: A layer's input or weight comes from no Quant node, or a weight does not fit its widths.
        InputError: Paths are wanted, and there are too many.
    """
    file = _File(onnx.load_model_from_string(path.read_bytes()))
    parts = tuple(part for node in file.weighted for part in file.parts(node))
    return Counted(parts, tuple(file.activations()), file.paths() if with_paths else ())


@dataclass(frozen=True)
class _File:
    """A QONNX file as Writer writes it."""

    model: onnx.ModelProto

    @cached_property
    def constants(self) -> dict[str, Values]:
        return {item.name: numpy_helper.to_array(item) for item in self.model.graph.initializer}

    @cached_property
    def producers(self) -> dict[str, onnx.NodeProto]:
        return {name: node for node in self.model.graph.node for name in node.output}

    @cached_property
    def shapes(self) -> dict[str, list[int]]:
        """By tensor, the batch axis left out."""
        graph = self.model.graph
        return {
            info.name: [dimension.dim_value for dimension in info.type.tensor_type.shape.dim][1:]
            for info in (*graph.input, *graph.value_info, *graph.output)
        }

    @cached_property
    def steps(self) -> list[Step]:
        """The nodes that compute something from the inputs."""
        constant, found = set(self.constants), list[Step]()
        for node in self.model.graph.node:
            read = tuple(name for name in node.input if name and name not in constant)
            if not read:
                constant.update(node.output)
                continue
            multiplies = node.op_type in WEIGHTED and len(read) == 1 and not self.only_adds(node)
            adds = node.op_type in ("Add", "Sub") and len(read) == 2
            found.append(Step(node.name, multiplies, adds, read, node.output[0]))
        return found

    def only_adds(self, node: onnx.NodeProto) -> bool:
        """Whether it is a convolution with ones, as averages are written."""
        weight = self.constants.get(node.input[1])
        return weight is not None and bool((weight == 1).all())

    @cached_property
    def weighted(self) -> list[onnx.NodeProto]:
        return [self.producers[step.output] for step in self.steps if step.weighted]

    @cached_property
    def indices(self) -> set[str]:
        """Tensors on the way from a quantized one to the index of a table's entry."""
        found: set[str] = set()
        for node in reversed(self.model.graph.node):
            if node.op_type == "Gather":
                found.add(node.input[1])
            elif node.output[0] in found and node.op_type in ("Cast", "Mul"):
                found.add(node.input[0])
        return found

    @cached_property
    def additions(self) -> dict[str, int]:
        return additions(self.steps)

    def paths(self) -> tuple[frozenset[str], ...]:
        graph = self.model.graph
        return ways(self.steps, [info.name for info in graph.input], [info.name for info in graph.output])

    def activations(self) -> Iterator[Activation]:
        """The quantized inputs of the network, and what is multiplied, by weights or by another."""
        given = [info.name for info in self.model.graph.input]
        quants = [node for name in given for node in self.model.graph.node if name in node.input]
        for step in self.steps:
            kind = self.producers[step.output].op_type
            if (
                step.weighted
                or (kind == "Gather" and self.of_codes(step.output))
                or (kind == "Mul" and len(step.inputs) == 2)
            ):
                quants += [self.quant_before(name) for name in step.inputs]
        for name, quant in {self.name(quant): quant for quant in quants}.items():
            yield Activation(name, prod(self.shapes[quant.output[0]]), self.bits(quant))

    def of_codes(self, output: str) -> bool:
        """Whether a table has an entry for each code of a quantized tensor; else it is one of the user's own."""
        cast = self.producers[self.producers[output].input[1]]
        return self.producers.get(f"{output}.code") is not None and cast.input[0] == f"{output}.code"

    def name(self, quant: onnx.NodeProto) -> str:
        """A quantized tensor's name; the network input's own for what is made of it."""
        given = [info.name for info in self.model.graph.input]
        made = [quant, *self.limits_after(quant)][-1]
        return quant.input[0] if quant.input[0] in given else made.output[0]

    def bits(self, quant: onnx.NodeProto) -> int:
        """Of the narrowest format of all elements: from the finest step to the widest range."""
        scale, widths = self.constants[quant.input[1]], self.widths_of(quant)
        if not scale.ndim or not widths.any():
            return int(self.constants[quant.input[3]].item())
        places = np.frexp(scale)[1].astype(np.int64)
        used = np.broadcast_to(widths, scale.shape) > 0
        return int((places + widths)[used].max() - places[used].min())

    def parts(self, node: onnx.NodeProto) -> Iterator[Part]:
        """A node, or each of its channels where they have widths of their own."""
        kind, axis = WEIGHTED[node.op_type]
        quant, activation = (self.quant_before(name) for name in (node.input[1], node.input[0]))
        met = self.bits_met(node)
        weight = self.constants[quant.input[0]]
        channels = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
        positions = prod(self.shapes[node.output[0]]) // len(channels)
        common = (positions, channels.shape[1])
        widths = self.widths(quant)
        if widths is None:
            groups = [(slice(None), self.bits(quant))]
        else:
            _require_fit(quant.input[0], channels, widths)
            groups = [(slice(index, index + 1), bits) for index, bits in enumerate(widths)]
            groups = groups if any(widths) else [(slice(None), 0)]  # a pruned layer is one part
        bias = self.bias(node)
        for rows, bits in groups:
            values = channels[rows]
            singles = singled(values, np.broadcast_to(met, channels.shape)[rows], bias if bias is None else bias[rows])
            yield Part(
                node.name, kind, len(values), *common, bits, self.bits(activation), int(np.count_nonzero(values)),
                self.additions.get(node.name, 0), singles,
            )  # fmt: skip

    def bias(self, node: onnx.NodeProto) -> Values | None:
        """What a node with weights adds to its output channels, if anything."""
        name = node.input[2] if len(node.input) > 2 else ""
        readers = [other for other in self.model.graph.node if node.output[0] in other.input]
        if node.op_type == "MatMul" and len(readers) == 1 and readers[0].op_type == "Add":
            name = next((each for each in readers[0].input if each != node.output[0]), "")
        quant = self.producers.get(name)
        return None if quant is None or quant.input[0] not in self.constants else self.constants[quant.input[0]]

    def bits_met(self, node: onnx.NodeProto) -> Values:
        """Bits of the activation that each weight is multiplied with, ``[channels or 1, fan in]``."""
        bits = self.elements(node.input[0])
        if node.op_type == "MatMul":
            return bits.reshape(-1, bits.shape[-1]).max(0)[np.newaxis]
        weight = self.constants[self.quant_before(node.input[1]).input[0]]
        kernel = weight[0, 0].size
        grouped = bits.reshape(-1, weight.shape[1], bits[0].size).max(2)
        return np.repeat(np.repeat(grouped, kernel, axis=1), len(weight) // len(grouped), axis=0)

    def elements(self, tensor: str) -> Values:
        """Bits of every element of a quantized tensor, through nodes that only move data."""
        node = self.producers[tensor]
        if node.op_type in MOVES or tensor in self.indices:
            from onnx.reference import ReferenceEvaluator

            moved: Any = ReferenceEvaluator(node)
            given = {name: self.constants[name] for name in node.input if name in self.constants}
            given[node.input[0]] = self.elements(node.input[0])[np.newaxis].astype(np.float32)
            return moved.run(None, given)[0][0].astype(np.int64)
        quant = self.quant_before(tensor)
        return np.broadcast_to(self.widths_of(quant), self.shapes[tensor])

    def widths_of(self, quant: onnx.NodeProto) -> Values:
        """Bits of a quantizer's elements: the limits after it leave each its own."""
        width, signed = self.constants[quant.input[3]].astype(np.int64), _signed(quant)
        after = self.limits_after(quant)
        if not after:
            return width
        high = next(self.constants[name] for name in after[-1].input if name in self.constants)
        codes = np.rint(high / self.constants[quant.input[1]])
        return np.where(codes > 0, np.frexp(codes)[1] + signed, 0).astype(np.int64)

    def limits_after(self, quant: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Max and Min, or Min alone, after a quantizer whose elements differ."""
        if self.constants[quant.input[1]].ndim == 0:
            return []
        found, tensor = list[onnx.NodeProto](), quant.output[0]
        for kind in LIMITS:
            readers = [node for node in self.model.graph.node if tensor in node.input]
            if len(readers) == 1 and readers[0].op_type == kind:
                found.append(readers[0])
                tensor = readers[0].output[0]
        return found if found and found[-1].op_type == LIMITS[-1] else []

    def widths(self, quant: onnx.NodeProto) -> list[int] | None:
        """Bits of each output channel of a weight; None where the weight has one width."""
        properties = {item.key: item.value for item in self.model.metadata_props}
        text = properties.get(WIDTHS + quant.input[0])
        return None if text is None else [int(bits) for bits in json.loads(text)]

    def quant_before(self, tensor: str) -> onnx.NodeProto:
        """The Quant node that a tensor comes from, through nodes that only move data."""
        node = self.producers.get(tensor)
        while node is not None and (node.op_type in (*MOVES, *LIMITS) or tensor in self.indices):
            tensor = node.input[0]
            node = self.producers.get(tensor)
        if node is None or node.op_type != "Quant":
            raise ContractError(
                f"tensor {tensor!r} of the exported file", "no Quant node before it", "a quantized tensor"
            )
        return node


def singled(values: Values, met: Values, bias: Values | None) -> tuple[Single, ...]:
    """Weights that are not zero and biases, alike ones together.

    Args:
        values: Weights ``[channels, fan in]``.
        met: Bits that each is multiplied with, of the same shape.
        bias: ``[channels]``.
    """
    values = np.where(met > 0, values, 0)  # what meets no bits is free, as where another call of the layer needs it
    rows = np.stack([*_counted(values), np.where(values != 0, met, 0)], 2).reshape(-1, 3)
    if bias is not None:
        rows = np.concatenate([rows, np.stack([*_counted(bias), np.zeros(len(bias), np.int64)], 1)])
    if not rows[:, 0].any():  # nothing at all would say that the weights are not known
        return (Single(0, 0, 0, 0),)
    kinds, numbers = np.unique(rows[rows[:, 0] > 0], axis=0, return_counts=True)
    pairs = zip(kinds.tolist(), numbers.tolist(), strict=True)
    return tuple(Single(bits, digits, met, number) for (bits, digits, met), number in pairs)


def _counted(values: Values) -> tuple[IntArray, IntArray]:
    """Bits from the first that is set to the last of real numbers, and signed digits that are not zero."""
    mantissas, _ = np.frexp(values.astype(np.float64))
    codes = np.ldexp(mantissas, FLOAT32_BITS).astype(np.int64)
    return spans(codes), digits(codes)


def _signed(quant: onnx.NodeProto) -> bool:
    return any(item.name == "signed" and item.i == 1 for item in quant.attribute)


def _require_fit(name: str, channels: Values, widths: list[int]) -> None:
    """Check that the values of each channel are codes of its width, signed, at some binary point.

    Raises:
        ContractError: They need more bits, or there is not one width per channel.
    """
    where = f"weight {name!r} of the exported file"
    if len(channels) != len(widths):
        raise ContractError(where, f"{len(widths)} widths", f"one for each of {len(channels)} channels")
    for index, (values, width) in enumerate(zip(channels, widths, strict=True)):
        needed = _signed_bits(values)
        if needed > width:
            found = f"channel {index} needs {needed} bits"
            raise ContractError(where, found, f"at most {width}, by the property {WIDTHS}{name}")


def _signed_bits(values: Values) -> int:
    """Bits of the narrowest two's complement format that holds float32 values; 0 if all are zero."""
    mantissas, exponents = np.frexp(values[values != 0].astype(np.float64))
    if not mantissas.size:
        return 0
    whole = np.ldexp(mantissas, FLOAT32_BITS).astype(np.int64)  # odd parts are reached by dividing by their lowest bit
    lowest = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    odd, places = whole >> lowest, exponents.astype(np.int64) + lowest
    codes = [int(code) << int(place) for code, place in zip(odd, places - places.min(), strict=True)]
    return max((code if code >= 0 else -code - 1).bit_length() for code in codes) + 1
