"""The two quantizers with straight-through gradients (arXiv 1308.3432): exact forward, smooth backward."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import Function, FunctionCtx

from codesign.fixed import Fixed

#: A number of a grid: one for the tensor, or float64 ``[channels, 1, ...]`` that broadcasts against it.
Number = float | Tensor


class _RoundToNearest(Function):
    """Weights: nearest even, saturated. Every weight keeps its gradient, so that a saturated one can come back."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, scale: Any, low: Any, high: Any) -> Tensor:
        return (x * scale).round_().clamp_(low, high).div_(scale)

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> Any:
        return grads[0], None, None, None


class _Truncate(Function):
    """Activations: floor, saturated. The gradient passes inside the range and stops outside."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Any, low: Any, high: Any) -> Tensor:
        ctx.save_for_backward(x)
        ctx.ends = low / scale, (high + 1) / scale
        return (x * scale).floor_().clamp_(low, high).div_(scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        low, high = ctx.ends
        if isinstance(low, Tensor):
            return grads[0] * ((x > low) & (x < high)), None, None, None
        # One fused kernel for "gradient where low < x < high".
        return torch.ops.aten.hardtanh_backward(grads[0], x, low, high), None, None, None


@dataclass(frozen=True)
class Grid:
    """A format as the quantizers use it: scale ``2**fraction``, smallest and largest code.

    A channel of no bits has the one code 0.
    """

    scale: Number
    low: Number
    high: Number

    @classmethod
    def of(cls, fixed: Fixed) -> "Grid":
        """Of a format per tensor, or with arrays that broadcast against the tensor."""
        if np.ndim(fixed.width) == 0 and np.ndim(fixed.integer) == 0:
            return cls(2.0 ** int(fixed.fraction), float(fixed.low), float(fixed.high))
        # A point that no bits stand at is nobody's: 0, which no float type overflows at.
        fraction = np.where(np.asarray(fixed.width) > 0, fixed.fraction, 0)
        numbers = (np.ldexp(1.0, fraction), np.asarray(fixed.low), np.asarray(fixed.high))
        return cls(*(torch.tensor(number, dtype=torch.float64) for number in numbers))

    def like(self, x: Tensor) -> tuple[Number, Number, Number]:
        """Scale, smallest and largest code, of the type of the tensor that they meet."""
        return _like(self.scale, x), _like(self.low, x), _like(self.high, x)


def _like(number: Number, x: Tensor) -> Number:
    return number.to(x) if isinstance(number, Tensor) else number


def round_weights(x: Tensor, grid: Grid) -> Tensor:
    """A parameter on its grid, as real values of the same type; exact, for powers of two only shift it."""
    return cast(Tensor, _RoundToNearest.apply(x, *grid.like(x)))  # pyright: ignore[reportUnknownMemberType]


def truncate(x: Tensor, grid: Grid) -> Tensor:
    """An activation on its grid, as real values of the same type."""
    return cast(Tensor, _Truncate.apply(x, *grid.like(x)))  # pyright: ignore[reportUnknownMemberType]
