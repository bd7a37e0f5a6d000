"""The paper's numbers (arXiv 2304.06745), reproduced."""

from itertools import pairwise

import pytest

from codesign.allocate.costs.bops_campos import bops
from codesign.ops.op import Work

SIZES = (16, 64, 32, 32, 5)
WORKS = [Work(n * m, n) for n, m in pairwise(SIZES)]


def chain(weights: list[int], input_bits: int, offset: int) -> list[float]:
    """BOPs per layer when every activation has the bits of the weights before it, plus an offset."""
    activations = [input_bits, *(bits + offset for bits in weights[:-1])]
    return [bops(work, w, a) for work, w, a in zip(WORKS, weights, activations, strict=True)]


def test_full_precision() -> None:
    assert chain([32] * 4, 32, 0) == [1118208, 2240512, 1119232, 174880]
    assert sum(chain([32] * 4, 32, 0)) == 4652832


@pytest.mark.parametrize(("bits", "cost"), [(4, 234368), (5, 297024), (6, 366144), (7, 441728), (8, 523776)])
def test_homogeneous(bits: int, cost: int) -> None:
    assert sum(chain([bits] * 4, 16, 3)) == cost


def test_the_original_answer_is_over_its_budget() -> None:
    own_inputs = [bops(work, w, a) for work, w, a in zip(WORKS, (8, 5, 5, 5), (16, 8, 8, 8), strict=True)]
    assert sum(own_inputs) == 349248  # each input taken to follow the layer's own weights
    assert sum(chain([8, 5, 5, 5], 16, 3)) == 386112


def test_zero_weights_cost_no_product() -> None:
    work = Work(1024, 16)
    assert bops(work, 6, 8) - bops(work, 6, 8, density=0.5) == 0.5 * 1024 * 48
