"""The exact Hessian block of every layer's weights, as a factor: what errors are measured against.

A network that is linear between kinks has, in the weights of one layer, a Hessian that is its Gauss-Newton matrix
``1/N sum_n J_n^T (diag(p_n) - p_n p_n^T) J_n = B^T B``. ``B`` has a row per sample and class, a per-sample gradient along
``sqrt(p_c) (e_c - p)``: that many rows fit in memory where the block itself wouldn't.
"""

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensitivity_peers.networks import Workload


@dataclass(frozen=True)
class Block:
    """``B^T B``, square and symmetric; usable where curvlinops takes a linear operator.

    Args:
        factor: ``B``, ``[samples * classes, weights]``.
    """

    factor: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """``(weights, weights)``."""
        return self.factor.shape[1], self.factor.shape[1]

    @property
    def device(self) -> torch.device:
        """Of the factor."""
        return self.factor.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the factor."""
        return self.factor.dtype

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.factor.T @ (self.factor @ other)

    def trace(self) -> float:
        """``||B||^2``."""
        return float(self.factor.double().square().sum())

    def spread(self) -> float:
        """Standard deviation of a Rademacher probe ``v^T H v``, divided by the trace.

        ``Var = 2 (||H||_F^2 - sum_i H_ii^2)`` for independent random signs (Avron and Toledo 2011), and
        ``||B^T B||_F = ||B B^T||_F``.
        """
        squares = (self.factor @ self.factor.T).double().square().sum()
        diagonal = self.factor.square().sum(0).double().square().sum()
        return float((2 * (squares - diagonal).clamp(min=0)).sqrt()) / self.trace()

    def probes(self, error: float) -> int:
        """Rademacher probes until the standard error of their mean is ``error`` of the trace."""
        return max(1, ceil((self.spread() / error) ** 2))


def exact_blocks(load: Workload) -> dict[str, Block]:
    """The Hessian block of every layer's weights, by module path."""
    layers = load.layers()
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str) -> None:
        layers[name].register_forward_hook(lambda _, inputs, output: seen.update({name: (inputs[0].detach(), output)}))

    module = load.copy()
    layers = {name: m for name, m in module.named_modules() if name in layers}
    for name in layers:
        keep(name)
    logits = module(load.x)
    p = logits.detach().softmax(1)
    rows: dict[str, list[Tensor]] = {name: [] for name in layers}
    for c in range(logits.shape[1]):
        column = p[:, c : c + 1].sqrt() * (functional.one_hot(torch.tensor(c), logits.shape[1]) - p)
        gradients = torch.autograd.grad(logits, [seen[name][1] for name in layers], column, retain_graph=True)
        for name, gradient in zip(layers, gradients, strict=True):
            rows[name].append(_per_sample(layers[name], seen[name][0], gradient) / len(logits) ** 0.5)
    return {name: Block(torch.cat(parts)) for name, parts in rows.items()}


def _per_sample(layer: nn.Module, x: Tensor, gradient: Tensor) -> Tensor:
    """Gradient of every sample in the layer's weights, ``[batch, weights]``, from the one at its output."""
    if isinstance(layer, nn.Linear):
        return (gradient.unsqueeze(2) * x.unsqueeze(1)).flatten(1)
    size, stride, padding = layer.kernel_size, layer.stride, layer.padding
    patches = functional.unfold(x, size, padding=padding, stride=stride)
    return (gradient.flatten(2) @ patches.mT).flatten(1)
