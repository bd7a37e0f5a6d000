"""Tensors without a quantizer in a file that has others."""

from collections.abc import Iterator

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject


class MissingQuantizers(Rule):
    """The network's input, activations, weights and biases that a quantized file leaves as floats."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per tensor."""
        graph = subject.graph
        if graph is None or not subject.quantizers:
            return
        for name in graph.inputs:
            if name not in subject.quantizers:
                action = "the flow given adds one of allocate.given.input_bits; the others choose one"
                yield Finding("changes", name, "an input with no quantizer", "a quantizer as the first node", action)
        for name in (*graph.activations(), *graph.weights()):
            if name not in subject.quantizers and name not in graph.inputs and graph.producer(name) is None:
                action = "the flow given wants its bits: allocate.given.bits; the others choose them"
                yield Finding("changes", name, "floats", "a quantizer", action)
        for node in graph.weighted():
            bias = node.op.parameters().get("bias", "")
            if bias and bias not in subject.quantized:
                action = "rounded to the last bit of its sum, which is as fine as the products"
                yield Finding("changes", bias, "a float bias", "an integer at the sum's binary point", action)
