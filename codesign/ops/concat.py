"""Tensors side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._broadcast import aligned, largest
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Concat(Op):
    """Tensors one after another along an axis.

    Args:
        axis: Which one, the batch axis not counted.
    """

    axis: int

    kind: ClassVar[str] = "concat"
    arithmetic: ClassVar[bool] = False
    torch_targets: ClassVar[tuple[str, ...]] = ("torch.cat", "torch.concat", "torch.concatenate")
    onnx_types: ClassVar[tuple[str, ...]] = ("Concat",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> Concat:
        """From ``torch.cat`` along any axis but the batch."""
        given = call.options("dim")
        return cls(call.axes(given.get("dim", given.get("axis", 0)))[0])

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Concat:
        """From ``Concat`` of computed tensors along any axis but the batch."""
        if call.constants:
            raise call.refused("a constant beside tensors", "tensors that are computed")
        return cls(call.axes([call.attributes["axis"]])[0])

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """Lengths along the axis add up."""
        rest = {(*shape[: self.axis], *shape[self.axis + 1 :]) for shape in inputs}
        if len(rest) != 1 or len({len(shape) for shape in inputs}) != 1:
            found = f"tensors of shapes {', '.join(str(list(shape)) for shape in inputs)}"
            raise InputError(f"layer {name!r}", found, f"shapes that differ in axis {self.axis + 1} at most")
        total = sum(shape[self.axis] for shape in inputs)
        return (*inputs[0][: self.axis], total, *inputs[0][self.axis + 1 :])

    def signed(self, inputs: list[bool]) -> bool:
        """If any can be negative."""
        return any(inputs)

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.cat``."""
        import torch

        return torch.cat(inputs, self.axis + 1)

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Exact at the finest fraction."""
        codes, fraction = aligned(inputs)
        return Codes(np.concatenate([x.values for x in codes], self.axis + 1), fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Bounds side by side."""
        fraction = max(x.fraction for x in inputs)
        fine = [x.align(fraction) for x in inputs]
        low, high = (np.concatenate(ends, self.axis) for ends in ([x.low for x in fine], [x.high for x in fine]))
        return Interval(low, high, fraction)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """The largest, at the finest fraction."""
        return max(largest(inputs)[0])

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Concat node."""
        writer.add("Concat", inputs, output, name, axis=self.axis + 1)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Each gets its part."""
        sizes = [x.shape[self.axis + 1] for x in inputs]
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        return [gradients.narrow(self.axis + 2, *place) for place in zip(starts, sizes, strict=True)]
