"""Sums that are wider than numbers are exact in."""

from collections.abc import Iterator
from math import ceil, log2

import numpy as np

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject
from codesign.fixed import MAX_WIDTH

FLOAT32_BITS = 24


class Accumulators(Rule):
    """Layers whose widths are in the file, at the width that their sums need whatever the weights are."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per layer."""
        graph = subject.graph
        if graph is None:
            return
        shapes = graph.shapes()
        for node in graph.weighted():
            weight, source = node.op.parameters()["weight"], graph.origin(node.inputs[0])
            if weight not in subject.quantizers or source not in subject.quantizers:
                continue
            fan_in = node.op.work([shapes[name] for name in node.inputs], shapes[node.output]).fan_in
            widths = (int(np.max(subject.quantizers[name].width)) for name in (weight, source))
            bits = sum(widths) + ceil(log2(fan_in))
            if bits > MAX_WIDTH:
                yield Finding(
                    "stops", node.name, f"sums of up to {bits} bits", f"at most {MAX_WIDTH}", "use fewer bits"
                )
            elif bits > FLOAT32_BITS:
                needed = f"at most {FLOAT32_BITS} for float32"
                yield Finding("note", node.name, f"sums of up to {bits} bits", needed, "checked in float64")
