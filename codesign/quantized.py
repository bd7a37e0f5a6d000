"""The integer network: what hardware computes. Everything downstream of fine-tuning is made from it alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log2

import numpy as np

from codesign.arrays import Bits, FloatArray, IntArray
from codesign.errors import ContractError, InputError
from codesign.fixed import FLOAT64_BITS, Codes, Fixed, quantize, requantize
from codesign.graph import Graph, Node
from codesign.interval import Interval


@dataclass(frozen=True)
class Quantized:
    """A graph with a number format per parameter and activation, and the parameters' integer codes.

    Args:
        graph: The network (its float parameters are not used).
        formats: ``Fixed`` by tensor name. An activation that is not listed keeps its exact accumulator value.
        codes: Integer codes by parameter name.
        by_element: Inputs whose quantizer brings each element to a format of its own. Of other inputs with several
            formats, the data are numbers of those already.
    """

    graph: Graph
    formats: dict[str, Fixed]
    codes: dict[str, IntArray]
    by_element: tuple[str, ...] = ()

    def verify(self) -> None:
        """Check that every input and parameter has a format that its codes fit.

        Raises:
            ContractError: A format or code is missing or out of range.
        """
        self.graph.verify()
        parameters = [name for node in self.graph.nodes for name in node.op.parameters().values()]
        if missing := [name for name in [*self.graph.inputs, *parameters] if name not in self.formats]:
            raise ContractError("quantized network", f"no number format for {missing}")
        if dead := [name for name in self.graph.activations() if np.max(self.formats[name].width) == 0]:
            raise ContractError("quantized network", f"activations of no bits: {dead}", "at least 1 bit")
        for name in parameters:
            fixed, codes = self.formats[name], self.codes[name]
            if np.any(codes < fixed.low) or np.any(codes > fixed.high):
                raise ContractError(f"parameter {name!r}", f"codes outside {fixed}")

    def parameters(self, node: Node) -> dict[str, Codes]:
        """The codes of a node's parameters, by role."""
        roles = node.op.parameters()
        return {role: Codes(self.codes[name], _fraction(self.formats[name])) for role, name in roles.items()}

    def encode(self, inputs: Sequence[FloatArray]) -> dict[str, Codes]:
        """Quantize real inputs ``[batch, ...]``, in graph order, as the first node of every exported graph does."""
        names = list(self.graph.inputs)
        return {name: quantize(x, self.formats[name], "floor") for name, x in zip(names, inputs, strict=True)}

    def run(self, inputs: Mapping[str, Codes]) -> dict[str, Codes]:
        """Exact integer forward: codes of every tensor.

        Args:
            inputs: Codes of the graph inputs, ``[batch, ...]``, as ``encode`` makes them.
        """

        def step(node: Node, values: list[Codes]) -> Codes:
            result = node.op.integer(values, self.parameters(node))
            return requantize(result, self.formats[node.output]) if node.output in self.formats else result

        return self.graph.run(inputs, step)

    def outputs(self, inputs: Sequence[FloatArray]) -> list[Codes]:
        """Codes of the graph outputs for real inputs ``[batch, ...]``."""
        values = self.run(self.encode(inputs))
        return [values[name].align() for name in self.graph.outputs]

    def accumulators(self) -> dict[str, Interval]:
        """The range of every node's result before its activation quantizer, by tensor name.

        Raises:
            InputError: A sum could leave the 53 bits in which every representation is exact.
        """
        return self._ranges()[0]

    def ranges(self) -> dict[str, Interval]:
        """The range of every tensor as it is read, after its activation quantizer, by name."""
        return self._ranges()[2]

    def mantissa_bits(self) -> int:
        """Bits that a float type needs so that evaluating the network in it is exact."""
        return self._ranges()[1]

    def _ranges(self) -> tuple[dict[str, Interval], int, dict[str, Interval]]:
        raw: dict[str, Interval] = {}
        bits = 0

        def step(node: Node, ranges: list[Interval]) -> Interval:
            nonlocal bits
            parameters = self.parameters(node)
            needed = ceil(log2(max(node.op.magnitude(ranges, parameters), 1)))
            if needed > FLOAT64_BITS:
                found = f"a sum of {needed} bits"
                raise InputError(
                    f"layer {node.name!r}",
                    found,
                    f"at most {FLOAT64_BITS}",
                    "use fewer bits, or scale it",
                )
            bits = max(bits, needed)
            raw[node.output] = node.op.interval(ranges, parameters)
            fixed = self.formats.get(node.output)
            return raw[node.output] if fixed is None else raw[node.output].requantize(fixed)

        inputs = {name: Interval.of(self.formats[name], shape) for name, shape in self.graph.inputs.items()}
        found = self.graph.run(inputs, step)
        return raw, bits, found


def _fraction(fixed: Fixed) -> Bits:
    """Fraction bits of a parameter's codes; zeros of no bits go with the finest, so that they make nothing finer."""
    used = np.asarray(fixed.width) > 0
    return fixed.fraction if used.all() else np.where(used, fixed.fraction, fixed.envelope().fraction)
