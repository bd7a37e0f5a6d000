"""Axes in another order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.identity import Identity
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Transpose(Op):
    """Axes of the output are those of the input in another order, the batch axis kept first.

    Args:
        order: For each axis of the output, that of the input, the batch axis not counted.
    """

    order: Shape

    kind: ClassVar[str] = "transpose"
    arithmetic: ClassVar[bool] = False
    moves_data: ClassVar[bool] = True
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("torch.transpose", "torch.swapaxes", "torch.swapdims", "torch.permute"),
        *("Tensor.transpose", "Tensor.swapaxes", "Tensor.swapdims", "Tensor.permute", "Tensor.mT"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Transpose",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> Transpose:
        """From ``transpose`` of two axes or ``permute`` of all."""
        rank, given = len(call.shapes[0]), (*call.arguments, *call.keywords.values())
        order = list(range(rank))
        if call.target.endswith("permute"):
            axes = cast("tuple[int, ...]", given[0] if isinstance(given[0], tuple) else given)
            if not axes or axes[0] not in (0, -rank - 1) or len(axes) != rank + 1:
                found = f"axes in the order {list(axes)}"
                raise InputError(f"layer {call.path!r}", found, f"all {rank + 1} axes, the batch first")
            return cls(call.axes(axes[1:]))
        first, second = call.axes((-2, -1) if call.target.endswith("mT") else given)
        order[first], order[second] = second, first
        return cls(tuple(order))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Transpose | Identity:
        """From ``Transpose`` that leaves the batch first."""
        rank = len(call.shapes[0]) + 1
        order: Shape = tuple(call.attributes.get("perm", range(rank - 1, -1, -1)))
        if sorted(order) != list(range(rank)) or order[0] != 0:
            raise call.refused(f"axes in the order {list(order)}", f"all {rank} axes, the batch first")
        return Identity() if order == tuple(range(rank)) else cls(call.axes(order[1:]))

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """Lengths in the new order."""
        if len(inputs[0]) != len(self.order):
            raise InputError(f"layer {name!r}", f"input of shape {list(inputs[0])}", f"{len(self.order)} axes")
        return tuple(inputs[0][axis] for axis in self.order)

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``Tensor.permute``."""
        return inputs[0].permute(self._axes())

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Codes are moved, not changed."""
        x = inputs[0].align()
        return Codes(np.transpose(x.values, self._axes()), x.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Bounds are moved, not changed."""
        x = inputs[0]
        return Interval(np.transpose(x.low, self.order), np.transpose(x.high, self.order), x.fraction)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Transpose node."""
        writer.add("Transpose", inputs, output, name, perm=self._axes())

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Back in the input's order."""
        back = [self.order.index(axis) + 2 for axis in range(len(self.order))]
        return [gradients.permute(0, 1, *back)]

    def _axes(self) -> Shape:
        return (0, *(axis + 1 for axis in self.order))
