"""The network in the hardware's arithmetic, in torch: what fine-tuning trains and what verification evaluates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import FLOAT32_BITS, FLOAT64_BITS, Fixed, quantize, smallest_format
from codesign.given import Quantizer
from codesign.graph import Graph, Node
from codesign.quantized import Quantized
from codesign.straight_through import Grid, round_weights, truncate
from codesign.torch_forward import role_tensors


@dataclass(frozen=True)
class BiasRule:
    """How a bias is quantized: rounded to ``fraction`` bits after ``offset`` is added.

    The fraction is the accumulator's. The offset is half an LSB of the activation quantizer that follows, which makes
    its truncation round half up at no cost in hardware; the fraction is one bit finer where half an LSB needs it.
    """

    fraction: int
    offset: float


@dataclass(frozen=True)
class QuantizedNetwork:
    """A graph evaluated in torch with quantized weights, biases and activations.

    Args:
        graph: The network.
        formats: ``Fixed`` of weights and activations by tensor name; of a bias where it is given, and then nothing is
            added to it.
    """

    graph: Graph
    formats: Mapping[str, Fixed]

    @cached_property
    def bias_rules(self) -> dict[str, BiasRule]:
        """The rule of every bias, by parameter name."""
        rules: dict[str, BiasRule] = {}
        for bias, nodes in self.biased.items():
            fractions = [half for node in nodes if (half := self._half(node)) is not None]
            for node in nodes:
                source = self.formats[self.graph.origin(node.inputs[0])].envelope()
                fractions.append(
                    int(source.fraction + self.formats[node.op.parameters()["weight"]].envelope().fraction)
                )
            rules[bias] = BiasRule(max(fractions), self.offsets[bias])
        return rules

    @cached_property
    def biased(self) -> dict[str, list[Node]]:
        """The nodes that add each bias without a format, by its name; several of a layer that is called repeatedly."""
        found: dict[str, list[Node]] = {}
        for node in self.graph.weighted():
            if (bias := node.op.parameters().get("bias")) is not None and bias not in self.formats:
                found.setdefault(bias, []).append(node)
        return found

    @cached_property
    def offsets(self) -> dict[str, float]:
        """What is added to each bias: half an LSB of the quantizer that it reaches; nothing if none, or several."""
        halves = {bias: {self._half(node) for node in nodes} for bias, nodes in self.biased.items()}
        single = {bias: next(iter(found)) if len(found) == 1 else None for bias, found in halves.items()}
        return {bias: 0.0 if half is None else 2.0**-half for bias, half in single.items()}

    def _half(self, node: Node) -> int | None:
        """Fraction bits of half an LSB of the quantizer that a node's bias reaches."""
        rounded = self.carried.get(node.name)
        return None if rounded is None else int(self.formats[rounded].envelope().fraction) + 1

    @cached_property
    def carried(self) -> dict[str, str]:
        """The quantized tensor that a node's bias reaches, by the node's name."""
        quantized = [node.output for node in self.graph.nodes if node.output in self.formats]
        carriers = {name: self._carrier(name) for name in quantized}
        return {node.name: name for name, node in carriers.items() if node is not None}

    def _carrier(self, tensor: str) -> Node | None:
        """The node whose bias alone reaches a quantizer's tensor, through operations that keep an offset.

        Of a sum it is the first: half an LSB from each branch would be one.
        """
        node = self.graph.producer(tensor)
        if node is None or "bias" in node.op.parameters():
            return node
        if not node.op.keeps_offset:
            return None
        alone = [name for name in node.inputs if self._read_once(name)]
        return next((found for name in alone if (found := self._carrier(name))), None)

    def _read_once(self, tensor: str) -> bool:
        """Whether a tensor, unquantized, goes to one place only."""
        reads = [name for node in self.graph.nodes for name in node.inputs if name == tensor]
        return len(reads) == 1 and tensor not in self.formats and tensor not in self.graph.outputs

    @cached_property
    def _grids(self) -> dict[str, Grid]:
        """Scales and limits of every quantizer, worked out once."""
        wide = {name: wide_format(rule.fraction) for name, rule in self.bias_rules.items()}
        return {name: Grid.of(fixed) for name, fixed in {**self.formats, **wide}.items()}

    def quantized_parameters(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every parameter on its grid, float32. Straight-through where gradients are tracked."""
        rules = self.bias_rules
        shifted = {name: value + rules[name].offset if name in rules else value for name, value in parameters.items()}
        return {name: round_weights(value, self._grids[name]) for name, value in shifted.items()}

    def quantized_inputs(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The inputs after the first quantizer."""
        return [truncate(x, self._grids[name]) for name, x in zip(self.graph.inputs, inputs, strict=True)]

    def forward(self, parameters: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs for quantized parameters and quantized inputs ``[batch, ...]`` of one float type."""
        values = self.tensors(parameters, inputs)
        return [values[name] for name in self.graph.outputs]

    def tensors(self, parameters: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """As ``forward``, every tensor by name, after its quantizer if it has one."""

        def step(node: Node, values: list[Tensor]) -> Tensor:
            result = node.op.forward(values, role_tensors(node, parameters))
            return truncate(result, self._grids[node.output]) if node.output in self.formats else result

        return self.graph.run(dict(zip(self.graph.inputs, inputs, strict=True)), step)

    def freeze(self, parameters: Mapping[str, FloatArray]) -> Quantized:
        """The integer network of trained float parameters.

        Raises:
            InputError: A bias is too large for the fraction that its layer needs.
        """
        rules = self.bias_rules
        formats: dict[str, Fixed] = dict(self.formats)
        codes: dict[str, IntArray] = {}
        for name, value in parameters.items():
            if name in rules:
                # float32, as in training, so that both round the same number
                shifted = np.asarray(value, np.float32) + np.float32(rules[name].offset)
                if float(np.abs(shifted).max()) * 2.0 ** rules[name].fraction >= 2.0 ** (FLOAT64_BITS - 2):
                    found = f"largest value {np.abs(shifted).max():.3g} at {rules[name].fraction} fraction bits"
                    raise InputError(f"bias {name!r}", found, f"at most {FLOAT64_BITS - 2} bits", "scale the layer")
                codes[name] = quantize(shifted, wide_format(rules[name].fraction), "nearest_even").values
                lowest = min(int(codes[name].min()), -1)  # a bias is signed
                formats[name] = smallest_format(lowest, int(codes[name].max()), rules[name].fraction)
            else:
                codes[name] = quantize(value, formats[name], "nearest_even").values
        return Quantized(self.graph, formats, codes)


def wide_format(fraction: int) -> Fixed:
    """A signed format with that many fraction bits, so wide that its range is never a limit."""
    return Fixed(True, FLOAT64_BITS, FLOAT64_BITS - fraction)


def exact_type(quantized: Quantized) -> torch.dtype:
    """The float type in which evaluating the network is exact: every partial sum fits its mantissa."""
    return torch.float32 if quantized.mantissa_bits() <= FLOAT32_BITS else torch.float64


@torch.no_grad()
def exact_outputs(
    network: QuantizedNetwork, parameters: Mapping[str, Tensor], inputs: Sequence[Tensor], dtype: torch.dtype
) -> list[Tensor]:
    """Real-valued outputs of the network in eval mode, from the trained float parameters.

    Args:
        network: The network with its formats.
        parameters: Trained float32 parameters.
        inputs: Real inputs ``[batch, ...]`` float32.
        dtype: Type to evaluate in, as ``exact_type`` gives it.
    """
    grid = network.quantized_parameters(parameters)
    wide = {name: value.to(dtype) for name, value in grid.items()}
    return network.forward(wide, network.quantized_inputs([x.to(dtype) for x in inputs]))


def file_offsets(network: QuantizedNetwork, quantizers: Mapping[str, Quantizer]) -> dict[str, float]:
    """What a file that rounds down has in its biases to round to nearest, by their names.

    Args:
        network: The graph, with the formats of its activations.
        quantizers: The file's own, by tensor.
    """
    floors = {name for name, quantizer in quantizers.items() if quantizer.rounding == "FLOOR"}
    reached = {bias: {network.carried.get(node.name) for node in nodes} for bias, nodes in network.biased.items()}
    return {bias: half for bias, half in network.offsets.items() if half and reached[bias] <= floors}
