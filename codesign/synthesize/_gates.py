"""Playing inputs on a mapped netlist, many streams at once, one in each bit: what comes out, and what toggles.

Without delays: each net has one value in a clock cycle, so that glitches are not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codesign.arrays import IntArray
from codesign.errors import ToolError
from codesign.hdl.cycles import pack
from codesign.hdl.interface import Interface, Port
from codesign.synthesize._netlist import Cell, Netlist, Nets, Words

#: Words of 64 streams.
WORDS = 8


@dataclass(frozen=True)
class Activity:
    """What a simulation gave.

    Args:
        toggles: Changes of each net in a clock cycle, on average, ``[nets]``; the clock's own is 2.
        mismatches: Vectors with another output than wanted, or none.
    """

    toggles: npt.NDArray[np.float64]
    mismatches: int


@dataclass(frozen=True)
class _Step:
    """Cells of one kind whose inputs are known at the same time."""

    cell: Cell
    pins: dict[str, Nets]


def simulate(
    netlist: Netlist,
    cells: dict[str, Cell],
    interface: Interface,
    inputs: Sequence[IntArray],
    wanted: Sequence[IntArray],
) -> Activity:
    """Play vectors, one after another, a new one whenever the project takes one.

    Every stream plays a part of the vectors, after those before it that fill the pipeline.

    Args:
        netlist: What is played on.
        cells: The library's.
        interface: The project's ports and stages.
        inputs: Codes of every input port, ``[batch, ...]`` each.
        wanted: Likewise of every output port.

    Raises:
        ToolError: The netlist has cells that can't be simulated, or a loop without a register.
    """
    count, streams = len(inputs[0]), 64 * WORDS
    part, interval = -(-count // streams), interface.initiation_interval
    given, made = _bits(interface.inputs, inputs), _bits(interface.outputs, wanted)
    clock = int(netlist.ports["clk"][0])
    rounds, registers = _rounds(netlist, cells, clock)
    values = np.zeros((netlist.nets, WORDS), np.uint64)
    values[1] = ~values[0]
    settled = values.copy()
    into = np.concatenate([netlist.ports[port.name] for port in interface.inputs])
    out = np.concatenate([netlist.ports[port.name] for port in interface.outputs])
    # Until the outputs are those of a vector, and one more: a toggle is between two of them.
    filling = -(-interface.stages // interval) + 1
    toggles, cycles = np.zeros(netlist.nets), part * interval
    wrong = np.zeros(count, bool)
    for cycle in range(filling * interval + cycles):
        turn, pause = divmod(cycle, interval)
        values[netlist.ports["in_valid"]] = np.uint64(0) if pause else ~values[0]
        values[into] = _streamed(given, np.arange(streams) * part + turn - filling)
        for step in (step for steps in rounds for step in steps):
            _settle(step, values)
        late = cycle - interface.stages
        if late >= 0 and late % interval == 0:
            vectors = (np.arange(streams) * part + late // interval - filling) % count
            differs = values[out] ^ _streamed(made, vectors)
            bad = np.bitwise_or.reduce(differs, 0) | ~values[netlist.ports["out_valid"][0]]
            wrong[vectors[np.unpackbits(bad.view(np.uint8), bitorder="little").astype(bool)]] = True
        if cycle >= filling * interval:
            toggles += np.bitwise_count(settled ^ values).sum(1)
        settled = values.copy()
        for pins, results in [(step.pins, _outcome(step, values)) for step in registers]:
            for pin, result in results.items():
                values[pins[pin]] = result
    toggles /= cycles * streams
    toggles[clock] = 2.0
    return Activity(toggles, int(wrong.sum()))


def _rounds(netlist: Netlist, cells: dict[str, Cell], clock: int) -> tuple[list[list[_Step]], list[_Step]]:
    """The combinational cells by how many cells are before them, and the registers."""
    steps = [_Step(cells[name], dict(pins)) for name, pins in netlist.connections.items()]
    registers = [step for step in steps if step.cell.clock is not None]
    for step in registers:
        if (step.pins[step.cell.clock or ""] != clock).any():
            raise ToolError("simulation of the netlist", f"{step.cell.name} on another net", "registers on clk alone")
    combinational = [step for step in steps if step.cell.clock is None and step.cell.outputs]
    depth = np.zeros(netlist.nets, np.int64)
    for _ in range(netlist.nets):
        before = depth.copy()
        for step in combinational:
            deepest = np.ones(len(step.pins[step.cell.outputs[0]]), np.int64)
            for pin in step.cell.inputs:
                deepest = np.maximum(deepest, depth[step.pins[pin]] + 1)
            for pin in step.cell.outputs:
                depth[step.pins[pin]] = deepest
        if (before == depth).all():
            break
    else:
        raise ToolError("simulation of the netlist", "a loop without a register", "none")
    rounds: list[list[_Step]] = [[] for _ in range(int(depth.max()))]
    for step in combinational:
        levels = depth[step.pins[step.cell.outputs[0]]]
        for level in np.unique(levels):
            chosen = {pin: nets[levels == level] for pin, nets in step.pins.items()}
            rounds[int(level) - 1].append(_Step(step.cell, chosen))
    return rounds, registers


def _outcome(step: _Step, values: Words) -> dict[str, Words]:
    return step.cell.outcome({pin: values[step.pins[pin]] for pin in step.cell.inputs}, values[:1] * np.uint64(0))


def _settle(step: _Step, values: Words) -> None:
    for pin, result in _outcome(step, values).items():
        values[step.pins[pin]] = result


def _bits(ports: Sequence[Port], codes: Sequence[IntArray]) -> npt.NDArray[np.uint8]:
    """The bits of every port, one after another, ``[batch, bits]``."""
    parts = [
        np.unpackbits(pack([port], [values]), 1, port.bits, "little") for port, values in zip(ports, codes, strict=True)
    ]
    return np.concatenate(parts, 1)


def _streamed(bits: npt.NDArray[np.uint8], vectors: IntArray) -> Words:
    """One vector for each stream, as the words of each net, ``[bits, words]``."""
    chosen = np.ascontiguousarray(bits[vectors % len(bits)].T)
    return np.packbits(chosen, 1, "little").view(np.uint64)
