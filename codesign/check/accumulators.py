"""Sums that are wider than numbers are exact in."""

from collections.abc import Iterator
from math import ceil, log2

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject, refusal
from codesign.errors import InputError
from codesign.fixed import FLOAT32_BITS, FLOAT64_BITS, Fixed, quantize
from codesign.graph import Graph, Node
from codesign.interval import Interval


class Accumulators(Rule):
    """Layers whose formats are in the file and taken from it, by the bits that their sums of products need."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per layer."""
        graph, quantizers = subject.graph, subject.quantizers
        if graph is None or not subject.taken:
            return
        for node in graph.weighted():
            weight, source = node.op.parameters()["weight"], graph.origin(node.inputs[0])
            if weight not in quantizers or source not in quantizers:
                continue
            try:
                bits = _sum_bits(graph, node, quantizers[weight].fixed(), quantizers[source].fixed().envelope())
            except InputError as error:
                yield refusal(error)
                continue
            found = f"sums of up to {bits} bits"
            if bits > FLOAT64_BITS:
                yield Finding("stops", node.name, found, f"at most {FLOAT64_BITS}", "use fewer bits")
            elif bits > FLOAT32_BITS:
                yield Finding("note", node.name, found, f"at most {FLOAT32_BITS} for float32", "checked in float64")


def _sum_bits(graph: Graph, node: Node, weight: Fixed, source: Fixed) -> int:
    """Bits of the largest sum of products: at most those of ``Quantized.accumulators``.

    The bias is left out: a build may still move it by half a step of the quantizer behind it, either way.

    Raises:
        InputError: A weight is no number.
    """
    name, given = node.op.parameters()["weight"], Interval.of(source, graph.shapes()[node.inputs[0]])
    codes = quantize(graph.parameters[name], weight, "nearest_even")
    return ceil(log2(max(node.op.magnitude([given], {"weight": codes}), 1)))
