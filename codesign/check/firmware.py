"""Operations that the hls4ml route does not make."""

from collections.abc import Iterator
from dataclasses import replace

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject, refusal
from codesign.transpile._firmware import Firmware as Asked


class Firmware(Rule):
    """Every layer that can't go through hls4ml with the backend and interface that the build file asks for.

    Where none does, with those of the flow hls4ml, and the finding says so.
    """

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per layer."""
        from codesign.transpile._allowed import refusals

        asked = subject.firmware or Asked()
        for error in refusals(subject.graph, asked.backend, asked.io_type) if subject.graph is not None else ():
            found = refusal(error)
            if subject.firmware is None:
                what = f"{asked.backend} and {asked.io_type} are assumed: give a build file that has others"
                found = replace(found, action=f"{found.action}; {what}")
            yield found
