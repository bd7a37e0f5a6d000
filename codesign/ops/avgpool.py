"""Average pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._division import Reciprocal, reciprocal
from codesign.ops._windows import Values, Windows, check_axes, per_axis, pooling
from codesign.ops.onnx_calls import check_factor, pooling_windows
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall
from codesign.ops.reduce import Mean

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class AvgPool(Op):
    """The mean of every window, per channel; padding counts as zeros.

    In integers it is the sum of the window, with ``log2`` of its size more fraction bits where that is a power of two,
    and times a rounded reciprocal where it is another number.

    Args:
        windows: What an output position sees.
    """

    windows: Windows

    kind: ClassVar[str] = "avgpool"
    #: Where padding is averaged in, less of it.
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("nn.AvgPool1d", "nn.AvgPool2d", "torch.avg_pool1d", "F.avg_pool2d"),
        *("nn.AdaptiveAvgPool1d", "nn.AdaptiveAvgPool2d", "torch.adaptive_avg_pool1d", "F.adaptive_avg_pool2d"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("AveragePool", "Conv+Mul")

    @classmethod
    def from_torch(cls, call: TorchCall) -> AvgPool | Mean:
        """From the module or the function, when all windows are divided by their size."""
        if "adaptive" in call.target.lower():
            return _adaptive(call)
        names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
        windows, rest = pooling(call, names)
        if any(windows.padding) and not rest.get("count_include_pad", True):
            raise InputError(
                f"layer {call.path!r}",
                "average pooling with padding and count_include_pad=False",
                "count_include_pad=True, or no padding",
            )
        if rest.get("divisor_override") is not None:
            raise InputError(
                f"layer {call.path!r}", f"divisor_override {rest['divisor_override']}", "the size of the window"
            )
        return cls(windows)

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> AvgPool:
        """From ``AveragePool``, when all windows are divided by their size; or from sums by ones, and ``Mul``."""
        windows = pooling_windows(call)
        if call.op_type == "Conv+Mul":
            ones, channels = call.constant(1, "ones"), call.shapes[0][0]
            if (
                ones.shape != (channels, 1, *windows.kernel)
                or (ones != 1).any()
                or call.attributes["group"] != channels
            ):
                raise call.refused("a convolution and a product", "sums of each channel's windows")
            check_factor(call, 2, reciprocal(prod(windows.kernel)).value)
            return cls(windows)
        if any(windows.padding) and not call.attributes.get("count_include_pad", 0):
            raise call.refused("average pooling with padding that does not count", "count_include_pad=1, or no padding")
        return cls(windows)

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """``[channels, *positions]``."""
        return (inputs[0][0], *self.windows.output(name, inputs[0]))

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.nn.functional.avg_pool1d`` or ``avg_pool2d``; sums, times the reciprocal, where that differs."""
        from torch.nn import functional

        windows, one_axis = self.windows, len(self.windows.kernel) == 1
        if self._divide.factor == 1:
            pool = functional.avg_pool1d if one_axis else functional.avg_pool2d
            return pool(inputs[0], windows.kernel, windows.stride, windows.padding)
        if not one_axis:
            return self._sums(inputs[0], windows) * self._divide.value
        flat = Windows((1, *windows.kernel), (1, *windows.stride), (0, *windows.padding), (1, 1))
        return self._sums(inputs[0].unsqueeze(-2), flat).squeeze(-2) * self._divide.value

    @staticmethod
    def _sums(x: Tensor, windows: Windows) -> Tensor:
        from torch.nn import functional

        options = (windows.kernel, windows.stride, windows.padding)
        return functional.avg_pool2d(x, *options, divisor_override=1)

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """The window's sum, times the factor, with the shift's more fraction bits."""
        x = inputs[0].align()
        return Codes(self._sum(x.values) * self._divide.factor, x.fraction + self._divide.shift)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends."""
        x = inputs[0]
        low, high = (self._sum(end) * self._divide.factor for end in (x.low, x.high))
        return Interval(low, high, x.fraction + self._divide.shift)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """The sum of the magnitudes bounds every partial sum."""
        x = inputs[0]
        ends = np.maximum(np.abs(x.low), np.abs(x.high)).astype(np.float64)
        return float(self._sum(ends).max()) * self._divide.factor

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One AveragePool node; sums by a convolution with ones, and Mul, where its division would round."""
        options: dict[str, Any] = self.windows.onnx_attributes()
        if self._divide.factor == 1:
            writer.add("AveragePool", inputs, output, name, **options, count_include_pad=1)
            return
        channels = writer.input_shapes[0][0]
        ones = writer.constant(f"{name}.ones", np.ones((channels, 1, *self.windows.kernel)))
        factor = writer.constant(f"{name}.reciprocal", np.array(self._divide.value))
        total = writer.add("Conv", [inputs[0], ones], f"{output}.sum", name, **options, group=channels)
        writer.add("Mul", [total, factor], output, f"{name}.mul")

    def _sum(self, values: Values) -> Values:
        return reduce(np.add, self.windows.elements(values))

    @property
    def _divide(self) -> Reciprocal:
        return reciprocal(prod(self.windows.kernel))


def _adaptive(call: TorchCall) -> AvgPool | Mean:
    """Windows of one size, or all positions.

    Raises:
        InputError: The windows would differ in size.
    """
    rank, shape = 1 if call.target.endswith("1d") else 2, call.shapes[0]
    check_axes(call.path, shape, rank)
    given = call.options("output_size")["output_size"]
    sizes = zip(per_axis(given, rank), shape[1:], strict=True)
    wanted = [size or axis for size, axis in sizes]  # None keeps an axis
    if any(axis % size for size, axis in zip(wanted, shape[1:], strict=True)):
        found = f"adaptive average pooling of {list(shape[1:])} to {given}"
        raise InputError(f"layer {call.path!r}", found, "to a divisor", "use average pooling with a fixed window")
    if all(size == 1 for size in wanted):
        return Mean(tuple(range(1, rank + 1)), keepdim=True)
    kernel = tuple(axis // size for size, axis in zip(wanted, shape[1:], strict=True))
    return AvgPool(Windows(kernel, kernel, (0,) * rank, (1,) * rank))
