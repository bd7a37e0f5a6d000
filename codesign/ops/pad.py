"""Zeros around a tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.onnx_calls import LARGEST, check_single
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Pad(Op):
    """Zeros before and after the elements of each axis.

    Args:
        before: How many, for each axis but the batch.
        after: How many, for each axis but the batch.
    """

    before: Shape
    after: Shape

    kind: ClassVar[str] = "pad"
    arithmetic: ClassVar[bool] = False
    #: Zero is a code of every format.
    moves_data: ClassVar[bool] = True
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("nn.ZeroPad1d", "nn.ZeroPad2d", "nn.ConstantPad1d", "nn.ConstantPad2d", "F.pad", "torch.constant_pad_nd"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Pad",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> Pad:
        """From the modules or the function, with zeros and behind the batch axis."""
        if call.target == "torch.constant_pad_nd":
            given = call.options("pad", "value")
        else:
            given = call.options("padding" if call.module is not None else "pad", "mode", "value")
        sizes = tuple(given["padding"] if "padding" in given else given["pad"])
        mode, value, rank = given.get("mode", "constant"), given.get("value", 0) or 0, len(call.shapes[0])
        if mode != "constant" or value != 0:
            raise InputError(f"layer {call.path!r}", f"padding with mode {mode!r}, value {value}", "zeros")
        if not all(isinstance(size, int) and size >= 0 for size in sizes) or len(sizes) > 2 * rank:
            found = f"padding of [{', '.join(map(str, sizes))}]"
            raise InputError(f"layer {call.path!r}", found, "numbers from 0 up for axes behind the batch")
        pairs = [*zip(sizes[::2], sizes[1::2], strict=True)][::-1]  # torch begins with the last axis
        pairs = [(0, 0)] * (rank - len(pairs)) + pairs
        return cls(tuple(before for before, _ in pairs), tuple(after for _, after in pairs))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Pad:
        """From ``Pad`` with zeros, behind the batch axis."""
        check_single(call)
        rank, mode = len(call.shapes[0]), call.attributes.get("mode", "constant")
        sizes = tuple(int(size) for size in call.constant(1, "number of zeros").reshape(-1))
        axes = call.axes(call.numbers(3, "axes")) if 3 in call.constants else tuple(range(-1, rank))
        if mode != "constant" or (2 in call.constants and call.constants[2].any()):
            raise call.refused(f"padding with mode {mode!r}, or of a value", "zeros")
        pairs = dict(zip(axes, zip(sizes[: len(axes)], sizes[len(axes) :], strict=True), strict=True))
        if any(pairs.pop(-1, (0, 0))) or not all(0 <= size <= LARGEST for pair in pairs.values() for size in pair):
            raise call.refused(f"padding of {list(sizes)}", "numbers from 0 up for axes behind the batch")
        before, after = zip(*(pairs.get(axis, (0, 0)) for axis in range(rank)), strict=True)
        return cls(before, after)

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """Each axis longer by its zeros."""
        if len(inputs[0]) != len(self.before):
            raise InputError(f"layer {name!r}", f"input of shape {list(inputs[0])}", f"{len(self.before)} axes")
        return tuple(sum(sizes) for sizes in zip(self.before, inputs[0], self.after, strict=True))

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.nn.functional.pad``."""
        from torch.nn import functional

        pairs = [*zip(self.before, self.after, strict=True)]
        return functional.pad(inputs[0], [size for pair in reversed(pairs) for size in pair])

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """The code of zero is zero."""
        x = inputs[0].align()
        return Codes(np.pad(x.values, [(0, 0), *self._pairs()]), x.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Zeros around both bounds."""
        x = inputs[0]
        return Interval(self._around(x.low), self._around(x.high), x.fraction)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Pad node."""
        pads = writer.constant(f"{name}.pads", np.array([0, *self.before, 0, *self.after]))
        writer.add("Pad", [inputs[0], pads], output, name)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Without what the zeros get."""
        places = [slice(begin, begin + size) for begin, size in zip(self.before, inputs[0].shape[1:], strict=True)]
        return [gradients[(slice(None), slice(None), *places)]]

    def _pairs(self) -> list[tuple[int, int]]:
        return [*zip(self.before, self.after, strict=True)]

    def _around(self, values: IntArray) -> IntArray:
        return np.pad(values, self._pairs())
