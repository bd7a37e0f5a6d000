"""How many products with a layer's Hessian an estimator needs for an error, from the exact Hessian."""

from collections.abc import Callable
from math import ceil

import torch

from sensitivity_peers.curvlinops_peer import estimator
from sensitivity_peers.exact import Block

Needed = Callable[[Block, tuple[float, ...]], list[int]]
"""Products until the root mean square of the relative error is below each of the errors."""


def probes(block: Block, errors: tuple[float, ...]) -> list[int]:
    """Of random probes, whose mean has the error ``spread / sqrt(probes)``."""
    return [max(1, ceil((block.spread / error) ** 2)) for error in errors]


def probes_or_unit_vectors(block: Block, errors: tuple[float, ...]) -> list[int]:
    """Random probes, or all unit vectors where that is fewer."""
    return [min(count, block.shape[0]) for count in probes(block, errors)]


def searched(name: str, repeats: int = 20) -> Needed:
    """Of an estimator of curvlinops: tried on the exact block, that often at each of a rising number of products."""

    def needed(block: Block, errors: tuple[float, ...]) -> list[int]:
        estimate, found, count = estimator(name), [block.shape[0]] * len(errors), 0
        while count < block.shape[0]:
            count += 6 * max(1, count // 36)  # a multiple of what every estimator splits its products in
            tries = torch.stack([estimate(block, count) for _ in range(repeats)])
            reached = float((tries / block.trace - 1).square().mean().sqrt())
            found = [min(best, count) if reached <= error else best for best, error in zip(found, errors, strict=True)]
            if reached <= min(errors):
                break
        return found

    return needed
