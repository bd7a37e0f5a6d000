"""The integer program of a network: alkaid's list of operations as C++ expressions on integer codes.

Every operation gives a code, value = code * 2**-fraction, in the narrowest of 32 and 64 bits that holds its range. What
comes after an addition, a product or a shift to the left depends on no more than the low bits of what goes in, so
operands are moved in the result's own type: it is exact whenever the result fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import floor, log2
from typing import Any

import numpy as np

from codesign.errors import InputError
from codesign.hdl.circuit import Logic

#: The vector types of codes, by bits.
NARROW, WIDE = 32, 64


@dataclass(frozen=True)
class Value:
    """What is known of a code.

    Args:
        low, high: Its range.
        fraction: Bits right of the binary point.
    """

    low: int
    high: int
    fraction: int

    @property
    def bits(self) -> int:
        """Of the type that holds it."""
        return NARROW if _fits(self.low, self.high, NARROW) else WIDE


@dataclass(frozen=True)
class Step:
    """One operation.

    Args:
        value: What it gives.
        code: A C++ expression in which ``vN`` is the value of step N.
        reads: Which steps it reads.
    """

    value: Value
    code: str
    reads: tuple[int, ...] = ()


@dataclass
class Program:
    """A network as a list of steps.

    Args:
        steps: In order.
        outputs: C++ expressions of the outputs' codes, each with its bits and the step that it reads, if it reads one.
        tables: Codes of lookup tables, of 32 bits.
        inputs: How many there are.
        input_bits: Of the type that all inputs are handed over in.
    """

    inputs: int
    input_bits: int
    steps: list[Step] = field(default_factory=list[Step])
    outputs: list[tuple[str, int, tuple[int, ...]]] = field(default_factory=list[tuple[str, int, tuple[int, ...]]])
    tables: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])

    @property
    def output_bits(self) -> int:
        """Of the type that all outputs are handed over in."""
        return max(bits for _, bits, _ in self.outputs)


def program(logic: Logic) -> Program:
    """Translate a traced network.

    Args:
        logic: alkaid's combinational logic, of integer codes in and out.

    Raises:
        InputError: A number has more than 64 bits.
    """
    given = [_value(op.qint).bits for op in logic.ops if op.opcode == -1]
    found = Program(logic.shape[0], max(given, default=NARROW))
    for op in logic.ops:
        value = _value(op.qint)
        if not _fits(value.low, value.high, WIDE):
            raise InputError("deploy.emulator", f"a number from {value.low} to {value.high}", "at most 64 bits")
        found.steps.append(Step(value, _Writer(found, logic, op, value).code(), tuple(dict.fromkeys(op.addr))))
    for place, shift, negative in zip(logic.out_idxs, logic.out_shifts, logic.out_negs, strict=True):
        found.outputs.append(_output(found, place, int(shift), bool(negative)))
    return found


def _fits(low: int, high: int, bits: int) -> bool:
    return low >= -(2 ** (bits - 1)) and high < 2 ** (bits - 1)


def _value(interval: Any) -> Value:
    fraction = -round(log2(interval.step)) if interval.step > 0 else 0
    low, high = (floor(end * 2.0**fraction) for end in (interval.min, interval.max))
    return Value(low, high, fraction)


def _output(found: Program, place: int, shift: int, negative: bool) -> tuple[str, int, tuple[int, ...]]:
    if place < 0:
        return _zero(NARROW), NARROW, ()
    value = found.steps[place].value
    ends = [end * 2.0 ** (shift - value.fraction) for end in (value.low, value.high)]
    ends = [-end for end in reversed(ends)] if negative else ends
    bits = Value(floor(ends[0]), floor(ends[1]), 0).bits
    code = _moved(f"v{place}", value, shift - value.fraction, bits)
    return (f"-{code}" if negative else code), bits, (place,)


def _cast(code: str, before: int, bits: int) -> str:
    if before == bits:
        return code
    return f"wide({code})" if bits == WIDE else f"narrow({code})"


def _moved(code: str, value: Value, shift: int, bits: int) -> str:
    """A code times a power of two, rounded down, in a type: its low bits, if it does not fit."""
    if shift < 0:
        code = f"down({code}, {min(-shift, value.bits - 1)})"
    code = _cast(code, value.bits, bits)
    if shift > 0:
        return f"({code} << {shift})" if shift < bits else _zero(bits)
    return code


def _zero(bits: int) -> str:
    return "N{}" if bits == NARROW else "W{}"


def _literal(number: int, bits: int) -> str:
    return f"{number % 2**bits}u{'ll' if bits == WIDE else ''}"


@dataclass(frozen=True)
class _Writer:
    """Writes the expression of one operation; opcodes as alkaid's ``CombLogic`` runs them."""

    found: Program
    logic: Logic
    op: Any
    value: Value

    @property
    def bits(self) -> int:
        return self.value.bits

    def code(self) -> str:
        """The expression."""
        data = self.op.data
        match self.op.opcode:
            case -2:
                return f"-{self.operand(0)}"
            case -1:
                return self.input(data[0])
            case 0:
                return f"{self.operand(0)} + {self.operand(1, data[0])}"
            case 1:
                return f"{self.operand(0)} - {self.operand(1, data[0])}"
            case 11:
                return " ".join(self.terms())
            case 2:
                return self.wrapped(*self.floored(0, 0, positive=True))
            case 3:
                return self.wrapped(*self.floored(0, data[0]))
            case 4:
                number = data[0] * 2.0 ** (self.value.fraction - data[1])
                return f"{self.operand(0)} + {_literal(int(number), self.bits)}"
            case 5:
                return self.constant(data[0])
            case 6:
                return self.chosen()
            case 7:
                return self.product()
            case 8:
                return self.looked_up()
            case 9:
                return self.inverted() if data[0] == 0 else self.tested(all_bits=data[0] == 2)
            case 10:
                return f"{self.operand(0)} {'&|^'[data[1]]} {self.operand(1, data[0])}"
            case other:
                raise InputError("deploy.emulator", f"alkaid's operation {other}", "those of alkaid 0.8.2")

    def read(self, place: int) -> Value:
        """What is known of an operand."""
        return self.found.steps[self.op.addr[place]].value

    def operand(self, place: int, shift: int = 0) -> str:
        """An operand times a power of two, on the grid and in the type of the result."""
        value = self.read(place)
        return _moved(f"v{self.op.addr[place]}", value, self.value.fraction - value.fraction + shift, self.bits)

    def input(self, place: int) -> str:
        shift = self.value.fraction + int(self.logic.inp_shifts[place])
        given = Value(0, 0 if self.found.input_bits == NARROW else 2**NARROW, 0)
        return _moved(f"w->in[{place}]", given, shift, self.bits)

    def constant(self, number: int) -> str:
        return f"{_zero(self.bits)} + {_literal(number, self.bits)}"

    def terms(self) -> Iterator[str]:
        for place in range(len(self.op.addr)):
            plus, shift = self.op.data[2 * place], self.op.data[2 * place + 1]
            yield ("+ " if place and plus else "" if plus else "- ") + self.operand(place, shift)

    def floored(self, place: int, shift: int, positive: bool = False) -> tuple[str, int, int]:
        """An operand times a power of two, rounded down to the result's grid, with its range."""
        value = self.read(place)
        moved = self.value.fraction - value.fraction + shift
        name = f"v{self.op.addr[place]}"
        if positive and value.low < 0:
            name, value = f"positive({name})", Value(0, max(value.high, 0), value.fraction)
            value = Value(0, value.high, value.fraction) if self.read(place).bits == NARROW else value
        low, high = (end << moved if moved >= 0 else end >> -moved for end in (value.low, value.high))
        kept = self.read(place)
        return _moved(name, kept, moved, self.bits), low, high

    def wrapped(self, code: str, low: int, high: int) -> str:
        """A code modulo its format, as alkaid has it; nothing, where it fits."""
        signed, integers, fractional = self.op.qint.kif
        width = int(signed) + integers + fractional
        least, most = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
        if least <= low and high <= most:
            return code
        if not signed:
            return f"{code} & {_literal(most, self.bits)}"
        return f"down({code} << {self.bits - width}, {self.bits - width})"

    def chosen(self) -> str:
        """The first operand where the highest bit of the third is set, else the second."""
        on, off = ((self.floored(0, 0)), (self.floored(1, self.op.data[0])))
        condition = self.read(2)
        name = f"v{self.op.addr[2]}"
        if condition.low < 0:
            test = f"negative({name})"
        else:
            _, integers, _ = self.logic.ops[self.op.addr[2]].qint.kif
            test = f"reaches({name}, {_literal(2 ** (integers - 1 + condition.fraction), condition.bits)})"
        test = _cast(test, condition.bits, self.bits)
        return f"select({test}, {self.wrapped(*on)}, {self.wrapped(*off)})"

    def product(self) -> str:
        one, other = (self.read(place) for place in (0, 1))
        names = [_cast(f"v{self.op.addr[i]}", value.bits, self.bits) for i, value in enumerate((one, other))]
        shift = self.value.fraction - one.fraction - other.fraction
        if shift < 0:
            raise InputError("deploy.emulator", "a product that alkaid rounds", "an exact one")
        return f"({names[0]} * {names[1]})" + (f" << {shift}" if shift else "")

    def looked_up(self) -> str:
        source, table = self.read(0), self.logic.lookup_tables[self.op.data[0]]
        scaled = np.nan_to_num(np.asarray(table.float_table, np.float64)) * 2.0**self.value.fraction
        codes = tuple(int(code) for code in scaled)
        if codes not in self.found.tables:
            self.found.tables.append(codes)
        place = self.found.tables.index(codes)
        index = _cast(f"v{self.op.addr[0]} - {_literal(source.low, source.bits)}", source.bits, NARROW)
        return _cast(f"looked_up(table{place}, {index})", NARROW, self.bits)

    def inverted(self) -> str:
        source = self.logic.ops[self.op.addr[0]].qint.kif
        width = int(source.signed) + source.integers + source.fractional
        value = self.read(0)
        name = _cast(f"v{self.op.addr[0]}", value.bits, self.bits)
        if source.signed and self.op.qint.kif.signed:
            return f"~{name}"
        return self.wrapped(f"(~{name} & {_literal(2**width - 1, self.bits)})", 0, 2**width - 1)

    def tested(self, all_bits: bool) -> str:
        value, name = self.read(0), f"v{self.op.addr[0]}"
        source = self.logic.ops[self.op.addr[0]].qint.kif
        ones = -1 if source.signed else 2 ** (source.integers + source.fractional) - 1
        test = f"equal({name}, {_literal(ones, value.bits)})" if all_bits else f"~equal({name}, 0)"
        return f"{_cast(test, value.bits, self.bits)} & {_literal(2**self.value.fraction, self.bits)}"
