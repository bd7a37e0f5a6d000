"""Convolutions over one or two axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._parameters import weight_and_bias
from codesign.ops._windows import Values, Windows, per_axis
from codesign.ops.onnx_calls import windows_of
from codesign.ops.op import Detail, OnnxCall, Op, QonnxWriter, Shape, SquaredGradients, TorchCall, Work
from codesign.ops.squares import product_squares, sum_squares

if TYPE_CHECKING:
    from torch import Tensor

#: Most numbers that are laid out for products at once, 64 MiB of them.
MOST_ELEMENTS = 2**23
#: Of the functions, in torch's order.
OPTIONS = ("weight", "bias", "stride", "padding", "dilation", "groups")


@dataclass(frozen=True)
class Conv(Op):
    """``y[o, p] = b[o] + sum over c, k of w[o, c, k] x[c, p * stride + k * dilation - padding]``, zeros outside.

    Args:
        weight: Name of the weight parameter, ``[out_channels, in_channels / groups, *kernel]``.
        bias: Name of the bias parameter, ``[out_channels]``; None if there is none.
        windows: What an output position sees.
        groups: Groups of channels that don't see each other.
    """

    weight: str
    bias: str | None
    windows: Windows
    groups: int = 1

    kind: ClassVar[str] = "conv"
    torch_targets: ClassVar[tuple[str, ...]] = (*("nn.Conv1d", "nn.Conv2d", "torch.conv1d", "torch.conv2d"),)
    onnx_types: ClassVar[tuple[str, ...]] = ("Conv",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> Conv:
        """From the module, or the function with parameters: zero padding, as much before as after."""
        weight, bias = weight_and_bias(call, *OPTIONS)
        if call.module is not None:
            shape, given = tuple(call.module.weight.shape), call.options(*OPTIONS[2:], "padding_mode")
        else:
            options = call.options(*OPTIONS)
            shape, given = options["weight"].shape, options
        rank = len(shape) - 2
        stride, dilation = (per_axis(given.get(name, 1), rank) for name in ("stride", "dilation"))
        padding = _padding(call.path, given.get("padding", 0), shape[2:], dilation)
        mode = given.get("padding_mode", "zeros")
        if mode != "zeros" and any(padding):
            raise InputError(f"layer {call.path!r}", f"padding_mode {mode!r}", "'zeros'")
        return cls(weight, bias, Windows(shape[2:], stride, padding, dilation), given.get("groups", 1))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Conv:
        """From ``Conv`` with constant weights, as many zeros before as after."""
        weight, groups = call.constant(1, "weight"), int(call.attributes.get("group", 1))
        if weight.ndim not in (3, 4):
            raise call.refused(
                f"a weight of shape {list(weight.shape)}", "[out, in, length] or [out, in, height, width]"
            )
        if groups < 1 or len(weight) % groups:
            raise call.refused(f"{groups} groups of {len(weight)} output channels", "groups of equal size")
        windows = windows_of(call, weight.shape[2:])
        bias = call.parameter("bias", call.constants[2], 2) if 2 in call.constants else None
        if bias is not None and call.constants[2].shape != (len(weight),):
            raise call.refused(f"a bias of shape {list(call.constants[2].shape)}", f"[{len(weight)}]")
        return cls(call.parameter("weight", weight, 1), bias, windows, groups)

    def parameters(self) -> dict[str, str]:
        """Weight, and bias if there is one."""
        return {"weight": self.weight} | ({} if self.bias is None else {"bias": self.bias})

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """``[in_channels, *positions]`` to ``[out_channels, *positions]``."""
        out, channels = parameters[self.weight].shape[:2]
        return (out, *self.windows.output(name, inputs[0], channels * self.groups))

    def signed(self, inputs: list[bool]) -> bool:
        """Sums of signed products can be negative."""
        return True

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.nn.functional.conv1d`` or ``conv2d``."""
        from torch.nn import functional

        convolve = functional.conv1d if len(self.windows.kernel) == 1 else functional.conv2d
        return convolve(inputs[0], parameters["weight"], parameters.get("bias"), *self._options())

    def _options(self) -> tuple[Shape, Shape, Shape, int]:
        """Stride, padding, dilation and groups, in torch's order."""
        return self.windows.stride, self.windows.padding, self.windows.dilation, self.groups

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Exact products and sums; the fraction is the products', or the bias's where that is finer."""
        x, weight = inputs[0].align(), parameters["weight"].align()
        return _plus_bias(Codes(self._convolve(x.values, weight.values), x.fraction + weight.fraction), parameters)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Positive weights carry low to low, negative ones high to low; padding is zero at both ends."""
        x, weight = inputs[0], parameters["weight"].align()
        positive, negative = np.maximum(weight.values, 0), np.minimum(weight.values, 0)

        def end(near: Any, far: Any) -> Codes:
            products = self._convolve(near[np.newaxis], positive) + self._convolve(far[np.newaxis], negative)
            return _plus_bias(Codes(products, x.fraction + weight.fraction), parameters)

        low, high = end(x.low, x.high), end(x.high, x.low)
        return Interval(low.values[0], high.values[0], int(np.max(low.fraction)))

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """``sum |w| max|x| + |b|`` bounds every partial sum, in whatever order it is taken."""
        x, weight = inputs[0], parameters["weight"].align()
        largest = np.maximum(np.abs(x.low), np.abs(x.high)).astype(np.float64)
        products = self._convolve(largest[np.newaxis], np.abs(weight.values).astype(np.float64))
        sums, fraction = products.reshape(products.shape[1], -1).max(1), x.fraction + int(np.max(weight.fraction))
        if "bias" not in parameters:
            return float(sums.max())
        bias = parameters["bias"].align()
        own = int(np.max(bias.fraction))
        finest = max(fraction, own)
        return float((sums * 2.0 ** (finest - fraction) + np.abs(bias.values) * 2.0 ** (finest - own)).max())

    def _convolve(self, x: Values, weight: Values) -> Values:
        """One product of matrices per group, of the weights with what every position sees.

        Args:
            x: ``[batch, in_channels, *axes]``.
            weight: ``[out_channels, in_channels / groups, *kernel]``.

        Returns:
            ``[batch, out_channels, *positions]``.
        """
        positions = self.windows.positions(x.shape[2:])
        grouped = weight.reshape(self.groups, len(weight) // self.groups, -1)

        def convolved(samples: Values) -> Values:
            seen = np.stack(list(self.windows.elements(samples)), 2)
            return grouped @ seen.reshape(len(samples), self.groups, grouped.shape[2], prod(positions))

        at_once = max(1, MOST_ELEMENTS // (grouped.shape[2] * self.groups * prod(positions)))
        made = [convolved(x[start : start + at_once]) for start in range(0, max(len(x), 1), at_once)]
        return np.concatenate(made).reshape(len(x), len(weight), *positions)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Conv node."""
        weight = writer.parameter(self.weight)
        bias = [] if self.bias is None else [writer.parameter(self.bias)]
        options: dict[str, Any] = {"dilations": self.windows.dilation, "group": self.groups}
        options |= self.windows.onnx_attributes()
        writer.add("Conv", [inputs[0], weight, *bias], output, name, **options)

    def work(self, inputs: list[Shape], output: Shape) -> Work:
        """One product per weight and position; those with padding count."""
        fan_in = inputs[0][0] // self.groups * prod(self.windows.kernel)
        return Work(prod(output) * fan_in, fan_in)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """The transposed convolution, with the directions as a larger batch."""
        from torch.nn import functional

        windows, axes = self.windows, tuple(inputs[0].shape[2:])
        transposed = functional.conv_transpose1d if len(axes) == 1 else functional.conv_transpose2d
        options = (windows.stride, windows.padding, windows.left_over(axes), self.groups, windows.dilation)
        found = transposed(gradients.flatten(0, 1), parameters["weight"], None, *options)
        return [found.reshape(*gradients.shape[:2], *inputs[0].shape[1:])]

    def squared_gradients(self, inputs: list[Tensor], gradients: Tensor, detail: Detail) -> dict[str, SquaredGradients]:
        """The gradient of the weight is a sum over positions of ``g`` times the patch seen there."""
        at = gradients.flatten(3)  # [batch, directions, out_channels, positions]
        grouped = at.reshape(*at.shape[:2], self.groups, -1, at.shape[3])
        weight = product_squares(self._patches(inputs[0]), grouped, detail)
        if weight.elements is not None:
            single = weight.elements.reshape(len(weight.elements), -1, *self.windows.kernel)
            weight = replace(weight, elements=single)
        squares = {"weight": weight, "bias": sum_squares(at.sum(-1), detail)}
        return {role: squares[role] for role in self.parameters()}

    def _patches(self, x: Tensor) -> Tensor:
        """What every position sees, ``[batch, groups, in_channels / groups * kernel, positions]``."""
        import torch
        from torch.nn import functional

        ends = [pad for pad in reversed(self.windows.padding) for _ in range(2)]
        padded = functional.pad(x, ends)
        seen = [padded[(..., *place)] for place in self.windows.places(tuple(x.shape[2:]))]
        # channels, then the kernel's elements, then positions: the order of the weight's axes
        stacked = torch.stack(seen, 2).flatten(3)
        return stacked.reshape(len(x), self.groups, -1, stacked.shape[3])


def _padding(path: str, padding: int | str | Shape, kernel: Shape, dilation: Shape) -> Shape:
    """Numbers for torch's ``padding``, which may be a word.

    Raises:
        InputError: ``"same"`` would need more zeros after than before.
    """
    if not isinstance(padding, str):
        return per_axis(padding, len(kernel))
    if padding == "valid":
        return (0,) * len(kernel)
    totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
    if any(total % 2 for total in totals):
        raise InputError(
            f"layer {path!r}",
            f"padding 'same' with a kernel of {list(kernel)}, which pads one end more than the other",
            "as many zeros before as after",
            "use an odd kernel, or give the padding as numbers",
        )
    return tuple(total // 2 for total in totals)


def _plus_bias(products: Codes, parameters: Mapping[str, Codes]) -> Codes:
    """``[batch, out_channels, *positions]`` with the bias added to each position, if there is one."""
    if "bias" not in parameters:
        return products
    bias = parameters["bias"].align()
    fraction = int(max(np.max(products.fraction), np.max(bias.fraction)))
    per_channel = bias.align(fraction).values.reshape(-1, *[1] * (products.values.ndim - 2))
    return Codes(products.align(fraction).values + per_channel, fraction)
