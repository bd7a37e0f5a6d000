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
from codesign.ops.onnx_calls import check_single
from codesign.ops.op import OnnxCall, Op, Parameter, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor

#: Most entries of a table, and most bits that its entries may need together.
ENTRIES, BITS = 2**16, 24
#: Coarsest and finest fraction of the entries.
FRACTIONS = range(-BITS, 2 * BITS)


@dataclass(frozen=True)
class Lookup(Op):
    """``table[x]``, element by element.

    Args:
        entries: Codes of the entries.
        fraction: Fraction bits of the entries.
    """

    entries: tuple[int, ...]
    fraction: int

    kind: ClassVar[str] = "lookup"
    arithmetic: ClassVar[bool] = False
    torch_targets: ClassVar[tuple[str, ...]] = ("torch.take", "aten.index")
    onnx_types: ClassVar[tuple[str, ...]] = ("Cast+Gather",)

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
        return cls._of(where, given.name, np.asarray(given.values, np.float64))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Lookup:
        """From ``Gather`` of a constant table by whole numbers, the ``Cast`` that made them among it or before it."""
        check_single(call)
        table = call.constant(0 if call.op_type == "Gather" else 1, "table")
        if table.ndim != 1 or not 1 <= table.size <= ENTRIES or call.attributes.get("axis", 0) not in (0, -1):
            raise call.refused(f"a table of shape {list(table.shape)}", f"[entries], {ENTRIES} at most")
        where = f"layer {call.name!r} ({call.op_type})"
        return cls._of(where, f"{call.name}.table", np.asarray(table, np.float64))

    @classmethod
    def _of(cls, where: str, name: str, values: npt.NDArray[np.float64]) -> Lookup:
        """With the entries as codes.

        Raises:
            InputError: Fixed point does not hold them.
        """
        if bad := int(np.count_nonzero(~np.isfinite(values))):
            raise InputError(where, f"a table with {bad} entries that are NaN or infinite", "finite numbers")
        scaled = ((fraction, np.ldexp(values, fraction)) for fraction in FRACTIONS)
        fraction, codes = next(
            ((f, each) for f, each in scaled if (each == np.floor(each)).all()), (0, np.full(1, np.inf))
        )
        if np.abs(codes).max() >= 2.0**BITS:
            hint = "round the entries, such as numpy.round(table * 2**8) / 2**8"
            raise InputError(where, f"table {name!r}, whose entries need more than {BITS} bits", "fewer", hint)
        return cls(tuple(codes.astype(np.int64).tolist()), fraction)

    @property
    def table(self) -> IntArray:
        """Codes of the entries, ``[entries]``."""
        return np.array(self.entries, np.int64)

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape."""
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """If an entry is negative."""
        return min(self.entries) < 0

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
        table, count = self.table, len(self.entries)
        if low.min() < 0 or high.max() >= count:
            found = f"indices from {low.min()} to {high.max()}"
            raise InputError(
                f"table of {count} entries", found, f"0 to {count - 1}", "clip them, or make a longer table"
            )
        pairs = list(zip(low.reshape(-1).tolist(), high.reshape(-1).tolist(), strict=True))
        parts = {pair: table[pair[0] : pair[1] + 1] for pair in pairs}
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
        return np.ldexp(self.table.astype(np.float64), -self.fraction)


def _whole(codes: IntArray, fraction: int) -> IntArray:
    """Whole numbers from codes that have nothing behind the point."""
    return codes >> fraction if fraction >= 0 else codes << -fraction
