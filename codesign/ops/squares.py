"""Squares of the per-sample gradients of layers that multiply by a matrix, without keeping the gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from codesign.ops.op import Detail, SquaredGradients

if TYPE_CHECKING:
    from torch import Tensor


def sum_squares(gradients: Tensor, detail: Detail) -> SquaredGradients:
    """Of the gradients themselves: of an activation, or of a bias, positions already summed.

    Args:
        gradients: ``[batch, directions, channels, ...]``.
        detail: How fine.
    """
    if detail == "tensor":
        return SquaredGradients(_norm(gradients.flatten(1)).square())
    squares = _square_sum(gradients)
    channels = squares.flatten(2).sum(2) if squares.dim() > 2 else squares
    return SquaredGradients(channels.sum(1), channels, squares.sum(0) if detail == "element" else None)


def outer_squares(x: Tensor, g: SquaredGradients, detail: Detail) -> SquaredGradients:
    """Of ``g x^T``, one position per sample: the squares factor into those of g and of x.

    Args:
        x: ``[batch, inputs]``.
        g: Squares of ``g``, ``[batch, outputs]``.
        detail: How fine; elements are ``[outputs, inputs]``.
    """
    x = x.square()
    size = x.sum(1)
    if g.channels is None:
        return SquaredGradients(g.totals * size)
    elements = g.channels.mT @ x if detail == "element" else None
    return SquaredGradients(g.totals * size, g.channels * size.unsqueeze(1), elements)


def product_squares(x: Tensor, gradients: Tensor, detail: Detail) -> SquaredGradients:
    """Of ``sum over positions of g x^T``.

    Where there are fewer positions than inputs, and single elements are not wanted, ``||g x^T||^2 = g (x^T x) g^T``
    is cheaper: the positions' products are taken once for all directions and outputs.

    Args:
        x: ``[batch, inputs, positions]``; with groups, ``[batch, groups, inputs, positions]``.
        gradients: ``[batch, directions, outputs, positions]``; with groups, ``[batch, directions, groups, ...]``.
        detail: How fine; elements are ``[outputs, inputs]``, with groups those of all groups.
    """
    directions, outputs = gradients.shape[1], gradients.shape[-2]
    stacked = gradients.movedim(1, -3).flatten(-3, -2)  # directions and outputs are rows of one matrix per sample
    elements: Tensor | None = None
    if detail == "element" or x.shape[-1] >= x.shape[-2]:
        products = stacked @ x.mT
        if detail == "tensor":
            return SquaredGradients(_norm(products.flatten(1)).square())
        squares = _norm(products).square()
        if detail == "element":
            apart = products.reshape(*x.shape[:-2], directions, outputs, x.shape[-2]).movedim(-3, 1)
            elements = _square_sum(apart).sum(0).flatten(0, -2)
    else:
        squares = (stacked @ (x.mT @ x) * stacked).sum(-1)
    channels = squares.reshape(*x.shape[:-2], directions, outputs).sum(-2).flatten(1)
    return SquaredGradients(channels.sum(1), None if detail == "tensor" else channels, elements)


def _square_sum(gradients: Tensor) -> Tensor:
    """Sum of squares over the second axis, one direction at a time: no copy of all of them."""
    first, *rest = gradients.unbind(1)
    total = first.square()
    for gradient in rest:
        total.addcmul_(gradient, gradient)
    return total


def _norm(x: Tensor) -> Tensor:
    """Length of vectors along the last axis."""
    import torch

    length = cast("Callable[..., Tensor]", torch.linalg.vector_norm)  # pyright: ignore[reportUnknownMemberType]
    return length(x, dim=-1)
