"""The network between links: a Verilog module that takes packets apart, and makes packets of what comes out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.deploy._links import WORD, LinkMap, Side
from codesign.hdl.interface import Interface, Port
from codesign.templates import filled

#: Of the module.
TEMPLATE = Path(__file__).with_name("links.v.j2")


@dataclass(frozen=True, eq=False)
class Wrapper:
    """A project of RTL between links.

    Args:
        interface: The project's.
        inputs, outputs: Where the bits lie.
        plan: The link map.
    """

    interface: Interface
    inputs: Side
    outputs: Side
    plan: LinkMap

    @property
    def name(self) -> str:
        """Of the module."""
        return f"{self.interface.top}_links"

    @property
    def file(self) -> str:
        """Of the Verilog."""
        return f"{self.name}.v"

    @property
    def latency_frames(self) -> int:
        """Frames from the start of an event's packet to the start of its output's."""
        ratio = self.plan.frames_per_clock
        return ((self.inputs.frames - 1) // ratio + self.interface.stages) * ratio

    def write(self, folder: Path) -> Interface:
        """Write the module into the project.

        Args:
            folder: The project's.

        Returns:
            The project with it as the top module, each link a port of as many words as come in a clock cycle.
        """
        ratio = self.plan.frames_per_clock
        values = {
            "name": self.name,
            "top": self.interface.top,
            "ratio": ratio,
            "period": self.plan.period,
            "latency": self.latency_frames,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "in_last": (self.inputs.frames - 1) // ratio,
            "out_last": (self.outputs.frames - 1) // ratio,
            "taken": [
                (port, low, count, link, frame // ratio, frame % ratio * WORD + bit)
                for port, low, count, link, frame, bit in runs(self.inputs)
            ],
            "words": list(self._words()),
        }
        (folder / self.file).write_text(filled(TEMPLATE, values))
        given, made = (
            tuple(Port(f"link_{way}_{link}", "", (ratio,), False, WORD, WORD) for link in side.links)
            for way, side in (("in", self.inputs), ("out", self.outputs))
        )
        own = self.interface
        flags = Port("frames_valid", "", (ratio,), False, 1, 1)
        files = (*own.files, self.file)
        return Interface(self.name, files, own.clock_ns, own.stages, own.initiation_interval, given, (*made, flags))

    def _words(self) -> Iterator[str]:
        """What the bits of the words are: parts of the outputs, zeros between them."""
        ratio = self.plan.frames_per_clock
        last = (self.outputs.frames - 1) // ratio
        parts: dict[tuple[int, int], list[tuple[int, int, str]]] = {}
        for port, low, count, link, frame, bit in runs(self.outputs):
            source = f"made_{port}" if frame < ratio else f"kept_{port}"
            parts.setdefault((frame, link), []).append((bit, count, f"{source}[{low} +: {count}]"))
        for frame in range((last + 1) * ratio):
            for link in self.outputs.links:
                end = 0
                for bit, count, source in [*sorted(parts.get((frame, link), [])), (WORD, 0, "")]:
                    if bit > end:
                        yield f"word_{frame}_{link}[{end} +: {bit - end}] = {bit - end}'d0"
                    if count:
                        yield f"word_{frame}_{link}[{bit} +: {count}] = {source}"
                    end = bit + count


def runs(side: Side) -> Iterator[tuple[str, int, int, int, int, int]]:
    """Bits of a port that lie one after another: port, lowest bit there, how many, link, frame, bit of the word."""
    start = 0
    for port in side.ports:
        places = side.places[start : start + port.bits]
        start += port.bits
        ends = np.flatnonzero((np.diff(places) != 1) | (places[1:] % WORD == 0)) + 1
        for part in np.split(np.arange(port.bits), ends):
            if (place := int(places[part[0]])) >= 0:
                frame, link = divmod(place // WORD, len(side.links))
                yield port.name, int(part[0]), len(part), side.links[link], frame, place % WORD
