"""Alkaid's operations as C++ expressions; opcodes as ``alkaid.types.CombLogic`` runs them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, log2
from typing import Any

import numpy as np

from codesign.deploy._vectors import NARROW, WIDE, Value, cast, fits, literal, moved, zero
from codesign.errors import InputError
from codesign.hdl.circuit import Logic

#: What a table of codes is called.
Table = Callable[[tuple[int, ...]], str]


def value_of(interval: Any) -> Value:
    """What is known of a code of alkaid's, from its interval of numbers."""
    fraction = -round(log2(interval.step)) if interval.step > 0 else 0
    low, high = (floor(end * 2.0**fraction) for end in (interval.min, interval.max))
    if not fits(low, high, WIDE):
        raise InputError("deploy.emulator", f"a number from {low} to {high}", f"at most {WIDE} bits", "use fewer bits")
    return Value(low, high, fraction)


@dataclass(frozen=True)
class Operation:
    """One operation.

    Args:
        logic: The program that it is in.
        op: alkaid's record of it.
        values: What is known of the steps before.
        input_bits: Of the type of inputs.
        table: Names a lookup table.
    """

    logic: Logic
    op: Any
    values: Sequence[Value]
    input_bits: int
    table: Table

    @property
    def value(self) -> Value:
        """What is known of its result."""
        return value_of(self.op.qint)

    def code(self) -> str:
        """The expression, in which ``vN`` is the result of step N."""
        data = self.op.data
        match self.op.opcode:
            case -2:
                return self.combined(["-{}"], [0])
            case -1:
                shift = self.value.fraction + int(self.logic.inp_shifts[data[0]])
                return moved(f"w->in[{data[0]}]", self.input_bits, shift, self.value.bits)
            case 0:
                return self.combined(["{}", " + {}"], [0, data[0]])
            case 1:
                return self.combined(["{}", " - {}"], [0, data[0]])
            case 11:
                signs = ["+" if plus else "-" for plus in data[0::2]]
                return self.combined([f" {sign} {{}}" for sign in signs], data[1::2], start="{zero}")
            case 2:
                return self.wrapped(*self.floored(0, 0, positive=True))
            case 3:
                return self.wrapped(*self.floored(0, data[0]))
            case 4:
                return self.combined(["{}"], [0], plus=(data[0], data[1]))
            case 5:
                return f"{zero(self.value.bits)} + {literal(data[0], self.value.bits)}"
            case 6:
                return self.chosen()
            case 7:
                return self.product()
            case 8:
                return self.looked_up()
            case 9:
                return self.inverted() if data[0] == 0 else self.tested(all_bits=data[0] == 2)
            case 10:
                return self.combined(["{}", f" {'&|^'[data[1]]} {{}}"], [0, data[0]])
            case other:
                raise InputError("deploy.emulator", f"alkaid's operation {other}", "those of alkaid 0.8.2")

    def read(self, place: int) -> Value:
        """What is known of an operand."""
        return self.values[self.op.addr[place]]

    def name(self, place: int) -> str:
        """An operand's expression."""
        return f"v{self.op.addr[place]}"

    def combined(
        self, parts: Sequence[str], shifts: Sequence[int], plus: tuple[int, int] = (0, 0), start: str = ""
    ) -> str:
        """Operands times powers of two, and a number, put together on the finest grid of any of them.

        The result's own may be coarser: alkaid knows that ``x + x`` is even.

        Args:
            parts: For each operand, what it is put in.
            shifts: The exponents.
            plus: A number to be added and its bits right of the binary point.
            start: What comes first.
        """
        added, behind = plus
        grids = [self.read(place).fraction - shift for place, shift in enumerate(shifts)]
        finest = max([self.value.fraction, *grids, *([behind] if added else [])])
        bits, drop = self.inner(finest)
        text = start.format(zero=zero(bits))
        for place, (part, grid) in enumerate(zip(parts, grids, strict=True)):
            text += part.format(moved(self.name(place), self.read(place).bits, finest - grid, bits))
        if added:
            text += f" + {literal(added << (finest - behind), bits)}"
        return cast(f"down({text}, {drop})", bits, self.value.bits) if drop else text

    def inner(self, finest: int) -> tuple[int, int]:
        """The type in which the result fits on a finer grid, and how many bits finer that is."""
        drop = finest - self.value.fraction
        value = Value(self.value.low << drop, self.value.high << drop, finest)
        if not fits(value.low, value.high, WIDE):
            raise InputError("deploy.emulator", f"a sum of more than {WIDE} bits", "", "use fewer bits")
        return max(value.bits, self.value.bits), drop

    def floored(self, place: int, shift: int, positive: bool = False) -> tuple[str, int, int]:
        """An operand times a power of two, rounded down to the result's grid, with its range."""
        value, name = self.read(place), self.name(place)
        low, high = value.low, value.high
        if positive and low < 0:
            name, low, high = f"positive({name})", 0, max(high, 0)
        up = self.value.fraction - value.fraction + shift
        low, high = (end << up if up >= 0 else end >> -up for end in (low, high))
        return moved(name, value.bits, up, self.value.bits), low, high

    def wrapped(self, code: str, low: int, high: int) -> str:
        """A code modulo its format, as alkaid has it; nothing, where it fits."""
        signed, width = self.format(self.op)
        least, most = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
        if least <= low and high <= most:
            return code
        bits = self.value.bits
        return f"down({code} << {bits - width}, {bits - width})" if signed else f"{code} & {literal(most, bits)}"

    def format(self, op: Any) -> tuple[bool, int]:
        """Whether the wire of an operation has a sign, and its width."""
        signed, integers, fractional = op.qint.kif
        return bool(signed), int(signed) + integers + fractional

    def source(self, place: int) -> Any:
        """The operation that an operand comes from."""
        return self.logic.ops[self.op.addr[place]]

    def chosen(self) -> str:
        """The first operand where the highest bit of the third is set, else the second."""
        on, off = self.floored(0, 0), self.floored(1, self.op.data[0])
        value, name = self.read(2), self.name(2)
        if value.low < 0:
            test = f"negative({name})"
        else:
            integers = self.source(2).qint.kif[1]
            test = f"reaches({name}, {literal(2 ** (integers - 1 + value.fraction), value.bits)})"
        return f"select({cast(test, value.bits, self.value.bits)}, {self.wrapped(*on)}, {self.wrapped(*off)})"

    def product(self) -> str:
        """Both operands multiplied."""
        grid = self.read(0).fraction + self.read(1).fraction
        bits, drop = self.inner(max(grid, self.value.fraction))
        one, other = (cast(self.name(place), self.read(place).bits, bits) for place in (0, 1))
        code = moved(f"({one} * {other})", bits, max(self.value.fraction - grid, 0), bits)
        return cast(f"down({code}, {drop})", bits, self.value.bits) if drop else code

    def looked_up(self) -> str:
        """The entry of a table that a code stands for."""
        value = self.read(0)
        numbers = np.nan_to_num(np.asarray(self.logic.lookup_tables[self.op.data[0]].float_table, np.float64))
        name = self.table(tuple(int(code) for code in numbers * 2.0**self.value.fraction))
        index = cast(f"({self.name(0)} - {literal(value.low, value.bits)})", value.bits, NARROW)
        return cast(f"looked_up({name}, {index})", NARROW, self.value.bits)

    def inverted(self) -> str:
        """All bits of a wire the other way round, in the result's format."""
        (signed, width), bits = self.format(self.source(0)), self.value.bits
        name = f"~{cast(self.name(0), self.read(0).bits, bits)}"
        if signed and self.format(self.op)[0]:
            return name
        return self.wrapped(f"({name} & {literal(2**width - 1, bits)})", 0, 2**width - 1)

    def tested(self, all_bits: bool) -> str:
        """One where any bit of a wire is set, or all are."""
        (signed, width), value, name = self.format(self.source(0)), self.read(0), self.name(0)
        ones = literal(-1 if signed else 2**width - 1, value.bits)
        test = f"equal({name}, {ones})" if all_bits else f"~equal({name}, 0)"
        return f"{cast(test, value.bits, self.value.bits)} & {literal(2**self.value.fraction, self.value.bits)}"
