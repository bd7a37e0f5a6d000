"""Sums and differences of branches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._broadcast import Pairwise, aligned, largest, summed
from codesign.ops.affine import Affine, affine, with_number
from codesign.ops.batchnorm import with_constant
from codesign.ops.dyadic import Dyadic
from codesign.ops.identity import Identity
from codesign.ops.op import OnnxCall, Op, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Add(Pairwise):
    """The sum of two tensors, as where a residual branch comes back; axes of one element go along with others."""

    kind: ClassVar[str] = "add"
    result: ClassVar[str] = "a sum"
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
    def from_torch(cls, call: TorchCall) -> Add | Affine | Identity:
        """From ``+``, ``+=``, the function or the method, of two tensors or a tensor and a number."""
        number, _ = with_number(call, "a tensor plus")
        return cls() if number is None else affine(offset=number)

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Op:
        """From ``Add`` of two tensors, or of a tensor and a constant."""
        return with_constant(call) if call.constants else cls()

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.add``."""
        return inputs[0] + inputs[1]

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Exact at the finer of the two fractions."""
        (first, second), fraction = aligned(inputs)
        return Codes(first.values + second.values, fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Lows add to the low, highs to the high."""
        fraction = max(x.fraction for x in inputs)
        first, second = (x.align(fraction) for x in inputs)
        return Interval(first.low + second.low, first.high + second.high, fraction)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """Both magnitudes together."""
        return sum(largest(inputs)[0])

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Both inputs get all of it."""
        return [summed(gradients, tuple(x.shape[1:])) for x in inputs]


@dataclass(frozen=True)
class Sub(Pairwise):
    """The difference of two tensors, the first minus the second; axes of one element go along with others."""

    kind: ClassVar[str] = "sub"
    result: ClassVar[str] = "a difference"
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("operator.sub", "operator.isub", "torch.sub", "torch.subtract", "torch.rsub"),
        *("Tensor.sub", "Tensor.sub_", "Tensor.subtract"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Sub",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> Sub | Affine | Identity:
        """From ``-``, ``-=``, the function or the method, of two tensors or a tensor and a number."""
        reverse = call.target == "torch.rsub"
        number, _ = with_number(call, "a tensor minus")
        if number is None:
            return cls()
        return Affine(Dyadic(-1, 0), number) if reverse or call.first == 1 else affine(offset=number.negated())

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Op:
        """From ``Sub`` of two tensors, or of a tensor and a constant."""
        return with_constant(call) if call.constants else cls()

    def signed(self, inputs: list[bool]) -> bool:
        """What is taken away may be larger."""
        return True

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.sub``."""
        return inputs[0] - inputs[1]

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Exact at the finer of the two fractions."""
        (first, second), fraction = aligned(inputs)
        return Codes(first.values - second.values, fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """From the low minus the high to the high minus the low."""
        fraction = max(x.fraction for x in inputs)
        first, second = (x.align(fraction) for x in inputs)
        return Interval(first.low - second.high, first.high - second.low, fraction)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """Both magnitudes together."""
        return sum(largest(inputs)[0])

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """The second gets minus all of it."""
        signs = zip((gradients, -gradients), inputs, strict=True)
        return [summed(gradient, tuple(x.shape[1:])) for gradient, x in signs]
