"""A tensor times a constant, plus a constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._broadcast import aligned
from codesign.ops.dyadic import ONE, ZERO, Constant, Dyadic, Dyadics, constant, require_fit
from codesign.ops.identity import Identity
from codesign.ops.op import OnnxCall, Op, Parameter, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Affine(Op):
    """``scale * x + offset`` with two constants, for the whole tensor or for each feature.

    Args:
        scale: A number that few bits hold, or several.
        offset: Another one.
    """

    scale: Constant = ONE
    offset: Constant = ZERO

    kind: ClassVar[str] = "affine"
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("operator.neg", "torch.neg", "torch.negative", "Tensor.neg", "Tensor.negative"),
        *("operator.truediv", "operator.itruediv", "torch.div", "torch.divide", "Tensor.div", "Tensor.div_"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Neg", "Mul+Add")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Affine | Identity:
        """From ``-x``, or from ``x / number``, if few bits hold one over the number."""
        if "neg" in call.target:
            return cls(Dyadic(-1, 0))
        given = call.options("other")
        if len(call.shapes) != 1 or call.first != 0 or set(given) != {"other"}:
            more = sorted(set(given) - {"other"})
            found = f"a division with {', '.join(more)}" if more else "a division by a tensor"
            raise InputError(f"layer {call.path!r}", found, "a tensor divided by a number")
        number = given["other"]
        what = f"a tensor divided by {number.name if isinstance(number, Parameter) else number}, that is times"
        return affine(scale=constant(call.path, what, _one_over(number), len(call.shapes[0])))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Affine | Identity:
        """From ``Neg``, or from a product and a sum with constants that are one layer."""
        if call.op_type == "Neg":
            return cls(Dyadic(-1, 0))
        numbers, rank = (call.constant(1, "factor"), call.constant(2, "offset")), len(call.shapes[0])
        return affine(*(constant(call.name, "a tensor times and plus", each, rank) for each in numbers))

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape."""
        require_fit(name, "factors", self.scale, inputs[0])
        require_fit(name, "offsets", self.offset, inputs[0])
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """Unless nothing of it can be negative."""
        return inputs[0] or bool(np.any(self.scale.values < 0) or np.any(self.offset.values < 0))

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``x * scale + offset``."""
        return inputs[0] * self.scale.like(inputs[0]) + self.offset.like(inputs[0])

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Exact at the finer fraction of product and offset."""
        x = inputs[0].align()
        return self._plus(x.values * self.scale.code, int(np.max(x.fraction)) + self.scale.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone; a negative scale changes the ends over."""
        x, (low, high) = inputs[0], self._ends(inputs[0])
        found = [self._plus(end * self.scale.code, x.fraction + self.scale.fraction) for end in (low, high)]
        return Interval(found[0].values, found[1].values, int(np.max(found[0].fraction)))

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """Of the product and the offset together."""
        x = inputs[0]
        fraction = x.fraction + self.scale.fraction
        finest = max(fraction, self.offset.fraction)
        products = np.maximum(-x.low.astype(np.float64), x.high) * np.abs(self.scale.code) * 2.0 ** (finest - fraction)
        return float(np.max(np.abs(products) + np.abs(self.offset.values) * 2.0**finest))

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """Mul and Add; one of them where that is enough, and numbers are few: one per channel may be batch norm's."""
        scaled, several = inputs[0], isinstance(self.scale, Dyadics) or isinstance(self.offset, Dyadics)
        both = several or (self.scale != ONE and self.offset != ZERO)
        if both or self.offset == ZERO:
            factor = writer.constant(f"{name}.scale", self.scale.values)
            scaled = writer.add("Mul", [scaled, factor], f"{output}.product" if both else output, name)
        if both or self.offset != ZERO:
            shift = writer.constant(f"{name}.offset", self.offset.values)
            writer.add("Add", [scaled, shift], output, f"{name}.add" if both else name)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Times the scale."""
        return [gradients * self.scale.like(gradients)]

    def _ends(self, x: Interval) -> tuple[IntArray, IntArray]:
        down = np.asarray(self.scale.code) < 0
        return np.where(down, x.high, x.low), np.where(down, x.low, x.high)

    def _plus(self, products: IntArray, fraction: int) -> Codes:
        if self.offset == ZERO:
            return Codes(products, fraction)
        (product, offset), finest = aligned([Codes(products, fraction), self.offset.codes()])
        return Codes(product.values + offset.values, finest)


def affine(scale: Constant = ONE, offset: Constant = ZERO) -> Affine | Identity:
    """The operation, or none where it does nothing."""
    return Identity() if (scale, offset) == (ONE, ZERO) else Affine(scale, offset)


def with_number(call: TorchCall, what: str) -> tuple[Constant | None, dict[str, Any]]:
    """The constant that a call of two operands is given in place of a tensor, and its other options.

    Args:
        call: Of an operator, a function or a method.
        what: What a number does there, for messages, as in "a tensor plus".

    Returns:
        The constant, or None where both operands are tensors.

    Raises:
        InputError: It is no number that few bits hold, or the sum is weighted.
    """
    options = dict(call.keywords)
    if options.pop("alpha", 1) != 1:
        raise InputError(f"layer {call.path!r}", f"a sum with alpha {call.keywords['alpha']}", "alpha 1")
    rank = len(call.shapes[0])
    if len(call.shapes) > 1:
        return None, options
    numbers: list[Any] = [*call.arguments, *(options.pop(key) for key in ("other", "input") if key in options)]
    if len(numbers) != 1:
        raise InputError(f"layer {call.path!r}", f"{len(numbers) + 1} operands", "two")
    return constant(call.path, what, numbers[0], rank), options


def _one_over(given: Any) -> Any:
    """The reciprocal of a number, or of a constant tensor's; what is neither, or zero, as it is."""
    if isinstance(given, Parameter):
        values = given.values
        return given if values is None or not np.all(values) else replace(given, values=1 / np.asarray(values))
    return 1 / given if isinstance(given, int | float) and given else given
