"""Curvlinops' trace estimators, on the Gauss-Newton operator of one layer's weights at a time.

In one layer's weights that operator is the Hessian, and its products are the faster ones here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sensitivity_peers.networks import Workload


@dataclass(frozen=True)
class InColumns:
    """A linear operator whose products with wide matrices are taken some columns at a time.

    Args:
        operator: Of curvlinops, which by itself takes all columns at once.
        columns: How many at a time.
    """

    operator: Any
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """``(weights, weights)``."""
        return tuple(self.operator.shape)

    @property
    def device(self) -> torch.device:
        """Of the operator."""
        return self.operator.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the operator."""
        return self.operator.dtype

    def __matmul__(self, other: Tensor) -> Tensor:
        return torch.cat([self.operator @ part for part in other.split(self.columns, 1)], 1)


def estimator(name: str) -> Callable[[Any, int], Tensor]:
    """An estimator of curvlinops; with as many products as there are weights, the exact trace by unit vectors."""
    import curvlinops

    published: Callable[[Any, int], Tensor] = getattr(curvlinops, name)

    def estimate(operator: Any, count: int) -> Tensor:
        if count < operator.shape[0]:
            return published(operator, count)
        return (operator @ torch.eye(operator.shape[0])).trace()

    return estimate


def prepare(function: str, load: Workload) -> Callable[[str, int], float]:
    """That estimator of curvlinops, by layer and number of products."""
    from curvlinops import GGNLinearOperator

    estimate, data, count = estimator(function), [(load.x, load.y)], len(load.y)
    operators = {
        layer: InColumns(
            GGNLinearOperator(
                load.module, nn.CrossEntropyLoss(), [m.weight], data, check_deterministic=False, num_data=count
            ),
            load.columns,
        )
        for layer, m in load.layers().items()
    }
    return lambda layer, products: float(estimate(operators[layer], products))
