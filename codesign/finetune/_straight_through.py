"""The two quantizers with straight-through gradients (arXiv 1308.3432): exact forward, smooth backward."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import Function, FunctionCtx

from codesign.fixed import Fixed


class _RoundToNearest(Function):
    """Weights: nearest even, saturated. Every weight keeps its gradient, so that a saturated one can come back."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, scale: float, low: float, high: float) -> Tensor:
        return (x * scale).round_().clamp_(low, high).div_(scale)

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> Any:
        return grads[0], None, None, None


class _Truncate(Function):
    """Activations: floor, saturated. The gradient passes inside the range and stops outside."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.ends = low / scale, (high + 1) / scale
        return (x * scale).floor_().clamp_(low, high).div_(scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        # One fused kernel for "gradient where low < x < high".
        return torch.ops.aten.hardtanh_backward(grads[0], x, *ctx.ends), None, None, None


@dataclass(frozen=True)
class Grid:
    """A format as the quantizers use it: scale ``2**fraction``, smallest and largest code."""

    scale: float
    low: float
    high: float

    @classmethod
    def of(cls, fixed: Fixed) -> "Grid":
        """Of a per-tensor format."""
        return cls(2.0 ** int(fixed.fraction), float(fixed.low), float(fixed.high))


def round_weights(x: Tensor, grid: Grid) -> Tensor:
    """A parameter on its grid, as real values of the same type; exact, for powers of two only shift it."""
    return cast(Tensor, _RoundToNearest.apply(x, grid.scale, grid.low, grid.high))  # pyright: ignore[reportUnknownMemberType]


def truncate(x: Tensor, grid: Grid) -> Tensor:
    """An activation on its grid, as real values of the same type."""
    return cast(Tensor, _Truncate.apply(x, grid.scale, grid.low, grid.high))  # pyright: ignore[reportUnknownMemberType]
