"""Layers that hardware never sees: batch norm, and a softmax at the end."""

from collections.abc import Iterator

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject


class Folding(Rule):
    """What is folded into a neighbour or taken off on the way to the graph, and what that does to quantizers."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per notice of the import."""
        for notice in subject.notices:
            where, _, text = notice.partition(": ")
            lost = "left out" in text and "quantizer" in text
            action = (
                "its bits are chosen anew; allocate.given.bits names them" if lost else "done; outputs are compared"
            )
            yield Finding("changes" if lost else "note", where, text or notice, "layers that hardware has", action)
