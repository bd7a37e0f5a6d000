"""Clock cycles for an RTL project's top module, and what has to come out of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codesign.arrays import IntArray
from codesign.hdl.interface import Port

#: Vectors that are sent again with pauses between them and with resets, and the share of cycles that are pauses.
AGAIN, PAUSES = 256, 0.5
#: Rows that are turned into bits at once.
CHUNK = 1024

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Schedule:
    """What is on the inputs in each cycle.

    Args:
        vectors: Which input vector, ``[cycles]``; there is always one, valid or not.
        valid: ``in_valid``, ``[cycles]``.
        reset: ``reset``, ``[cycles]``.
    """

    vectors: IntArray
    valid: Flags
    reset: Flags

    def arrivals(self, latency: int) -> npt.NDArray[np.int64]:
        """Which vector's output is there in each cycle, ``[cycles]``; -1 for none.

        An input is lost if a reset comes with it or while it is on its way.
        """
        sent = np.flatnonzero(self.valid)
        resets = np.concatenate([[0], np.cumsum(self.reset)])
        there = sent + latency
        kept = there < len(self.valid)
        sent, there = sent[kept], there[kept]
        alive = resets[there] == resets[sent]
        found = np.full(len(self.valid), -1, np.int64)
        found[there[alive]] = self.vectors[sent[alive]]
        return found


def schedule(count: int, latency: int, seed: int) -> Schedule:
    """Every vector back to back; then some with pauses; then some with resets among them.

    Args:
        count: Vectors.
        latency: Cycles to wait before resets and, twice, at the end.
        seed: For the pauses.
    """
    generator, few = np.random.default_rng(seed), min(count, AGAIN)
    flags: list[tuple[IntArray, Flags, Flags]] = []

    def play(vectors: IntArray, valid: Flags | bool, reset: Flags | bool) -> None:
        flags.append((vectors, np.broadcast_to(valid, len(vectors)), np.broadcast_to(reset, len(vectors))))

    play(np.zeros(2, np.int64), True, True)
    play(np.arange(count), True, False)
    slow = generator.random(few * 2) >= PAUSES
    play(np.where(slow, np.cumsum(slow) - 1, few) % count, slow, False)
    play(np.zeros(latency, np.int64), False, False)  # no reset reaches those before
    play(generator.integers(count, size=few), True, generator.random(few) < 1 / (2 * latency))
    play(np.zeros(2 * latency, np.int64), False, False)
    return Schedule(*(np.concatenate(column) for column in zip(*flags, strict=True)))


def pack(ports: Sequence[Port], codes: Sequence[IntArray]) -> Bytes:
    """Codes of every port, ``[batch, ...]`` each, as the bytes of a cycle, ``[batch, bytes]``."""
    records: list[Bytes] = []
    for port, values in zip(ports, codes, strict=True):
        flat, places = values.reshape(len(values), -1, 1), np.arange(port.width)
        parts = [
            np.packbits(((flat[row : row + CHUNK] >> places) & 1).astype(np.uint8).reshape(-1, port.bits), 1, "little")
            for row in range(0, len(flat), CHUNK)
        ]
        record = np.zeros((len(values), port.record), np.uint8)
        record[:, : parts[0].shape[1]] = np.concatenate(parts)
        records.append(record)
    return np.concatenate(records, 1)


def unpack(ports: Sequence[Port], cycles: Bytes) -> list[IntArray]:
    """The other way round: codes ``[batch, elements]`` of every port."""
    found: list[IntArray] = []
    for port in ports:
        record, cycles = cycles[:, : port.record], cycles[:, port.record :]
        bits = np.unpackbits(record, 1, port.bits, "little").reshape(len(record), port.elements, port.width)
        weights = np.int64(1) << np.arange(port.width)
        weights[-1] *= -1 if port.signed else 1
        found.append(bits @ weights)
    return found
