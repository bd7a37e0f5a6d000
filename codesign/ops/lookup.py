"""Tables of the user's own: ``table[x]`` for a tensor of whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.op import Op, Parameter, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor

#: Most entries of a table, and most bits that its entries may need together.
ENTRIES, BITS = 2**16, 24
#: Coarsest and finest fraction of the entries.
FRACTIONS = range(-BITS, 2 * BITS)


@dataclass(frozen=True, eq=False)
class Lookup(Op):
    """``table[x]``, element by element.

    Args:
        table: Codes of the entries, ``[entries]``.
        fraction: Fraction bits of the entries.
    """

    table: IntArray
    fraction: int

    kind: ClassVar[str] = "lookup"
    arithmetic: ClassVar[bool] = False
    torch_targets: ClassVar[tuple[str, ...]] = ("torch.take", "aten.index")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Lookup:
        """From ``table[x]`` or ``torch.take(table, x)`` with a constant table of numbers that fixed point holds."""
        where = f"layer {call.path!r}"
        given = call.arguments[0] if call.arguments else None
        if not isinstance(given, Parameter) or call.first != 1 or len(call.shapes) != 1:
            raise InputError(where, "a lookup in what is no table", "table[x] with a constant table")
        if given.values is None:
            raise InputError(where, f"table {given.name!r}, which is learned", "a constant", "make it a buffer")
        if len(given.shape) != 1 or not 1 <= given.shape[0] <= ENTRIES:
            raise InputError(where, f"a table of shape {list(given.shape)}", f"[entries], {ENTRIES} at most")
        values = np.asarray(given.values, np.float64)
        if bad := int(np.count_nonzero(~np.isfinite(values))):
            raise InputError(where, f"a table with {bad} entries that are NaN or infinite", "finite numbers")
        scaled = ((fraction, np.ldexp(values, fraction)) for fraction in FRACTIONS)
        fraction, codes = next(
            ((f, each) for f, each in scaled if (each == np.floor(each)).all()), (0, np.full(1, np.inf))
        )
        if np.abs(codes).max() >= 2.0**BITS:
            hint = "round the entries, such as numpy.round(table * 2**8) / 2**8"
            raise InputError(where, f"table {given.name!r}, whose entries need more than {BITS} bits", "fewer", hint)
        return cls(codes.astype(np.int64), fraction)

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape."""
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """If an entry is negative."""
        return bool(self.table.min() < 0)

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """The entries; their gradient is zero."""
        import torch

        x = inputs[0]
        entries = torch.tensor(self._values()).to(x)
        # Out of range only where formats are tried; the integer network proves that the hardware never is.
        index = x.detach().long().clamp(0, len(entries) - 1)
        return entries[index] + 0 * x

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Entries of whole numbers."""
        x = inputs[0].align()
        index = _whole(x.values, int(np.max(x.fraction)))
        return Codes(np.take_along_axis(self.table, index.reshape(-1), 0).reshape(index.shape), self.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """From the least to the largest entry between the ends.

        Raises:
            InputError: The input can be out of the table's range.
        """
        x = inputs[0]
        low, high = (_whole(end, x.fraction) for end in (x.low, x.high))
        count = len(self.table)
        if low.min() < 0 or high.max() >= count:
            found = f"indices from {low.min()} to {high.max()}"
            raise InputError(
                f"table of {count} entries", found, f"0 to {count - 1}", "clip them, or make a longer table"
            )
        pairs = list(zip(low.reshape(-1).tolist(), high.reshape(-1).tolist(), strict=True))
        parts = {pair: self.table[pair[0] : pair[1] + 1] for pair in pairs}
        ends = {pair: (int(part.min()), int(part.max())) for pair, part in parts.items()}
        least, most = np.array([ends[pair] for pair in pairs], np.int64).T.reshape(2, *low.shape)
        return Interval(least, most, self.fraction)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """Of the index and of the entries."""
        return max(super().magnitude(inputs, parameters), float(inputs[0].high.max()))

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """Cast makes the input an index; Gather looks it up."""
        index = writer.add("Cast", inputs, f"{output}.index", f"{name}.cast", to=7)  # onnx's number of int64
        table = writer.constant(f"{name}.table", self._values())
        writer.add("Gather", [table, index], output, name, axis=0)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Nothing: entries stand for themselves."""
        return [gradients * 0]

    def _values(self) -> npt.NDArray[np.float64]:
        return np.ldexp(np.asarray(self.table, np.float64), -self.fraction)


def _whole(codes: IntArray, fraction: int) -> IntArray:
    """Whole numbers from codes that have nothing behind the point."""
    return codes >> fraction if fraction >= 0 else codes << -fraction
