"""One step of training as one function of tensors, compiled where a C++ compiler is there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from codesign.finetune._learned import Network
from codesign.torch_forward import mean_loss

#: Adam's (arXiv 1412.6980): how much of the mean gradient and of the mean square a step keeps, and what guards zero.
MEAN, SQUARE, GUARD = 0.9, 0.999, 1e-9
#: How much the price of cost follows the cost's distance from its target at once; limits of its logarithm.
FIRMNESS, CHEAPEST, DEAREST = 3.0, -30.0, 10.0


class State(NamedTuple):
    """What training changes.

    Args:
        vector: What is learned ``[size]``.
        mean, square: Adam's moving averages of gradients and of their squares ``[size]``.
        average: Moving average of the vector.
        price: Logarithm of the price of cost, in units of loss.
    """

    vector: Tensor
    mean: Tensor
    square: Tensor
    average: Tensor
    price: Tensor

    @classmethod
    def at(cls, vector: Tensor, price: float) -> "State":
        """At the start."""
        zeros = torch.zeros_like(vector)
        return cls(vector, zeros, zeros.clone(), vector.clone(), torch.tensor(price))


class Control(NamedTuple):
    """What a schedule sets for a step.

    Args:
        rate: Adam's step size for values.
        bit_rate: And for bits.
        target: Logarithm of the cost that is aimed at.
        pull: How much the price moves for a cost that is off by a factor of e.
        forget: How much of the average a step takes away.
    """

    rate: float
    bit_rate: float
    target: float
    pull: float
    forget: float


@dataclass(frozen=True)
class Limits:
    """Least and largest number of each place of the vector ``[size]``, and 1 for those that are bits."""

    low: Tensor
    high: Tensor
    bits: Tensor


def make_step(network: Network, limits: Limits) -> Callable[..., tuple[Tensor, ...]]:
    """One step: gradients of ``loss + price cost``, Adam, the price by dual ascent, the average."""

    def step(
        vector: Tensor, mean: Tensor, square: Tensor, average: Tensor, price: Tensor, control: Tensor, wanted: Tensor,
        *inputs: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        rate, bit_rate, target, pull, forget = control.unbind()
        leaf = vector.detach().requires_grad_()
        parts = network.whole(leaf)
        loss, cost = mean_loss(network.forward(parts, inputs)[0], wanted), network.total(parts)
        off = (cost.detach().clamp(min=1).log() - target).clamp(-1, 1)
        price = (price + pull * off).clamp(CHEAPEST, DEAREST)
        (gradient,) = torch.autograd.grad(loss + (price + FIRMNESS * off).exp() * cost, leaf)
        mean = mean + (1 - MEAN) * (gradient - mean)
        square = square + (1 - SQUARE) * (gradient * gradient - square)
        rates = rate + (bit_rate - rate) * limits.bits
        vector = (vector - rates * mean / (square.sqrt() + GUARD)).clamp(limits.low, limits.high)
        average = average + forget * (vector - average)
        return vector, mean, square, average, price, loss.detach(), cost.detach()

    return step
