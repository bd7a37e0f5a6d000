"""The network as a core with AXI4-Stream on both sides, and a test bench that stalls both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign import tools
from codesign.arrays import IntArray
from codesign.errors import ToolError
from codesign.hdl.cycles import Bytes, bits
from codesign.hdl.interface import Interface, Port
from codesign.templates import filled

FILES = Path(__file__).with_name("ip_files")
#: One of so many events of a test has a beat too few or too many beside it, where beats are counted.
BAD = 16


@dataclass(frozen=True)
class Stream:
    """One side of the core.

    Args:
        ports: Tensors, one after another in an event.
        beat_bits: Bits of a beat, whole bytes; 0 for as many as an event takes.
    """

    ports: tuple[Port, ...]
    beat_bits: int

    @property
    def size(self) -> int:
        """Bits of an event."""
        return sum(port.bits for port in self.ports)

    @property
    def width(self) -> int:
        """Bits of ``tdata``."""
        return self.beat_bits or -(-self.size // 8) * 8

    @property
    def beats(self) -> int:
        """Beats of an event."""
        return -(-self.size // self.width)

    @property
    def spare(self) -> int:
        """Bits of the last beat that hold nothing."""
        return self.width * self.beats - self.size

    @property
    def placed(self) -> list[tuple[Port, int]]:
        """Each port, and where its lowest bit lies."""
        lows = np.cumsum([0, *(port.bits for port in self.ports)]).tolist()
        return list(zip(self.ports, lows, strict=False))

    @property
    def record(self) -> int:
        """Bytes of a beat's data for the test bench: whole 64 bits."""
        return -(-self.width // 64) * 8

    def packed(self, codes: Sequence[IntArray]) -> Bytes:
        """Codes ``[events, ...]`` of every tensor as beats of the test bench, ``[events, beats, 8 + record]``."""
        given = bits(self.ports, codes)
        padded = np.pad(given, ((0, 0), (0, self.spare)))
        data = np.packbits(padded, 1, "little").reshape(len(given), self.beats, -1)
        beats = np.zeros((len(given), self.beats, 8 + self.record), np.uint8)
        beats[:, -1, 0] = 1
        beats[:, :, 8 : 8 + data.shape[2]] = data
        return beats


@dataclass(frozen=True)
class StreamCore:
    """An RTL project behind streams.

    Args:
        interface: The project's.
        inputs, outputs: The streams.
    """

    interface: Interface
    inputs: Stream
    outputs: Stream

    @classmethod
    def of(cls, interface: Interface, beat_bits: int) -> "StreamCore":
        """A core with beats of so many bits on both sides; 0 for an event in each."""
        return cls(interface, Stream(interface.inputs, beat_bits), Stream(interface.outputs, beat_bits))

    @property
    def name(self) -> str:
        """Of the module."""
        return f"{self.interface.top}_axis"

    @property
    def file(self) -> str:
        """Of the Verilog."""
        return f"{self.name}.v"

    @property
    def address(self) -> int:
        """Bits of the queue's addresses: room for what is on its way, and two cycles of a word that there is room."""
        return (self.interface.stages + 1).bit_length()

    def values(self) -> Mapping[str, Any]:
        """What the templates are filled with."""
        return {
            "name": self.name,
            "top": self.interface.top,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "framed": self.inputs.beat_bits > 0,
            "depth": 2**self.address,
            "address": self.address,
        }

    def verilog(self) -> str:
        """The module."""
        return filled(FILES / "axi4_stream.v.j2", self.values())

    def bench(self) -> str:
        """The test bench, in C++ around Verilator's ``Top``."""
        return filled(FILES / "bench.cpp.j2", self.values())

    def offered(self, events: Bytes, seed: int) -> Bytes:
        """Beats ``[beats, bytes]`` of events, with some among them that are cut short or too long, to be dropped."""
        parts, generator = list[Bytes](), np.random.default_rng(seed)
        for event in events:
            parts.append(event)
            if self.inputs.beat_bits and generator.integers(BAD) == 0:
                lengths = [n for n in range(1, 3 * len(event) + 1) if n != len(event)]
                bad = np.concatenate([event] * 3)[: generator.choice(lengths)]
                bad[:, 0] = 0
                bad[-1, 0] = 1
                parts.append(bad)
        return np.concatenate(parts)


@dataclass(frozen=True)
class Streamed:
    """What a test bench found.

    Args:
        mismatches: Events that are not as wanted, are missing or too many; 1 if the core alone stopped taking beats.
        breaches: Times that an offered beat changed before it was taken.
        cycles: Clock cycles played.
    """

    mismatches: int
    breaches: int
    cycles: int


def stream(
    player: Path,
    core: StreamCore,
    inputs: Sequence[IntArray],
    wanted: Sequence[IntArray],
    seed: int,
    log: Path,
    timeout_s: float,
) -> Streamed:
    """Send events through the core, with random stalls on both sides.

    Args:
        player: The compiled test bench.
        core: What it is of.
        inputs: Codes ``[events, ...]`` of every input.
        wanted: Codes of every output, likewise.
        seed: For the stalls; 0 for none.
        log: Takes what the program prints.
        timeout_s: Longest time that it may take.

    Raises:
        ToolError: It wrote something else than it should.
    """
    folder = player.parent
    core.offered(core.inputs.packed(inputs), seed).tofile(folder / "in.bin")
    right = core.outputs.packed(wanted)
    if not core.inputs.beat_bits:
        right[:, :, 0] = 1
    beats = right.reshape(-1, right.shape[2])
    tools.run([player.resolve(), "in.bin", "out.bin", str(len(beats)), str(seed)], folder, log, timeout_s)
    found = np.fromfile(folder / "out.bin", np.uint8)
    if found.size < 24 or (found.size - 24) % beats.shape[1]:
        raise ToolError("simulation", f"{found.size} bytes", f"24, and beats of {beats.shape[1]}", f"log: {log}")
    breaches, cycles, left = found[:24].view("<u8").tolist()
    came = found[24:].reshape(-1, beats.shape[1])
    common = min(len(came), len(beats))
    wrong = np.ones(max(len(came), len(beats)), bool)
    wrong[:common] = (came[:common] != beats[:common]).any(1)
    events = np.unique(np.flatnonzero(wrong) // core.outputs.beats)
    return Streamed(max(len(events), left), breaches, cycles)
