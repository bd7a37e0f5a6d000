"""The integer program of a network: alkaid's list of operations, each a C++ expression on integer codes."""

from dataclasses import dataclass, field

from codesign.deploy._operations import Operation, value_of
from codesign.deploy._vectors import NARROW, Value, moved, zero
from codesign.hdl.circuit import Logic


@dataclass(frozen=True)
class Step:
    """One operation.

    Args:
        value: What is known of its result.
        code: A C++ expression in which ``vN`` is the result of step N.
        reads: Which steps it reads.
    """

    value: Value
    code: str
    reads: tuple[int, ...] = ()


@dataclass(frozen=True)
class Output:
    """One output of the program: its expression, the bits of its type, and the step that it reads, if it reads one."""

    code: str
    bits: int
    reads: int | None = None


@dataclass
class Program:
    """A network as a list of steps.

    Args:
        inputs: How many there are.
        input_bits: Of the type that all inputs are handed over in.
        steps: In order.
        outputs: In order.
        tables: Codes of lookup tables, of 32 bits.
    """

    inputs: int
    input_bits: int
    steps: list[Step] = field(default_factory=list[Step])
    outputs: list[Output] = field(default_factory=list[Output])
    tables: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])

    @property
    def output_bits(self) -> int:
        """Of the type that all outputs are handed over in."""
        return max(output.bits for output in self.outputs)

    def table(self, codes: tuple[int, ...]) -> str:
        """The name of a table in C++."""
        if codes not in self.tables:
            self.tables.append(codes)
        return f"table{self.tables.index(codes)}"


def program(logic: Logic) -> Program:
    """Translate a traced network.

    Args:
        logic: alkaid's combinational logic, of integer codes in and out.

    Raises:
        InputError: A number has more than 64 bits.
    """
    given = [value_of(op.qint).bits for op in logic.ops if op.opcode == -1]
    found, values = Program(logic.shape[0], max(given, default=NARROW)), list[Value]()
    for op in logic.ops:
        own = Operation(logic, op, values, found.input_bits, found.table)
        found.steps.append(Step(own.value, own.code(), tuple(dict.fromkeys(op.addr))))
        values.append(own.value)
    for place, shift, negative in zip(logic.out_idxs, logic.out_shifts, logic.out_negs, strict=True):
        found.outputs.append(_output(values, int(place), int(shift), bool(negative)))
    return found


def _output(values: list[Value], place: int, shift: int, negative: bool) -> Output:
    if place < 0:
        return Output(zero(NARROW), NARROW)
    value = values[place]
    up = shift - value.fraction
    ends = [end << up if up >= 0 else end >> -up for end in (value.low, value.high)]
    if negative:
        ends = [-end for end in reversed(ends)]
    bits = Value(ends[0], ends[1], 0).bits
    code = moved(f"v{place}", value.bits, up, bits)
    return Output(f"-{code}" if negative else code, bits, place)
