"""The paper's numbers (arXiv 2304.06745), reproduced."""

from itertools import pairwise
from pathlib import Path

import pytest

from codesign.allocate.costs import Hardware, Part
from codesign.allocate.costs.bops_campos import BopsCampos
from codesign.target import load_target

SIZES = (16, 64, 32, 32, 5)
COST = BopsCampos(Hardware(load_target("vu13p-l1t", Path())))


def layer(inputs: int, outputs: int, weight_bits: int, activation_bits: int, nonzero: int | None = None) -> Part:
    count = inputs * outputs if nonzero is None else nonzero
    return Part("fc", "linear", outputs, 1, inputs, weight_bits, activation_bits, count)


def bops(weights: list[int], activations: list[int]) -> list[float]:
    """BOPs per layer of the jet tagger."""
    return [COST.of_part(layer(*size, w, a)) for size, w, a in zip(pairwise(SIZES), weights, activations, strict=True)]


def chain(weights: list[int], input_bits: int, offset: int) -> list[float]:
    """BOPs per layer when every activation has the bits of the weights before it, plus an offset."""
    return bops(weights, [input_bits, *(bits + offset for bits in weights[:-1])])


def test_full_precision() -> None:
    assert chain([32] * 4, 32, 0) == [1118208, 2240512, 1119232, 174880]
    assert sum(chain([32] * 4, 32, 0)) == 4652832


@pytest.mark.parametrize(("bits", "cost"), [(4, 234368), (5, 297024), (6, 366144), (7, 441728), (8, 523776)])
def test_homogeneous(bits: int, cost: int) -> None:
    assert sum(chain([bits] * 4, 16, 3)) == cost


def test_the_original_answer_is_over_its_budget() -> None:
    own_inputs = bops([8, 5, 5, 5], [16, 8, 8, 8])
    assert sum(own_inputs) == 349248  # each input taken to follow the layer's own weights
    assert sum(chain([8, 5, 5, 5], 16, 3)) == 386112


def test_zero_weights_cost_no_product() -> None:
    full, half = (COST.of_part(layer(16, 64, 6, 8, nonzero)) for nonzero in (1024, 512))
    assert full - half == 0.5 * 1024 * 48


def test_pruned_layers_are_free() -> None:
    assert COST.of_part(layer(16, 64, 6, 8, 0)) == 0
