"""Additions of branches."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.add import Add
from tests.load.test_fx import Calls, assert_converts
from tests.ops.cases import assert_pulls_back, assert_tight, random_codes, random_interval

SUMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "+": lambda x, y: x + y,
    "add": lambda x, y: x.add(y),
    "add_": lambda x, y: x.add_(y),
    "torch.add": torch.add,
    "alpha 1": lambda x, y: torch.add(x, y, alpha=1),
    "by keyword": lambda x, y: torch.add(input=x, other=y),
}


class Branches(nn.Module):
    """Two layers, and what becomes of them."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], left: int = 4) -> None:
        super().__init__()
        self.left, self.right, self.join = nn.Linear(6, left), nn.Linear(6, 4), join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.left(x), self.right(x))


def in_place(x: Tensor, y: Tensor) -> Tensor:
    x += y
    return x


@pytest.mark.parametrize("join", [*SUMS.values(), in_place], ids=[*SUMS, "+="])
def test_forms(join: Callable[[Tensor, Tensor], Tensor]) -> None:
    graph, _ = assert_converts(Branches(join), (6,))
    assert [node.op for node in graph.nodes if not node.op.parameters()] == [Add()]


def test_who_reads_an_overwritten_tensor_reads_the_sum() -> None:
    def overwritten(x: Tensor, y: Tensor) -> Tensor:
        z = x.relu()
        x += y
        nn.functional.relu(x, inplace=True)
        return x + z

    graph, _ = assert_converts(Branches(overwritten), (6,))
    assert [node.op.kind for node in graph.nodes] == ["linear", "linear", "relu", "add", "relu", "add"]


def test_in_place_modules_overwrite_too() -> None:
    class PreActivation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.relu = nn.Linear(6, 5), nn.Linear(5, 5), nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return self.second(self.relu(x)) + x

    assert_converts(PreActivation(), (6,))


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (lambda x: x + 0.1, "a tensor plus 0.1"),
        (lambda x: 1e-3 + x, "a tensor plus 0.001"),
        (lambda x: torch.add(x, other=8193), "a tensor plus 8193"),
        (lambda x: torch.add(x, x, alpha=2), "a sum with alpha 2"),
        (lambda x: x + x.size(0), "a tensor plus the batch size"),
    ],
)
def test_what_is_refused(after: Callable[[Tensor], Tensor], found: str) -> None:
    with pytest.raises(InputError, match=rf"layer 'add': {found}; wanted: "):
        assert_converts(Calls(after), (6,))


def test_shapes_must_fit() -> None:
    assert_converts(Branches(SUMS["+"], left=1), (6,))  # one element goes along with all
    with pytest.raises(
        InputError, match=r"layer 'add': a sum of tensors of shapes \[2\], \[4\]; wanted: two tensors of as many axes"
    ):
        assert_converts(Branches(SUMS["+"], left=2), (6,))


def test_signs() -> None:
    assert [Add().signed([a, b]) for a in (False, True) for b in (False, True)] == [False, True, True, True]


@given(st.integers(0, 2**32))
def test_integers_intervals_and_gradients(seed: int) -> None:
    generator = np.random.default_rng(seed)
    codes = [random_codes(generator, (3, 2, 3)) for _ in range(2)]
    per_channel = Codes(codes[1].values, generator.integers(-3, 9, (2, 1)))
    for x in (codes, [codes[0], per_channel], [per_channel, codes[0]]):
        assert np.array_equal(Add().integer(x, {}).real(), x[0].real() + x[1].real())
    intervals = [random_interval(generator, (2, 2)) for _ in range(2)]
    assert_tight(Add(), intervals, {})
    out = Add().interval(intervals, {})
    assert Add().magnitude(intervals, {}) >= max(abs(out.low).max(), abs(out.high).max())
    tensors = list(torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(seed % 2**31)).double())
    assert_pulls_back(Add(), tensors, {})


def test_magnitude_of_fractions_far_apart_does_not_wrap() -> None:
    ends = [Interval(np.array([-1]), np.array([2**40]), fraction) for fraction in (0, 50)]
    assert Add().magnitude(ends, {}) == 2.0**90 + 2.0**40
