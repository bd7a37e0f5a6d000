"""Layers that are too large to be unrolled."""

from collections.abc import Iterator

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject

#: Elements of an array that Vitis HLS partitions completely; hls4ml's documentation names it for the latency strategy.
MOST_UNROLLED = 4096


class Unrolling(Rule):
    """Layers over hls4ml's limit for fully unrolled products."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per layer."""
        for node in subject.graph.weighted() if subject.graph is not None else ():
            weights = subject.graph.parameters[node.op.parameters()["weight"]].size if subject.graph else 0
            if weights > MOST_UNROLLED:
                found, needed = f"{weights:,} weights", f"at most {MOST_UNROLLED:,} for the latency strategy"
                action = "the C++ simulates; synthesis may refuse to unroll it: split the layer, or prune it"
                yield Finding("note", node.name, found, needed, action)
