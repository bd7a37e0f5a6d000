"""Operations that the hls4ml route does not make."""

from collections.abc import Iterator

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject, refusal


class Firmware(Rule):
    """Every layer that can't go through hls4ml's Vitis backend with io_parallel, the defaults of the flow hls4ml."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per layer."""
        from codesign.transpile._allowed import refusals

        if subject.graph is not None:
            yield from map(refusal, refusals(subject.graph, "Vitis", "io_parallel"))
