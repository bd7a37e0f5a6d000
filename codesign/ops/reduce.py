"""Sums, means and largest elements over axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._division import Reciprocal, reciprocal
from codesign.ops._windows import Values
from codesign.ops.onnx_calls import check_factor, check_single
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Reduction(Op):
    """One number for the elements along some axes.

    Args:
        axes: Which ones, the batch axis not counted.
        keepdim: Whether they stay, with one element each.
    """

    axes: Shape
    keepdim: bool = False

    @classmethod
    def from_torch(cls, call: TorchCall) -> Self:
        """From the function or the method, over any axes but the batch."""
        given = call.options("dim", "keepdim")
        axes = given.pop("dim", given.pop("axis", None))
        keepdim = bool(given.pop("keepdim", False))
        if given.pop("dtype", None) is not None or given or axes is None or axes == ():
            more = f" with {', '.join([*given, 'dtype'])}" if axes is not None and axes != () else ""
            found = f"a {cls.kind} over axes {[] if axes is None else axes}{more}"
            raise InputError(f"layer {call.path!r}", found, "over axes that are named, behind the batch")
        return cls(tuple(sorted(call.axes(axes))), keepdim)

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Self:
        """From ``ReduceSum``, ``ReduceMean`` or ``ReduceMax`` over axes that are named."""
        check_single(call)
        axes = call.axes(call.numbers(1, "axes"))
        if not axes:
            raise call.refused(f"a {cls.kind} over all axes", "over axes that are named, behind the batch")
        return cls(tuple(sorted(set(axes))), bool(call.attributes.get("keepdims", 1)))

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The other axes, and the kept ones."""
        if max(self.axes) >= len(inputs[0]):
            raise InputError(f"layer {name!r}", f"input of shape {list(inputs[0])}", f"{max(self.axes) + 1} axes")
        kept = [1 if axis in self.axes else size for axis, size in enumerate(inputs[0])]
        return tuple(size for axis, size in enumerate(kept) if self.keepdim or axis not in self.axes)

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]


@dataclass(frozen=True)
class Max(Reduction):
    """The largest element along some axes."""

    kind: ClassVar[str] = "max"
    arithmetic: ClassVar[bool] = False
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = ("torch.amax", "Tensor.amax")
    onnx_types: ClassVar[tuple[str, ...]] = ("ReduceMax",)

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``Tensor.amax``."""
        return inputs[0].amax([axis + 1 for axis in self.axes], keepdim=self.keepdim)

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """The largest code."""
        x = inputs[0].align()
        return Codes(x.values.max(tuple(axis + 1 for axis in self.axes), keepdims=self.keepdim), x.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends."""
        low, high = (end.max(self.axes, keepdims=self.keepdim) for end in (inputs[0].low, inputs[0].high))
        return Interval(low, high, inputs[0].fraction)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One ReduceMax node."""
        axes = [axis + 1 for axis in self.axes]
        writer.add("ReduceMax", inputs, output, name, axes=axes, keepdims=int(self.keepdim))


@dataclass(frozen=True)
class Sum(Reduction):
    """The sum over some axes."""

    kind: ClassVar[str] = "sum"
    torch_targets: ClassVar[tuple[str, ...]] = ("torch.sum", "Tensor.sum")
    onnx_types: ClassVar[tuple[str, ...]] = ("ReduceSum",)

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``Tensor.sum``, times one over the divisor."""
        total = inputs[0].sum([axis + 1 for axis in self.axes], keepdim=self.keepdim)
        divide = self._divide(tuple(inputs[0].shape[1:]))
        return total if divide.factor == 1 and divide.shift == 0 else total * divide.value

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """The sum, times the factor, with the shift's more fraction bits."""
        x = inputs[0].align()
        divide = self._divide(x.values.shape[1:])
        total = x.values.sum(tuple(axis + 1 for axis in self.axes), keepdims=self.keepdim)
        return Codes(total * divide.factor, x.fraction + divide.shift)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends."""
        x, divide = inputs[0], self._divide(inputs[0].low.shape)
        low, high = (self._sum(end) * divide.factor for end in (x.low, x.high))
        return Interval(low, high, x.fraction + divide.shift)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """The sum of the magnitudes bounds every partial sum."""
        x = inputs[0]
        ends = np.maximum(np.abs(x.low), np.abs(x.high)).astype(np.float64)
        return float(self._sum(ends).max()) * self._divide(x.low.shape).factor

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One ReduceSum node."""
        axes = writer.constant(f"{name}.axes", np.array([axis + 1 for axis in self.axes]))
        writer.add("ReduceSum", [inputs[0], axes], output, name, keepdims=int(self.keepdim))

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Every element gets it, times one over the divisor."""
        shape = tuple(inputs[0].shape[1:])
        for axis in () if self.keepdim else self.axes:
            gradients = gradients.unsqueeze(axis + 2)
        return [(gradients * self._divide(shape).value).expand(*gradients.shape[:2], *shape)]

    def _sum(self, values: Values) -> Values:
        return values.sum(self.axes, keepdims=self.keepdim)

    def _divide(self, shape: Shape) -> Reciprocal:
        """What the sum is multiplied with."""
        return Reciprocal(1, 0)


@dataclass(frozen=True)
class Mean(Sum):
    """The mean over some axes, as over the particles of a set, or over all positions.

    In integers it is the sum, with ``log2`` of the number of elements more fraction bits where that is a power of two,
    and times a rounded reciprocal where it is another number.
    """

    kind: ClassVar[str] = "mean"
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = ("torch.mean", "Tensor.mean")
    onnx_types: ClassVar[tuple[str, ...]] = ("ReduceMean", "GlobalAveragePool", "ReduceSum+Mul")

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Self:
        """From ``ReduceMean``, from pooling of all positions, or from a sum times one over the number of elements."""
        if call.op_type == "GlobalAveragePool":
            return cls(tuple(range(1, len(call.shapes[0]))), keepdim=True)
        made = super().from_onnx(call)
        if call.op_type == "ReduceSum+Mul":
            check_factor(call, 2, made._divide(call.shapes[0]).value)
        return made

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """ReduceSum and Mul: no executor's own division rounds."""
        total = f"{output}.sum"
        super().write_qonnx(writer, name, inputs, total)
        factor = writer.constant(f"{name}.reciprocal", np.array(self._divide(writer.input_shapes[0]).value))
        writer.add("Mul", [total, factor], output, f"{name}.mul")

    def _divide(self, shape: Shape) -> Reciprocal:
        return reciprocal(prod(shape[axis] for axis in self.axes))
