"""Rectifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from codesign.arrays import FloatArray
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Relu(Op):
    """``max(x, 0)``."""

    kind: ClassVar[str] = "relu"
    arithmetic: ClassVar[bool] = False
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("nn.ReLU", "F.relu", "F.relu_", "torch.relu", "torch.relu_", "Tensor.relu", "Tensor.relu_"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Relu",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> Relu:
        """From the module, the function or the method."""
        return cls()

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Relu:
        """From ``Relu``."""
        return cls()

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape."""
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """Never negative."""
        return False

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.relu``."""
        return inputs[0].relu()

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """The sign of a code is the sign of its value."""
        return Codes(np.maximum(inputs[0].values, 0), inputs[0].fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends."""
        x = inputs[0]
        return Interval(np.maximum(x.low, 0), np.maximum(x.high, 0), x.fraction)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Relu node."""
        writer.add("Relu", inputs, output, name)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """What was cut off passes nothing."""
        return [gradients * output.sign().unsqueeze(1)]
