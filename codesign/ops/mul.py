"""Products of two activations, as where a gate opens a branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._broadcast import Pairwise, summed
from codesign.ops.affine import Affine, affine, with_number
from codesign.ops.batchnorm import with_constant
from codesign.ops.identity import Identity
from codesign.ops.op import OnnxCall, Op, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Mul(Pairwise):
    """The product of two tensors, element by element; axes of one element go along with others."""

    kind: ClassVar[str] = "mul"
    result: ClassVar[str] = "a product"
    reads_quantized: ClassVar[bool] = True
    piecewise_linear: ClassVar[bool] = False
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("operator.mul", "operator.imul", "torch.mul", "torch.multiply"),
        *("Tensor.mul", "Tensor.mul_", "Tensor.multiply"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Mul", "Div")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Mul | Affine | Identity:
        """From ``*``, ``*=``, the function or the method, of two tensors or a tensor and a number."""
        number, _ = with_number(call, "a tensor times")
        return cls() if number is None else affine(scale=number)

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Op:
        """From ``Mul`` of two tensors, or of a tensor and a constant, or from ``Div`` by one."""
        return with_constant(call) if call.constants or call.op_type == "Div" else cls()

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.mul``."""
        return inputs[0] * inputs[1]

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Codes multiply, fractions add."""
        first, second = (x.align() for x in inputs)
        return Codes(first.values * second.values, first.fraction + second.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """The ends are products of ends."""
        first, second = inputs
        corners = [one * other for one in (first.low, first.high) for other in (second.low, second.high)]
        return Interval(reduce(np.minimum, corners), reduce(np.maximum, corners), first.fraction + second.fraction)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """In floats: the product may leave int64."""
        first, second = (float(max(-int(x.low.min()), int(x.high.max()), 0)) for x in inputs)
        return first * second

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Each gets it times the other."""
        first, second = inputs
        pairs = ((first, second), (second, first))
        return [summed(gradients * other.unsqueeze(1), tuple(own.shape[1:])) for own, other in pairs]
