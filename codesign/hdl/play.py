"""Playing a schedule on a compiled RTL project, and comparing what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign import tools
from codesign.errors import ToolError
from codesign.fixed import Codes
from codesign.hdl.cycles import pack, schedule, unpack
from codesign.hdl.interface import Interface


@dataclass(frozen=True)
class Played:
    """What a simulation gave.

    Args:
        latency: Clock cycles from the first input to the first valid output; None if there never was one.
        interval: Clock cycles between valid outputs, on average, while inputs came in every cycle.
        mismatches: Vectors with any other integer than wanted, without an output, or outputs without a vector, in the
            cycles that the interface promises.
        cycles: Clock cycles played.
    """

    latency: int | None
    interval: float
    mismatches: int
    cycles: int


def play(
    player: Path,
    interface: Interface,
    inputs: Sequence[Codes],
    wanted: Sequence[Codes],
    seed: int,
    log: Path,
    timeout_s: float,
) -> Played:
    """Send the inputs through the pipeline and count the vectors whose integers differ.

    Args:
        player: The compiled project.
        interface: Its ports.
        inputs: ``[batch, ...]`` each.
        wanted: The outputs, in the ports' order.
        seed: For the pauses.
        log: Takes what the program prints.
        timeout_s: Longest time that it may take.

    Raises:
        ToolError: It wrote something else than it should.
    """
    count = len(inputs[0].values)
    codes = [x.align(int(port.fixed.fraction)).values for x, port in zip(inputs, interface.inputs, strict=True)]
    plan, data = schedule(count, interface.stages, seed), pack(interface.inputs, codes)
    cycles = np.zeros((len(plan.valid), 8 + data.shape[1]), np.uint8)
    cycles[:, 0] = plan.valid + 2 * plan.reset
    cycles[:, 8:] = data[plan.vectors]
    folder = player.parent
    cycles.tofile(folder / "cycles.bin")
    tools.run([player.resolve(), "cycles.bin", "out.bin"], folder, log, timeout_s)
    size = 8 + sum(port.record for port in interface.outputs)
    found = np.fromfile(folder / "out.bin", np.uint8)
    if found.size != len(cycles) * size:
        raise ToolError("simulation", f"{found.size} bytes", f"{len(cycles)} cycles of {size} bytes", f"log: {log}")
    found = found.reshape(-1, size)
    valid = found[:, 0] == 1
    first = int(np.flatnonzero(plan.valid & ~plan.reset)[0])
    if not valid[first:].any():
        return Played(None, 0.0, count, len(cycles))
    latency = int(np.argmax(valid[first:]))
    arrivals = plan.arrivals(interface.stages)
    there = np.flatnonzero(arrivals >= 0)
    wrong = ~valid[there]
    for port, want, got in zip(interface.outputs, wanted, unpack(interface.outputs, found[there, 8:]), strict=True):
        right = want.align(int(port.fixed.fraction)).values.reshape(count, -1)[arrivals[there]]
        wrong |= (got != right).any(1)
    stray = int(np.count_nonzero(valid & (arrivals < 0)))
    back_to_back = np.flatnonzero(valid)[:count]
    interval = (back_to_back[-1] - back_to_back[0]) / max(len(back_to_back) - 1, 1)
    return Played(latency, float(interval), len(np.unique(arrivals[there[wrong]])) + stray, len(cycles))
