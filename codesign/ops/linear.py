"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._parameters import weight_and_bias
from codesign.ops.op import Detail, OnnxCall, Op, QonnxWriter, Shape, SquaredGradients, TorchCall, Work
from codesign.ops.squares import outer_squares, product_squares, sum_squares

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Linear(Op):
    """``y = x W^T + b`` on the last axis.

    Args:
        weight: Name of the weight parameter, ``[out_features, in_features]``.
        bias: Name of the bias parameter, ``[out_features]``; None if there is none.
    """

    weight: str
    bias: str | None = None

    kind: ClassVar[str] = "linear"
    torch_targets: ClassVar[tuple[str, ...]] = ("nn.Linear", "F.linear")
    onnx_types: ClassVar[tuple[str, ...]] = ("Gemm", "MatMul")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Linear:
        """From ``nn.Linear``, or from the function with parameters."""
        return cls(*weight_and_bias(call, "weight", "bias"))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Linear:
        """From ``Gemm``, or ``MatMul`` with an ``Add`` after it as a third input; by a constant on the right."""
        matrix = call.constant(1, "matrix on the right")
        transposed = call.op_type == "MatMul" or not call.attributes.get("transB", 0)
        if matrix.ndim != 2 or 0 in call.constants or call.attributes.get("transA", 0):
            raise call.refused(f"a product with a constant of shape {list(matrix.shape)}", "x W or x W^T + b, W in 2-D")
        weight = matrix.T if transposed else matrix
        name = call.parameter("weight", weight * call.attributes.get("alpha", 1.0), 1, transposed)
        if 2 not in call.constants:
            return cls(name)
        bias = call.constants[2]
        if bias.size not in (1, len(weight)) or bias.shape[-1:] not in ((), (1,), (len(weight),)):
            raise call.refused(f"a bias of shape {list(bias.shape)}", f"[{len(weight)}]")
        values = np.broadcast_to(bias.reshape(-1), (len(weight),)) * call.attributes.get("beta", 1.0)
        return cls(name, call.parameter("bias", values, 2))

    def parameters(self) -> dict[str, str]:
        """Weight, and bias if there is one."""
        return {"weight": self.weight} | ({} if self.bias is None else {"bias": self.bias})

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """``[..., in_features]`` to ``[..., out_features]``."""
        out_features, in_features = parameters[self.weight].shape
        if inputs[0][-1] != in_features:
            raise InputError(
                f"layer {name!r}",
                f"input with {inputs[0][-1]} features (shape {list(inputs[0])})",
                f"{in_features} features, by {self.weight} {[out_features, in_features]}",
            )
        return (*inputs[0][:-1], out_features)

    def signed(self, inputs: list[bool]) -> bool:
        """Sums of signed products can be negative."""
        return True

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.nn.functional.linear``."""
        from torch.nn import functional

        return functional.linear(inputs[0], parameters["weight"], parameters.get("bias"))

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Exact products and sums; the fraction is the products', or the bias's where that is finer."""
        x, weight = inputs[0].align(), parameters["weight"].align()
        product = Codes(x.values @ weight.values.T, x.fraction + weight.fraction)
        if "bias" not in parameters:
            return product
        bias = parameters["bias"].align()
        fraction = int(max(np.max(product.fraction), np.max(bias.fraction)))
        return Codes(product.align(fraction).values + bias.align(fraction).values, fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Positive weights carry low to low, negative ones high to low."""
        x, weight, bias = self._aligned(inputs[0], parameters)
        positive, negative = np.maximum(weight, 0).T, np.minimum(weight, 0).T
        low, high = x.low @ positive + x.high @ negative, x.high @ positive + x.low @ negative
        fraction = int(np.max(bias.fraction))
        shift = fraction - x.fraction - int(np.max(parameters["weight"].align().fraction))
        return Interval((low << shift) + bias.values, (high << shift) + bias.values, fraction)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """``sum |w| max|x| + |b|`` bounds every partial sum, in whatever order it is taken."""
        x, weight, bias = self._aligned(inputs[0], parameters)
        largest = np.maximum(np.abs(x.low), np.abs(x.high)).astype(np.float64)
        shift = int(np.max(bias.fraction)) - x.fraction - int(np.max(parameters["weight"].align().fraction))
        products = largest @ np.abs(weight.T).astype(np.float64) * 2.0**shift
        return float((products + np.abs(bias.values)).max())

    @staticmethod
    def _aligned(x: Interval, parameters: Mapping[str, Codes]) -> tuple[Interval, IntArray, Codes]:
        """Input, weight codes, and the bias (zero if there is none) at the output's fraction."""
        weight = parameters["weight"].align()
        fraction = x.fraction + int(np.max(weight.fraction))
        bias = parameters["bias"].align() if "bias" in parameters else Codes(np.zeros(1, np.int64), fraction)
        return x, weight.values, bias.align(max(fraction, int(np.max(bias.fraction))))

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """MatMul and Add: what hls4ml turns into one dense layer."""
        weight = writer.parameter(self.weight, transpose=True)
        if self.bias is None:
            writer.add("MatMul", [inputs[0], weight], output, name)
            return
        product = writer.add("MatMul", [inputs[0], weight], f"{output}.product", name)
        writer.add("Add", [product, writer.parameter(self.bias)], output, f"{name}.add")

    def work(self, inputs: list[Shape], output: Shape) -> Work:
        """One product per weight and position."""
        return Work(prod(output) * inputs[0][-1], inputs[0][-1])

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """``g W``."""
        return [gradients @ parameters["weight"]]

    def squared_gradients(self, inputs: list[Tensor], gradients: Tensor, detail: Detail) -> dict[str, SquaredGradients]:
        """The gradient of the weight is ``g x^T``: at one position, its square is ``g^2 (x^2)^T``."""
        x = inputs[0]
        if x.dim() == 2:
            bias = sum_squares(gradients, detail)
            weight = outer_squares(x, bias, detail)
        else:
            patches, at = x.flatten(1, -2).mT, gradients.flatten(2, -2).mT
            bias = sum_squares(at.sum(-1), detail)
            weight = product_squares(patches, at, detail)
        return {"weight": weight} | ({} if self.bias is None else {"bias": bias})
