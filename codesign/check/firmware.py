"""Operations that the hls4ml route does not make."""

from collections.abc import Iterator
from dataclasses import replace

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject, refusal


class Firmware(Rule):
    """Every layer that can't go through hls4ml with the backend and interface that the build file asks for.

    An ONNX file by itself asks for none: hls4ml's defaults are assumed, the finding says so, and stops nothing.
    """

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per layer."""
        from codesign.transpile.firmware.allowed import refusals

        asked = subject.firmware
        if asked is None or subject.graph is None:
            return
        assumed = f"{asked.backend} and {asked.io_type} are assumed: give a build file that has others"
        for error in refusals(subject.graph, asked.backend, asked.io_type):
            found = refusal(error)
            if subject.file is not None:
                found = replace(found, effect="note", action=f"{found.action}; {assumed}")
            yield found
