"""Rectifiers with a slope below zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall
from codesign.ops.relu import Relu

if TYPE_CHECKING:
    from torch import Tensor

#: Steepest division by a power of two.
MOST_SHIFT = 16


@dataclass(frozen=True)
class LeakyRelu(Op):
    """``x`` where it is positive, ``x * 2**-shift`` where it is negative: a wire and a shift.

    Args:
        shift: Minus the logarithm of the slope.
    """

    shift: int

    kind: ClassVar[str] = "leaky_relu"
    arithmetic: ClassVar[bool] = False
    torch_targets: ClassVar[tuple[str, ...]] = ("nn.LeakyReLU", "F.leaky_relu", "F.leaky_relu_")
    onnx_types: ClassVar[tuple[str, ...]] = ("LeakyRelu",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> LeakyRelu | Relu:
        """From the module or the function, if its slope is a power of two or 0."""
        return cls._sloping(call.path, float(call.options("negative_slope").get("negative_slope", 0.01)))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> LeakyRelu | Relu:
        """From ``LeakyRelu``, if its slope is a power of two or 0."""
        return cls._sloping(call.name, float(call.attributes.get("alpha", 0.01)))

    @classmethod
    def _sloping(cls, path: str, slope: float) -> LeakyRelu | Relu:
        if slope == 0:
            return Relu()
        shift = -log2(slope) if slope > 0 else -1.0
        if shift not in range(MOST_SHIFT + 1):
            around = [2.0**-number for number in range(MOST_SHIFT + 1)]
            nearest = min(around, key=lambda power: abs(power - slope))
            wanted = f"a power of two from 1 down, such as {nearest!r}"
            raise InputError(f"layer {path!r}", f"negative_slope {slope!r}", wanted, "train it with that slope")
        return cls(int(shift))

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape."""
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """Negative where the input is."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.nn.functional.leaky_relu``."""
        from torch.nn import functional

        return functional.leaky_relu(inputs[0], 2.0**-self.shift)

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """``shift`` more fraction bits hold both branches exactly."""
        return Codes(self._bend(inputs[0].values), inputs[0].fraction + self.shift)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends."""
        x = inputs[0]
        return Interval(self._bend(x.low), self._bend(x.high), x.fraction + self.shift)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """Positive values gain bits."""
        low, high = (float(end) for end in (inputs[0].low.min(), inputs[0].high.max()))
        return max(-low, high * 2.0**self.shift, 0.0)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One LeakyRelu node."""
        writer.add("LeakyRelu", inputs, output, name, alpha=2.0**-self.shift)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """The slope of either side."""
        slopes = (inputs[0] > 0).to(gradients) * (1 - 2.0**-self.shift) + 2.0**-self.shift
        return [gradients * slopes.unsqueeze(1)]

    def _bend(self, codes: IntArray) -> IntArray:
        """Codes of the result, with ``shift`` more fraction bits."""
        return np.where(codes >= 0, codes << self.shift, codes)
