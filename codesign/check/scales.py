"""Scales that are no power of two, or differ between channels."""

from collections.abc import Iterator

import numpy as np

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject

TO_TAKE = (
    "the flow given takes the nearest power of two and says what that changes; the other flows choose formats anew"
)


class Scales(Rule):
    """Quantizers whose steps fixed point does not have."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per tensor and reason."""
        for name, quantizer in subject.quantizers.items():
            scale, nearest = quantizer.moved()
            channels = int(np.size(quantizer.scale))
            several = f"{channels} scales, such as" if channels > 1 else "scale"
            if scale != nearest:
                yield Finding(
                    "changes", name, f"{several} {scale:.6g}", f"a power of two, such as {nearest:.6g}", TO_TAKE
                )
            if channels > 1:
                yield self._by_channel(subject, name, channels)

    def _by_channel(self, subject: Subject, name: str, channels: int) -> Finding:
        if subject.graph is not None and name in subject.graph.parameters:
            action = "each channel keeps its binary point in the integers; hls4ml gets one type that holds them all"
            return Finding(
                "note", name, f"{channels} scales, one per channel", "one scale per tensor in hls4ml", action
            )
        action = "the flow given takes one format, as fine and as wide as any channel needs"
        return Finding("changes", name, f"{channels} scales", "one for an activation", action)
