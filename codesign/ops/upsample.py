"""Upsampling by repetition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._windows import check_axes
from codesign.ops.onnx_calls import LARGEST, check_single
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor

#: Ways to find the nearest element, and how they round, that repeat each: ``floor(i / factor)`` for all of them.
REPEATING = {
    ("asymmetric", "floor"),
    *((mode, "round") for mode in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel")),
}


@dataclass(frozen=True)
class Upsample(Op):
    """Every element several times along the position axes (nearest neighbour).

    Args:
        factors: How often, for each position axis.
    """

    factors: Shape

    kind: ClassVar[str] = "upsample"
    arithmetic: ClassVar[bool] = False
    moves_data: ClassVar[bool] = True
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("nn.Upsample", "nn.UpsamplingNearest2d", "F.interpolate", "F.upsample"),
        *("aten.upsample_nearest1d", "aten.upsample_nearest2d"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Resize",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> Upsample:
        """From the modules or the function: nearest neighbours, whole factors."""
        given = call.options("size", "scale_factor", "mode")
        mode, axes = given.get("mode", "nearest"), call.shapes[0][1:]
        if "aten" in call.target:
            mode = "nearest"
        if not str(mode).startswith("nearest"):
            raise InputError(f"layer {call.path!r}", f"upsampling with mode {mode!r}", "'nearest'")
        check_axes(call.path, call.shapes[0], 1 if len(axes) == 1 else 2)
        size, factor = given.get("size"), given.get("scale_factor")
        found = [wanted / axis for wanted, axis in zip(_each(size, axes), axes, strict=True)] if size else None
        factors = _each(factor, axes) if found is None else found
        if not all(number >= 1 and number == int(number) for number in factors):
            raise InputError(f"layer {call.path!r}", f"upsampling by {list(factors)}", "whole factors from 1 up")
        return cls(tuple(int(number) for number in factors))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Upsample:
        """From ``Resize`` to nearest neighbours, by whole factors."""
        check_single(call)
        mode = call.attributes.get("mode", "nearest")
        where = call.attributes.get("coordinate_transformation_mode", "half_pixel")
        to = call.attributes.get("nearest_mode", "round_prefer_floor")
        if mode != "nearest" or (where, to.partition("_")[0]) not in REPEATING or "axes" in call.attributes:
            raise call.refused(f"mode {mode!r}, {where!r}, {to!r}", "'nearest' so that each element is repeated")
        if 2 in call.constants and call.constants[2].size:
            found = call.constants[2].reshape(-1).tolist()[1:]
        else:
            sizes = call.constant(3, "scales or sizes").reshape(-1).tolist()[1:]
            found = [size / axis for size, axis in zip(sizes, call.shapes[0], strict=True)]
        check_axes(call.name, call.shapes[0], len(found) - 1)
        if found[0] != 1 or not all(1 <= number <= LARGEST and number == int(number) for number in found):
            raise call.refused(f"upsampling by {found}", "whole factors from 1 up, behind the channels")
        return cls(tuple(int(number) for number in found[1:]))

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """``[channels, *positions]``."""
        check_axes(name, inputs[0], len(self.factors))
        return (inputs[0][0], *(size * factor for size, factor in zip(inputs[0][1:], self.factors, strict=True)))

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``Tensor.repeat_interleave`` along each axis."""
        x = inputs[0]
        for axis, factor in enumerate(self.factors):
            x = x.repeat_interleave(factor, axis + 2)
        return x

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Codes are repeated, not changed."""
        x = inputs[0].align()
        return Codes(self._repeat(x.values), x.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Bounds are repeated, not changed."""
        x = inputs[0]
        return Interval(self._repeat(x.low), self._repeat(x.high), x.fraction)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Resize node."""
        scales = writer.constant(f"{name}.scales", np.array([1.0, 1.0, *self.factors]))
        nearest: dict[str, Any] = {
            "coordinate_transformation_mode": "asymmetric",
            "mode": "nearest",
            "nearest_mode": "floor",
        }
        writer.add("Resize", [inputs[0], "", scales], output, name, **nearest)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Every element gets what its copies get."""
        for axis, factor in enumerate(self.factors):
            shape = gradients.shape
            gradients = gradients.reshape(*shape[: axis + 3], -1, factor, *shape[axis + 4 :]).sum(axis + 4)
        return [gradients]

    def _repeat(self, values: IntArray) -> IntArray:
        for axis, factor in enumerate(self.factors):
            values = np.repeat(values, factor, axis - len(self.factors))
        return values


def _each(given: float | Sequence[float] | None, axes: Shape) -> tuple[float, ...]:
    """One number for each axis; torch lets one stand for all."""
    return tuple(given) if isinstance(given, Sequence) else (given or 0,) * len(axes)
