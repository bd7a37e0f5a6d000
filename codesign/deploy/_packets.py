"""Events as packets of frames on links, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codesign.arrays import FloatArray, IntArray
from codesign.deploy._boards import Board, FormatName, blank, written
from codesign.deploy._links import WORD, Side
from codesign.deploy._wrapper import Wrapper
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.hdl.cycles import bits
from codesign.quantized import Quantized

Words = npt.NDArray[np.uint64]


def words(side: Side, codes: Sequence[IntArray]) -> Words:
    """Codes of every tensor, ``[events, ...]`` each, as the words of packets, ``[events, frames, links]``."""
    given = bits(side.ports, codes)
    shape = (len(given), side.frames, len(side.links))
    laid = np.zeros((len(given), side.frames * len(side.links) * WORD), np.uint8)
    there = side.places >= 0
    laid[:, side.places[there]] = given[:, there]
    return np.packbits(laid, 1, "little").view("<u8").reshape(shape)


def board(side: Side, packets: Words, period: int, first: int, frames: int, name: str) -> Board:
    """Packets one after another on a board's links.

    Args:
        side: The links.
        packets: Words ``[events, frames, links]``.
        period: Frames from one packet's start to the next one's.
        first: The frame in which the first packet starts.
        frames: How many there are, more than the packets need.
        name: The board's.
    """
    rows = blank(frames, len(side.links))
    starts = first + period * np.arange(len(packets))
    for frame in range(side.frames):
        at = starts + frame
        rows["data"][at] = packets[:, frame]
        rows["valid"][at] = True
        rows["start"][at] = frame == 0
        rows["end"][at] = frame == side.frames - 1
    rows["orbit"][first] = True
    return Board(side.links, rows, name)


@dataclass(frozen=True, eq=False)
class Pair:
    """What one file has on the input links, and what has to come out meanwhile."""

    inputs: Board
    outputs: Board


def pattern_files(
    wrapper: Wrapper, quantized: Quantized, inputs: Sequence[FloatArray], frames: int, name: str, where: str
) -> list[Pair]:
    """Events and what has to come of them, file by file.

    Args:
        wrapper: The links.
        quantized: The reference.
        inputs: Events ``[events, ...]``.
        frames: Frames of each file.
        name: The board's.
        where: The pass, for messages.

    Raises:
        InputError: A file holds no event, or no whole clock cycles.
    """
    plan, latency = wrapper.plan, wrapper.latency_frames
    each = (frames - latency) // plan.period
    if each < 1 or frames % plan.frames_per_clock:
        wanted = f"at least {latency + plan.period}, in whole clock cycles of {plan.frames_per_clock}"
        raise InputError(f"{where}, frames_per_file", f"{frames}", wanted)
    codes = quantized.encode(inputs)
    given, made = _packed(wrapper.inputs, codes), _packed(wrapper.outputs, quantized.run(codes))
    return [
        Pair(
            board(wrapper.inputs, given[start : start + each], plan.period, 0, frames, name),
            board(wrapper.outputs, made[start : start + each], plan.period, latency, frames, name),
        )
        for start in range(0, len(given), each)
    ]


def _packed(side: Side, codes: Mapping[str, Codes]) -> Words:
    return words(side, [codes[port.tensor].align(int(port.fixed.fraction)).values for port in side.ports])


def write_files(files: Sequence[Pair], formats: Sequence[FormatName], folder: Path) -> None:
    """Write all files, in a folder for each format."""
    for form in formats:
        (folder / form).mkdir(parents=True)
        for index, pair in enumerate(files):
            for way, each in (("inputs", pair.inputs), ("outputs", pair.outputs)):
                (folder / form / f"{way}_{index}.txt").write_text(written(each, form))
