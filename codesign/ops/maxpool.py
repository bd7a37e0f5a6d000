"""Max pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._windows import Windows, pooling
from codesign.ops.onnx_calls import pooling_windows
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor

#: What lies in the padding: less than any code, so that it is never the largest.
LEAST = int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class MaxPool(Op):
    """The largest value of every window, per channel; padding counts for nothing.

    Args:
        windows: What an output position sees.
    """

    windows: Windows

    kind: ClassVar[str] = "maxpool"
    arithmetic: ClassVar[bool] = False
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        "nn.MaxPool1d",
        "nn.MaxPool2d",
        "F.max_pool1d",
        "F.max_pool2d",
        "torch.max_pool1d",
        "torch.max_pool2d",
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("MaxPool",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> MaxPool:
        """From the module or the function, which gives values only and leaves no gaps in a window."""
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
        windows, rest = pooling(call, names)
        if rest.get("return_indices"):
            raise InputError(f"layer {call.path!r}", "max pooling with return_indices", "return_indices=False")
        if rest.get("dilation", 1) not in (1, (1,), (1, 1), [1], [1, 1]):
            raise InputError(f"layer {call.path!r}", f"max pooling with dilation {rest['dilation']}", "dilation 1")
        return cls(windows)

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> MaxPool:
        """From ``MaxPool``, values only."""
        if call.outputs > 1:
            raise call.refused("max pooling whose indices are used", "values only")
        return cls(pooling_windows(call))

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """``[channels, *positions]``."""
        return (inputs[0][0], *self.windows.output(name, inputs[0]))

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.nn.functional.max_pool1d`` or ``max_pool2d``."""
        from torch.nn import functional

        pool = functional.max_pool1d if len(self.windows.kernel) == 1 else functional.max_pool2d
        return pool(inputs[0], self.windows.kernel, self.windows.stride, self.windows.padding)

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """The larger code is the larger value, with one fraction for all."""
        x = inputs[0].align()
        return Codes(self._largest(x.values), x.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends."""
        x = inputs[0]
        return Interval(self._largest(x.low), self._largest(x.high), x.fraction)

    def _largest(self, values: IntArray) -> IntArray:
        return reduce(np.maximum, self.windows.elements(values, LEAST))

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One MaxPool node."""
        writer.add("MaxPool", inputs, output, name, **self.windows.onnx_attributes())
