"""Pooling: float, integers, ranges, gradients, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.load._fx import graph_from_module
from codesign.ops.avgpool import AvgPool
from codesign.ops.maxpool import MaxPool
from codesign.ops.reduce import Mean
from tests.load.test_fx import assert_converts
from tests.ops.cases import (
    Layer,
    assert_pulls_back,
    assert_same_values,
    assert_tight,
    random_codes,
    random_interval,
    read,
    windows,
)

POWERS = (1, 2, 4, 8, 16)


@st.composite
def pools(draw: st.DrawFn) -> Layer:
    """Random pooling layers over one or two axes."""
    rank, maximum = draw(st.integers(1, 2)), draw(st.booleans())
    options, axes = draw(windows(rank, dilated=False, half=True))
    kinds: dict[tuple[bool, int], Any] = {
        (True, 1): nn.MaxPool1d, (True, 2): nn.MaxPool2d, (False, 1): nn.AvgPool1d, (False, 2): nn.AvgPool2d
    }  # fmt: skip
    module = kinds[maximum, rank](**options)
    return read(module, (draw(st.integers(1, 3)), *axes), draw(st.integers(0, 2**31)))


@st.composite
def means(draw: st.DrawFn) -> Layer:
    """Means over all positions."""
    rank = draw(st.integers(1, 2))
    axes = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    module = nn.AdaptiveAvgPool1d(1) if rank == 1 else nn.AdaptiveAvgPool2d(1)
    return read(module, (draw(st.integers(1, 3)), *axes), draw(st.integers(0, 2**31)))


def divides(layer: Layer) -> bool:
    """Whether the average is exact in fixed point."""
    if isinstance(layer.op, AvgPool):
        return int(np.prod(layer.op.windows.kernel)) in POWERS
    return isinstance(layer.op, MaxPool) or int(np.prod(layer.shape[1:])) in POWERS


@given(pools() | means())
def test_forward_is_the_modules(layer: Layer) -> None:
    x = layer.inputs()
    found = layer.op.forward([x], {})
    # one over a number of elements that is no power of two is rounded
    torch.testing.assert_close(found, layer.module(x), rtol=1e-7 if divides(layer) else 2.0**-12, atol=1e-7)
    assert layer.op.shape("pool", [layer.shape], {}) == tuple(found.shape[1:])
    assert_pulls_back(layer.op, [x], {})
    assert layer.op.squared_gradients([x], found.unsqueeze(1), "element") == {}


@given(pools() | means())
def test_integers_are_exact(layer: Layer) -> None:
    assume(divides(layer))
    generator = np.random.default_rng(layer.seed)
    x = random_codes(generator, (3, *layer.shape))
    assert_same_values(layer.op.integer([x], {}), layer.module(torch.from_numpy(x.real())))
    per_channel = Codes(x.values, generator.integers(-2, 7, (layer.shape[0], *[1] * (len(layer.shape) - 1))))
    assert_same_values(layer.op.integer([per_channel], {}), layer.module(torch.from_numpy(per_channel.real())))


@given(pools() | means())
def test_intervals_are_tight(layer: Layer) -> None:
    assume(divides(layer) and np.prod(layer.shape) <= 10)
    x = random_interval(np.random.default_rng(layer.seed), layer.shape)
    assert_tight(layer.op, [x], {})
    out = layer.op.interval([x], {})
    assert layer.op.magnitude([x], {}) >= max(abs(out.low).max(), abs(out.high).max())


def test_magnitude_counts_what_cancels() -> None:
    """Two large numbers of opposite sign: their average is small, but a partial sum is not."""
    x = Interval(np.array([[100, -100]]), np.array([[100, -100]]), 0)
    for layer in (read(nn.AvgPool1d(2), (1, 2)), read(nn.AdaptiveAvgPool1d(1), (1, 2))):
        assert layer.op.interval([x], {}).high.tolist() == [[0]]
        assert layer.op.magnitude([x], {}) == 200


def test_padding_is_no_candidate_for_the_largest() -> None:
    op = read(nn.MaxPool1d(3, 1, 1), (1, 3)).op
    assert op.integer([Codes(np.array([[[-5, -7, -9]]]), 0)], {}).values.tolist() == [[[-5, -5, -7]]]


OTHERS = [nn.AvgPool2d(3), nn.AvgPool2d((1, 6), padding=(0, 3)), nn.AvgPool1d(5), nn.AdaptiveAvgPool2d(1)]


@pytest.mark.parametrize("module", OTHERS)
def test_averages_over_other_numbers_are_multiplied_by_a_rounded_reciprocal(module: nn.Module) -> None:
    shape = (2, 12) if isinstance(module, nn.AvgPool1d) else (2, 6, 6)
    layer = read(module, shape, seed=4)
    x = random_codes(np.random.default_rng(4), (3, *shape))
    assert_same_values(layer.op.integer([x], {}), layer.op.forward([torch.from_numpy(x.real())], {}))
    ends = random_interval(np.random.default_rng(5), shape)
    out = layer.op.interval([ends], {})
    for end, wanted in ((ends.low, out.low), (ends.high, out.high)):
        found = layer.op.integer([Codes(end[None], ends.fraction)], {})
        assert np.array_equal(found.values[0], wanted)
        assert found.fraction == out.fraction


class Pooled(nn.Module):
    """A convolution and what comes after it."""

    def __init__(self, after: Callable[[Tensor], Tensor], rank: int) -> None:
        super().__init__()
        self.conv, self.after = (nn.Conv1d if rank == 1 else nn.Conv2d)(2, 3, 1), after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.conv(x))


FORMS: list[tuple[int, type, Callable[[Tensor], Tensor]]] = [
    (1, MaxPool, lambda x: functional.max_pool1d(x, 2)),
    (1, MaxPool, lambda x: functional.max_pool1d(x, (3,), stride=1, padding=1)),
    (2, MaxPool, lambda x: functional.max_pool2d(x, 2)),
    (2, MaxPool, lambda x: functional.max_pool2d(x, (3, 2), (2, 1), (1, 0))),
    (1, MaxPool, lambda x: torch.max_pool1d(x, 3)),
    (2, MaxPool, lambda x: torch.max_pool2d(x, kernel_size=[2, 3], stride=2)),
    (2, MaxPool, nn.MaxPool2d(2, dilation=1)),
    (1, AvgPool, lambda x: functional.avg_pool1d(x, 4, 2, 1)),
    (2, AvgPool, lambda x: functional.avg_pool2d(x, 2)),
    (2, AvgPool, lambda x: functional.avg_pool2d(x, (2, 3), stride=1, count_include_pad=False)),
    (2, AvgPool, nn.AvgPool2d(4, 2, padding=2)),
    (1, Mean, lambda x: functional.adaptive_avg_pool1d(x, 1)),
    (2, Mean, lambda x: functional.adaptive_avg_pool2d(x, (1, 1))),
    (2, Mean, nn.AdaptiveAvgPool2d((1, 1))),
    (2, Mean, lambda x: x.mean((2, 3))),
    (2, Mean, lambda x: x.mean([-1, -2], keepdim=True)),
    (2, Mean, lambda x: torch.mean(x, dim=(2, -1), keepdim=True)),
    (1, Mean, lambda x: x.mean(-1)),
    (1, Mean, lambda x: x.mean(2, True)),
    (1, Mean, lambda x: torch.mean(x, (2,))),
    (2, Mean, lambda x: x.mean(1)),
    (2, Mean, lambda x: x.mean(-1)),
    (2, AvgPool, nn.AdaptiveAvgPool2d(2)),
    (2, AvgPool, nn.AdaptiveAvgPool2d((1, None))),
]


@pytest.mark.parametrize(("rank", "kind", "form"), FORMS)
def test_forms(rank: int, kind: type, form: Callable[[Tensor], Tensor]) -> None:
    shape = (2, 8) if rank == 1 else (2, 6, 8)
    graph, _ = assert_converts(Pooled(form, rank), shape, rtol=2.0**-11)
    assert isinstance(graph.nodes[1].op, kind)


@pytest.mark.parametrize(
    ("rank", "form", "message"),
    [
        (1, nn.MaxPool1d(2, ceil_mode=True), "pooling with ceil_mode"),
        (2, lambda x: functional.max_pool2d(x, 2, ceil_mode=True), "pooling with ceil_mode"),
        (2, nn.AvgPool2d(2, ceil_mode=True), "pooling with ceil_mode"),
        (2, nn.MaxPool2d(2, return_indices=True), "max pooling with return_indices"),
        (2, nn.MaxPool2d(2, dilation=2), "max pooling with dilation 2"),
        (2, nn.MaxPool2d(2, dilation=(1, 2)), r"max pooling with dilation \(1, 2\)"),
        (2, nn.AvgPool2d(2, padding=1, count_include_pad=False), "padding and count_include_pad=False"),
        (2, nn.AvgPool2d(2, divisor_override=3), "divisor_override 3"),
        (2, nn.AdaptiveAvgPool2d(4), r"adaptive average pooling of \[6, 8\] to 4"),
        (1, lambda x: functional.adaptive_avg_pool1d(x, 3), r"adaptive average pooling of \[8\] to 3"),
        (2, lambda x: x.mean(), r"a mean over axes \[\]"),
        (2, lambda x: x.mean((0, 2)), "axis 0, the batch; wanted: axes behind the batch"),
        (1, lambda x: x.mean((2, 3)), "axis 3, one of 3; wanted: axes behind the batch"),
        (1, lambda x: x.mean(-1, dtype=torch.float64), r"a mean over axes -1 with dtype"),
        (1, nn.MaxPool1d(9), r"room for a window of \[9\]"),
        (1, nn.MaxPool2d(2), r"input of shape \[3, 8\]; wanted: \[channels, height, width\]"),
    ],
)  # fmt: skip
def test_what_is_refused(rank: int, form: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(InputError, match=rf"layer '\w+': .*{message}"):
        graph_from_module(Pooled(form, rank), [(2, 8) if rank == 1 else (2, 6, 8)])
