"""Additions of branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.batchnorm import BatchNorm
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Add(Op):
    """The sum of two tensors of one shape, as where a residual branch comes back."""

    kind: ClassVar[str] = "add"
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        "operator.add",
        "operator.iadd",
        "torch.add",
        "Tensor.add",
        "Tensor.add_",
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Add",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> Add:
        """From ``+``, ``+=``, the function or the method, of two tensors."""
        alpha = call.keywords.get("alpha", 1)
        numbers = [*call.arguments, *(value for name, value in call.keywords.items() if name != "alpha")]
        if numbers:
            raise InputError(
                f"layer {call.path!r}",
                f"a tensor plus {numbers[0]!r}",
                "a sum of two tensors",
                "give the number to the bias of the layer before it",
            )
        if alpha != 1:
            raise InputError(f"layer {call.path!r}", f"a sum with alpha {alpha}", "alpha 1")
        return cls()

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Op:
        """From ``Add`` of two tensors; of a tensor and a constant it is what batch norm does."""
        return BatchNorm.from_onnx(call) if call.constants else cls()

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """That of both inputs."""
        if len(inputs) != 2 or inputs[0] != inputs[1]:
            found = f"a sum of tensors of shapes {', '.join(str(list(shape)) for shape in inputs)}"
            raise InputError(f"layer {name!r}", found, "two tensors of equal shape")
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """If either can be negative."""
        return any(inputs)

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.add``."""
        return inputs[0] + inputs[1]

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Exact at the finer of the two fractions."""
        first, second = (x.align() for x in inputs)
        fraction = int(max(np.max(first.fraction), np.max(second.fraction)))
        return Codes(first.align(fraction).values + second.align(fraction).values, fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Lows add to the low, highs to the high."""
        fraction = max(x.fraction for x in inputs)
        first, second = (x.align(fraction) for x in inputs)
        return Interval(first.low + second.low, first.high + second.high, fraction)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """In floats: fractions may lie so far apart that aligning them would leave int64."""
        fraction = max(x.fraction for x in inputs)
        largest = [float(max(-int(x.low.min()), int(x.high.max()))) * 2.0 ** (fraction - x.fraction) for x in inputs]
        return sum(largest)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Add node."""
        writer.add("Add", inputs, output, name)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Both inputs get all of it."""
        return [gradients, gradients]
