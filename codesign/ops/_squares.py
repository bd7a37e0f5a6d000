"""Squares of the per-sample gradients of layers that multiply by a matrix, without keeping the gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from codesign.ops.op import SquaredGradients

if TYPE_CHECKING:
    from torch import Tensor


def square_sum(gradients: Tensor) -> Tensor:
    """Sum of squares over the first axis, one direction at a time: no copy of all of them."""
    total = gradients[0].square()
    for gradient in gradients[1:]:
        total.addcmul_(gradient, gradient)
    return total


def sum_squares(gradients: Tensor, elements: bool) -> SquaredGradients:
    """Of ``g`` itself, ``[directions, batch, outputs]``: of a bias, positions already summed."""
    channels = square_sum(gradients)
    return SquaredGradients(channels, channels.sum(0) if elements else None)


def outer_squares(x: Tensor, g: SquaredGradients, elements: bool) -> SquaredGradients:
    """Of ``g x^T``, one position per sample: the squares factor into those of g and of x.

    Args:
        x: ``[batch, inputs]``.
        g: Squares of ``g``, ``[batch, outputs]``.
        elements: Whether single elements are wanted, ``[outputs, inputs]``.
    """
    x = x.square()
    return SquaredGradients(g.channels * x.sum(1, keepdim=True), g.channels.mT @ x if elements else None)


def product_squares(x: Tensor, gradients: Tensor, elements: bool) -> SquaredGradients:
    """Of ``sum over positions of g x^T``.

    Where there are fewer positions than inputs, and single elements are not wanted, ``||g x^T||^2 = g (x^T x) g^T``
    is cheaper: the positions' products are taken once for all directions and outputs.

    Args:
        x: ``[batch, inputs, positions]``; with groups, ``[batch, groups, inputs, positions]``.
        gradients: ``[directions, batch, outputs, positions]``; with groups, ``[directions, batch, groups, ...]``.
        elements: Whether single elements are wanted, ``[outputs, inputs]``; with groups, outputs of all groups.
    """
    import torch

    vector_norm = cast("Callable[..., Tensor]", torch.linalg.vector_norm)  # pyright: ignore[reportUnknownMemberType]
    directions, outputs = len(gradients), gradients.shape[-2]
    stacked = gradients.movedim(0, -3).flatten(-3, -2)  # directions and outputs are rows of one matrix per sample
    single: Tensor | None = None
    if elements or x.shape[-1] >= x.shape[-2]:
        products = stacked @ x.mT
        squares = vector_norm(products, dim=-1).square()
        if elements:
            shape = *x.shape[1:-2], directions, outputs, x.shape[-2]
            single = square_sum(products).reshape(shape).sum(-3).flatten(0, -2)
    else:
        squares = (stacked @ (x.mT @ x) * stacked).sum(-1)
    channels = squares.reshape(*x.shape[:-2], directions, outputs).sum(-2).flatten(1)
    return SquaredGradients(channels, single)
