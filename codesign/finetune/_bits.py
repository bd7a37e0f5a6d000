"""Quantizers whose bits are learned, and what bits of weights cost: exact forward, smooth backward.

Gradients go straight through the rounding (arXiv 1308.3432), to the bits too (HGQ, arXiv 2405.00645): an error
``x - q`` halves with every fraction bit, so that ``d q / d f = ln 2 (x - q)``; at the upper end ``q = 2^i - 2^-f``.
"""

from math import log
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import Function

LN2 = log(2)
#: Of float32: bits of the mantissa that are stored, and what is added to exponents.
MANTISSA, BIAS = 23, 127


def power(exponents: Tensor) -> Tensor:
    """``2**exponents`` for whole numbers in float32, exact: the exponent is written where a float has it."""
    return ((exponents.to(torch.int32) + BIAS) << MANTISSA).view(torch.float32)


def exponent(sizes: Tensor) -> Tensor:
    """``floor(log2(sizes))`` of positive float32 numbers, exact."""
    return (sizes.view(torch.int32) >> MANTISSA) - BIAS


def significant(codes: Tensor) -> Tensor:
    """Bits from the first that is set to the last, of whole numbers; 0 for 0."""
    sizes = codes.abs().to(torch.int32)
    lowest = sizes & -sizes
    bits = exponent(sizes.float()) - exponent(lowest.float()) + 1
    return torch.where(sizes > 0, bits, 0).float()


def digits(codes: Tensor) -> Tensor:
    """Digits that are not zero in canonical signed digit form, those of ``3 n`` that differ from ``n``'s bits."""
    sizes = codes.abs().to(torch.int32)
    found = sizes ^ (3 * sizes)
    found = found - ((found >> 1) & 0x55555555)
    found = (found & 0x33333333) + ((found >> 2) & 0x33333333)
    found = (found + (found >> 4)) & 0x0F0F0F0F
    return ((found + (found >> 8) + (found >> 16) + (found >> 24)) & 0x3F).float()


class _Whole(Function):
    """To whole numbers; the gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads[0]


class _Weights(Function):
    """To nearest even. Every weight keeps its gradient, so that one that is zero can come back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fraction: Tensor) -> Tensor:
        scale = power(fraction)
        made = (x * scale).round() / scale
        ctx.save_for_backward(x - made)
        ctx.shape = fraction.shape
        return made

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (error,) = ctx.saved_tensors
        return grads[0], LN2 * (grads[0] * error).sum_to_size(ctx.shape)


class _Activations(Function):
    """Floor, saturated; no bits are zero."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fraction: Tensor, integer: Tensor, signed: bool) -> Tensor:
        scale, (low, high) = power(fraction), _ends(fraction, integer, signed)
        made = (x * scale).floor().clamp(low, high) / scale
        ctx.save_for_backward(x, made, fraction, integer)
        ctx.signed = signed
        return made

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, made, fraction, integer = ctx.saved_tensors
        gradient, codes = grads[0], (x * power(fraction)).floor()
        low, high = _ends(fraction, integer, ctx.signed)
        over = torch.where(codes > high, gradient, 0)
        inside = gradient - over
        beyond = over
        if ctx.signed:
            under = torch.where(codes < low, gradient, 0)
            inside, beyond = inside - under, over - under
        by_fraction = (inside * (x - made)).sum_to_size(fraction.shape) + over.sum_to_size(fraction.shape) / power(
            fraction
        )
        by_integer = beyond.sum_to_size(integer.shape) * power(integer)
        return inside, LN2 * by_fraction, LN2 * by_integer, None


class _Counted(Function):
    """A count of bits of weights that grows by ``share`` with every fraction bit, and with every doubling of a weight.

    ``b = log2 |w| + f`` gives ``d b / d |w| = 1 / (ln 2 |w|)``, a weight below one step counting as one.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, fraction: Tensor, count: Tensor, share: Tensor) -> Tensor:
        ctx.save_for_backward(x, fraction, share)
        return count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, fraction, share = ctx.saved_tensors
        gradient = grads[0] * share
        by_size = gradient * x.sign() / (LN2 * torch.maximum(x.abs(), 1 / power(fraction)))
        return by_size, gradient.sum_to_size(fraction.shape), None, None


def _ends(fraction: Tensor, integer: Tensor, signed: bool) -> tuple[Tensor, Tensor]:
    """Smallest and largest code."""
    width = fraction + integer
    # A signed format of one bit is none: QONNX reads that as two numbers of other signs.
    size = torch.where(width >= 1, power(width), 0)
    return (-size if signed else torch.zeros_like(size)), torch.where(width >= 1, size - 1, 0)


def whole(x: Tensor) -> Tensor:
    """Bits as whole numbers."""
    return cast(Tensor, _Whole.apply(x))  # pyright: ignore[reportUnknownMemberType]


def round_weights(x: Tensor, fraction: Tensor) -> Tensor:
    """Parameters as real values on grids of ``fraction`` bits, which broadcast against them."""
    return cast(Tensor, _Weights.apply(x, fraction))  # pyright: ignore[reportUnknownMemberType]


def truncate(x: Tensor, fraction: Tensor, integer: Tensor, signed: bool) -> Tensor:
    """Activations ``[batch, ...]`` as real values with bits that broadcast against ``[...]``.

    Args:
        x: Real values.
        fraction: Bits right of the binary point, whole numbers.
        integer: Bits left of it, the sign left out; elements with less than one bit in all are zero.
        signed: Whether there is a sign.
    """
    return cast(Tensor, _Activations.apply(x, fraction, integer, signed))  # pyright: ignore[reportUnknownMemberType]


def counted(x: Tensor, fraction: Tensor, count: Tensor, share: Tensor) -> Tensor:
    """A count of bits of weights ``x``, with the gradient of ``share`` times their bits; zeros have none."""
    return cast(Tensor, _Counted.apply(x, fraction, count, share))  # pyright: ignore[reportUnknownMemberType]
