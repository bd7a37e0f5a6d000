"""Operations that the hls4ml route does not make."""

from collections.abc import Iterator

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject, refusal
from codesign.errors import InputError


class Firmware(Rule):
    """The first layer that can't go through hls4ml."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """At most one."""
        from codesign.transpile._allowed import require_allowed

        if subject.graph is not None:
            try:
                require_allowed(subject.graph)
            except InputError as error:
                yield refusal(error)
