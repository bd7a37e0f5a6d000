"""The exact Hessian block of every layer's weights, as a factor: what errors are measured against.

A network that is linear between kinks has, in the weights of one layer, a Hessian that is its Gauss-Newton matrix
``1/N sum_n J_n^T (diag(p_n) - p_n p_n^T) J_n = B^T B``. ``B`` has a row per sample and class, a per-sample gradient
along ``sqrt(p_c) (e_c - p)``: that many rows fit in memory where the block itself wouldn't.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensitivity_peers.networks import Workload

KEPT = 1e-4
"""Share of the trace that a block's factor may lose by dropping its smallest eigenvalues."""


@dataclass(frozen=True)
class Block:
    """A layer's Hessian; usable where curvlinops takes a linear operator.

    Args:
        trace: Exact.
        spread: Standard deviation of a Rademacher probe ``v^T H v``, divided by the trace.
        factor: ``B``, ``[rank, weights]``, without the smallest eigenvalues.
    """

    trace: float
    spread: float
    factor: Tensor

    @staticmethod
    def of(rows: Tensor) -> "Block":
        """The block ``B^T B`` of ``B``, ``[samples * classes, weights]``.

        A probe of independent random signs has the variance ``2 (||H||_F^2 - sum_i H_ii^2)`` (Avron and Toledo 2011,
        doi 10.1145/1944345.1944349).
        """
        squares = rows.square()
        trace, diagonal = float(squares.sum(dtype=torch.float64)), squares.sum(0).double()
        wide = rows.shape[0] < rows.shape[1]
        values, vectors = torch.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
        variance = 2 * (values.double().square().sum() - diagonal.square().sum()).clamp(min=0)
        kept = values.clamp(min=0).cumsum(0) > KEPT * trace
        largest = vectors[:, kept].T
        factor = largest @ rows if wide else values[kept].sqrt().unsqueeze(1) * largest
        return Block(trace, float(variance.sqrt()) / trace, factor.contiguous())

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


def exact_blocks(load: Workload) -> dict[str, Block]:
    """The Hessian block of every layer's weights, by module path."""
    module = load.copy()
    layers = {name: layer for name, layer in module.named_modules() if name in load.layers()}
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    for name, layer in layers.items():

        def keep(_: nn.Module, inputs: tuple[Tensor], output: Tensor, name: str = name) -> None:
            seen[name] = inputs[0].detach(), output

        layer.register_forward_hook(keep)
    logits = module(load.x)
    p = logits.detach().softmax(1)
    rows: dict[str, list[Tensor]] = {name: [] for name in layers}
    for c in range(logits.shape[1]):
        column = p[:, c : c + 1].sqrt() * (functional.one_hot(torch.tensor(c), logits.shape[1]) - p)
        gradients = torch.autograd.grad(logits, [seen[name][1] for name in layers], column, retain_graph=True)
        for name, gradient in zip(layers, gradients, strict=True):
            rows[name].append(_per_sample(layers[name], seen[name][0], gradient) / len(logits) ** 0.5)
    return {name: Block.of(torch.cat(rows.pop(name))) for name in layers}


def _per_sample(layer: nn.Module, x: Tensor, gradient: Tensor) -> Tensor:
    """Gradient of every sample in the layer's weights, ``[batch, weights]``, from the one at its output."""
    if isinstance(layer, nn.Linear):
        return (gradient.unsqueeze(2) * x.unsqueeze(1)).flatten(1)
    size, stride, padding = layer.kernel_size, layer.stride, layer.padding
    patches = functional.unfold(x, size, padding=padding, stride=stride)
    return (gradient.flatten(2) @ patches.mT).flatten(1)
