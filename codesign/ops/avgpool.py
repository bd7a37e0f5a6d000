"""Average pooling: over windows, and over all positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._onnx import pooling_windows
from codesign.ops._windows import Values, Windows, check_axes, options_of, pooling
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class AvgPool(Op):
    """The mean of every window, per channel; padding counts as zeros.

    In integers it is the sum of the window, with ``log2`` of its size more fraction bits: any size runs in floats, and
    powers of two are exact.

    Args:
        name: The layer's name, for messages.
        windows: What an output position sees.
    """

    name: str
    windows: Windows

    kind: ClassVar[str] = "avgpool"
    #: Where padding is averaged in, less of it.
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = ("nn.AvgPool1d", "nn.AvgPool2d", "torch.avg_pool1d", "F.avg_pool2d")
    onnx_types: ClassVar[tuple[str, ...]] = ("AveragePool",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> AvgPool:
        """From the module or the function, when all windows are divided by their size."""
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
        return cls(call.path, windows)

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> AvgPool:
        """From ``AveragePool``, when all windows are divided by their size."""
        windows = pooling_windows(call)
        if any(windows.padding) and not call.attributes.get("count_include_pad", 0):
            raise call.refused("average pooling with padding that does not count", "count_include_pad=1, or no padding")
        return cls(call.name, windows)

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """``[channels, *positions]``."""
        return (inputs[0][0], *self.windows.output(name, inputs[0]))

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.nn.functional.avg_pool1d`` or ``avg_pool2d``."""
        from torch.nn import functional

        pool = functional.avg_pool1d if len(self.windows.kernel) == 1 else functional.avg_pool2d
        return pool(inputs[0], self.windows.kernel, self.windows.stride, self.windows.padding)

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """The window's sum; dividing it moves the binary point."""
        x = inputs[0].align()
        return Codes(self._sum(x.values), x.fraction + self._bits())

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends."""
        x = inputs[0]
        return Interval(self._sum(x.low), self._sum(x.high), x.fraction + self._bits())

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """The sum of the magnitudes bounds every partial sum."""
        return float(self._sum(_magnitudes(inputs[0])).max())

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One AveragePool node."""
        self._bits()
        writer.add("AveragePool", inputs, output, name, **self.windows.onnx_attributes(), count_include_pad=1)

    def _sum(self, values: Values) -> Values:
        return reduce(np.add, self.windows.elements(values))

    def _bits(self) -> int:
        return _division_bits(self.name, prod(self.windows.kernel))


@dataclass(frozen=True)
class GlobalAvgPool(Op):
    """The mean over all positions, per channel.

    In integers it is their sum, with ``log2`` of their number more fraction bits, as in ``AvgPool``.

    Args:
        name: The layer's name, for messages.
        rank: Number of position axes.
        keepdim: Whether they stay, with one element each.
    """

    name: str
    rank: int
    keepdim: bool

    kind: ClassVar[str] = "global_avgpool"
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        "nn.AdaptiveAvgPool1d",
        "nn.AdaptiveAvgPool2d",
        "torch.adaptive_avg_pool1d",
        "F.adaptive_avg_pool2d",
        "torch.mean",
        "Tensor.mean",
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("GlobalAveragePool", "ReduceMean")

    @classmethod
    def from_torch(cls, call: TorchCall) -> GlobalAvgPool:
        """From adaptive pooling to one position, or from a mean over the last one or two axes."""
        if call.target.endswith("mean"):
            given = options_of(call, ("dim", "keepdim"))
            axes = given.pop("dim", None)
            axes = (axes,) if isinstance(axes, int) else tuple(axes or ())
            rank, keepdim = len(axes), bool(given.pop("keepdim", False))
            spatial = sorted(axis + rank + 2 if axis < 0 else axis for axis in axes) == list(range(2, rank + 2))
            if rank not in (1, 2) or not spatial or given:
                raise InputError(
                    f"layer {call.path!r}",
                    f"a mean over axes {list(axes)}" + (f" with {', '.join(given)}" if given else ""),
                    "over all axes after the channels: 2, or 2 and 3",
                )
            return cls(call.path, rank, keepdim)
        size = options_of(call, ("output_size",))["output_size"]
        if size not in (1, (1,), (1, 1), [1], [1, 1]):
            raise InputError(
                f"layer {call.path!r}",
                f"adaptive average pooling to {size}",
                "to 1 position",
                "use average pooling with a fixed window",
            )
        return cls(call.path, 1 if call.target.endswith("1d") else 2, True)

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> GlobalAvgPool:
        """From ``GlobalAveragePool``, or ``ReduceMean`` over all positions."""
        rank = len(call.shapes[0]) - 1
        if call.op_type == "GlobalAveragePool":
            return cls(call.name, rank, True)
        given = call.constants[1].reshape(-1).tolist() if 1 in call.constants else call.attributes.get("axes", ())
        axes = sorted(int(axis) + rank + 2 if axis < 0 else int(axis) for axis in given)
        if rank not in (1, 2) or axes != list(range(2, rank + 2)):
            raise call.refused(f"a mean over axes {list(given)}", "over all axes after the channels: 2, or 2 and 3")
        return cls(call.name, rank, bool(call.attributes.get("keepdims", 1)))

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """``[channels]``, and the kept axes."""
        check_axes(name, inputs[0], self.rank)
        return (inputs[0][0], *[1] * (self.rank * self.keepdim))

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``Tensor.mean``."""
        return inputs[0].mean(self._axes(), keepdim=self.keepdim)

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """The sum; dividing it moves the binary point."""
        x = inputs[0].align()
        return Codes(self._sum(x.values), x.fraction + self._bits(x.values))

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends."""
        x = inputs[0]
        return Interval(self._sum(x.low), self._sum(x.high), x.fraction + self._bits(x.low))

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """The sum of the magnitudes bounds every partial sum."""
        return float(self._sum(_magnitudes(inputs[0])).max())

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One ReduceMean node."""
        writer.add("ReduceMean", inputs, output, name, axes=list(self._axes()), keepdims=int(self.keepdim))

    def _axes(self) -> tuple[int, ...]:
        return tuple(range(2, self.rank + 2))

    def _sum(self, values: Values) -> Values:
        return values.sum(tuple(range(-self.rank, 0)), keepdims=self.keepdim)

    def _bits(self, values: IntArray) -> int:
        return _division_bits(self.name, prod(values.shape[-self.rank :]))


def _magnitudes(x: Interval) -> FloatArray:
    """Largest absolute value of every element, in floats, which don't overflow."""
    return np.maximum(np.abs(x.low), np.abs(x.high)).astype(np.float64)


def _division_bits(name: str, count: int) -> int:
    """Fraction bits that dividing by a number of elements adds.

    Raises:
        InputError: It is no power of two, and the quotient has no exact fixed-point form.
    """
    if count & (count - 1):
        raise InputError(
            f"layer {name!r}",
            f"an average over {count} elements, which no number of fraction bits holds exactly",
            "windows of 1, 2, 4, 8, ... elements",
            "change the window or the size of what it covers, or use max pooling",
        )
    return count.bit_length() - 1
