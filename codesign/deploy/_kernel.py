"""A program cut into functions of bounded length: what one gives to a later one lies in slots of a work area."""

from collections.abc import Iterator
from dataclasses import dataclass

from codesign.deploy._program import Program
from codesign.deploy._vectors import NARROW, WIDE, cast

#: Steps of a function: few enough that its machine code stays in the cache of decoded instructions.
LENGTH = 256


@dataclass(frozen=True)
class Kernel:
    """C++ of a program.

    Args:
        parts: Lines of each function's body.
        narrow, wide: Slots of 32 and of 64 bits.
    """

    parts: tuple[tuple[str, ...], ...]
    narrow: int
    wide: int


def kernel(found: Program, length: int) -> Kernel:
    """Cut a program.

    Args:
        found: The program.
        length: Most steps of a function.
    """
    last = [index // length for index in range(len(found.steps))]  # the part that reads a value last
    for index, step in enumerate(found.steps):
        for read in step.reads:
            last[read] = index // length
    slots = _slots(found, last, length)
    outputs = dict[int, list[str]]()
    for place, output in enumerate(found.outputs):
        code = cast(output.code, output.bits, found.output_bits)
        outputs.setdefault(-1 if output.reads is None else output.reads, []).append(f"w->out[{place}] = {code};")
    parts = [_part(found, slots, outputs, start, length) for start in range(0, len(found.steps), length)]
    if -1 in outputs:
        parts[-1] += outputs[-1]
    counts = [max((slot for bits, slot in slots.values() if bits == each), default=-1) + 1 for each in (NARROW, WIDE)]
    return Kernel(tuple(map(tuple, parts)), *counts)


def _slots(found: Program, last: list[int], length: int) -> dict[int, tuple[int, int]]:
    """Bits and slot of each value that a later part reads; a slot is free again after the part that reads it last."""
    free: dict[int, list[int]] = {NARROW: [], WIDE: []}
    made, ending = {NARROW: 0, WIDE: 0}, dict[int, list[tuple[int, int]]]()
    slots: dict[int, tuple[int, int]] = {}
    for index, step in enumerate(found.steps):
        part, bits = index // length, step.value.bits
        if index % length == 0:
            for size, slot in ending.pop(part - 1, []):
                free[size].append(slot)
        if last[index] == part:
            continue
        if not free[bits]:
            free[bits].append(made[bits])
            made[bits] += 1
        slots[index] = bits, free[bits].pop()
        ending.setdefault(last[index], []).append(slots[index])
    return slots


def _part(
    found: Program, slots: dict[int, tuple[int, int]], outputs: dict[int, list[str]], start: int, length: int
) -> list[str]:
    return list(_lines(found, slots, outputs, range(start, min(start + length, len(found.steps)))))


def _lines(
    found: Program, slots: dict[int, tuple[int, int]], outputs: dict[int, list[str]], own: range
) -> Iterator[str]:
    here = set(own)
    for index in own:
        step = found.steps[index]
        for read in step.reads:
            if read not in here:
                here.add(read)
                yield f"const {_type(slots[read][0])} v{read} = {_slot(*slots[read])};"
        yield f"const {_type(step.value.bits)} v{index} = {step.code};"
        if index in slots:
            yield f"{_slot(*slots[index])} = v{index};"
        yield from outputs.get(index, ())


def _type(bits: int) -> str:
    return "N" if bits == NARROW else "W"


def _slot(bits: int, slot: int) -> str:
    return f"w->{'narrow' if bits == NARROW else 'wide'}_values[{slot}]"
