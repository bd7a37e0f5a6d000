"""Frames of pattern files, played on the simulated Verilog between links."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from codesign import tools
from codesign.deploy._boards import Board, FormatName, blank, read
from codesign.deploy._packets import Pair
from codesign.deploy._wrapper import Wrapper
from codesign.design import Check
from codesign.errors import ToolError
from codesign.hdl.cycles import Bytes
from codesign.hdl.ghdl import as_verilog, why_not_simulated
from codesign.hdl.verilator import compile_player, find_verilator

#: Cycles of reset before each file.
RESET = 4


def replay(player: Path, wrapper: Wrapper, boards: Sequence[Board], log: Path, timeout_s: float) -> list[Board]:
    """Play one file after another, each from a reset on.

    A packet starts where a frame is valid and its number is a multiple of the period, as not all formats say it.

    Args:
        player: The compiled Verilog, as ``verify`` has it.
        wrapper: What it is of.
        boards: The input links.
        log: Takes what the program prints.
        timeout_s: Longest time that it may take.

    Returns:
        What was on the output links meanwhile: words, and whether they are valid and start or end a packet.

    Raises:
        ToolError: It wrote something else than it should.
    """
    given = np.concatenate([_cycles(wrapper, board) for board in boards])
    given.tofile(player.parent / "cycles.bin")
    tools.run([player.resolve(), "cycles.bin", "out.bin"], player.parent, log, timeout_s)
    found = np.fromfile(player.parent / "out.bin", np.uint8)
    size = 8 + len(wrapper.outputs.links) * wrapper.plan.frames_per_clock * 8 + 8
    if found.size != len(given) * size:
        raise ToolError("simulation", f"{found.size} bytes", f"{len(given)} cycles of {size} bytes", f"log: {log}")
    found, made = found.reshape(-1, size), list[Board]()
    for board in boards:
        count = RESET + len(board.rows) // wrapper.plan.frames_per_clock
        made.append(_board(wrapper, found[RESET:count], board.name))
        found = found[count:]
    return made


def _cycles(wrapper: Wrapper, board: Board) -> Bytes:
    """Cycles as the player takes them: what starts, and the words of each link."""
    ratio, links = wrapper.plan.frames_per_clock, len(board.links)
    count = len(board.rows) // ratio
    cycles = np.zeros((RESET + count, 8 + links * ratio * 8), np.uint8)
    cycles[:RESET, 0] = 2
    starts = np.arange(count) * ratio
    cycles[RESET:, 0] = board.rows["valid"][starts].any(1) & (starts % wrapper.plan.period == 0)
    words = board.rows["data"].reshape(count, ratio, links).transpose(0, 2, 1)
    cycles[RESET:, 8:] = np.ascontiguousarray(words).view(np.uint8).reshape(count, -1)
    return cycles


def _board(wrapper: Wrapper, cycles: Bytes, name: str) -> Board:
    ratio, links = wrapper.plan.frames_per_clock, wrapper.outputs.links
    rows = blank(len(cycles) * ratio, len(links))
    words = np.ascontiguousarray(cycles[:, 8:-8]).view("<u8").reshape(len(cycles), len(links), ratio)
    rows["data"] = words.transpose(0, 2, 1).reshape(-1, len(links))
    flags = np.unpackbits(cycles[:, -8:], 1, ratio, "little").reshape(-1, 1)
    rows["valid"] = flags
    starts = np.flatnonzero(cycles[:, 0] & 1) * ratio
    rows["start"][starts] = True
    ends = starts + wrapper.outputs.frames - 1
    rows["end"][ends[ends < len(rows)]] = True
    rows["orbit"][starts[:1]] = True
    return Board(links, rows, name)


def replayed(
    wrapper: Wrapper,
    files: Sequence[Pair],
    formats: Sequence[FormatName],
    folder: Path,
    project: Path,
    compiler: str,
    log: Path,
    timeout_s: float,
) -> Check:
    """Read the files back, play their inputs on the Verilog, and hold what comes against the outputs' files.

    Args:
        wrapper: The links.
        files: What was meant to be written.
        formats: In which formats.
        folder: Where the files are.
        project: The RTL project.
        compiler: C++ compiler for the simulation.
        log: Takes what the tools print.
        timeout_s: Longest time of one call.

    Returns:
        Events with any frame that is not as it was meant, or does not come; packets without an event count too.
    """
    if why := why_not_simulated(wrapper.interface):
        return Check("numpy", "patterns", 0, 0, "not_checked", why)
    verilator = find_verilator()
    found = replace(wrapper, interface=as_verilog(wrapper.interface, project, log, timeout_s))
    player = compile_player(verilator, found.write(project), project, compiler, log, timeout_s)
    wrong, latency = set[tuple[int, int]](), wrapper.latency_frames
    for form in formats:
        given, wanted = (
            [_read(folder / form / f"{way}_{index}.txt", form) for index in range(len(files))]
            for way in ("inputs", "outputs")
        )
        made = replay(player, found, given, log, timeout_s)
        for index, pair in enumerate(files):
            before = differing(given[index], pair.inputs.kept(form))
            after = differing(wanted[index], pair.outputs.kept(form)) | differing(made[index].kept(form), wanted[index])
            wrong |= {(index, frame // wrapper.plan.period) for frame in before}
            wrong |= {(index, (frame - latency) // wrapper.plan.period) for frame in after}
    events = sum(int(np.count_nonzero(pair.inputs.rows["start"].any(1))) for pair in files)
    told = f"{', '.join(formats)}: {len(files)} file{'s' * (len(files) > 1)} each way, read back and played"
    detail = f"{told}; Verilator {verilator.version}, {latency} frames of latency"
    return Check("numpy", "patterns", events, len(wrong), "differs" if wrong else "exact", detail)


def differing(one: Board, other: Board) -> set[int]:
    """Frames that are not the same on all links of two boards of as many frames."""
    if one.links != other.links:
        return set(range(len(one.rows)))
    return set(np.flatnonzero((one.rows != other.rows).any(1)).tolist())


def _read(path: Path, form: FormatName) -> Board:
    return read(path.read_text(), form, path.name)
