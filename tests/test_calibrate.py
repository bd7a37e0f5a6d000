"""Where the binary point goes, against brute force."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.calibrate import CANDIDATES, SAMPLE, SPREAD, best_format, channel_formats, even_rows
from codesign.errors import ContractError, InputError
from codesign.fixed import Fixed

VALUES = st.lists(st.floats(-300, 300, width=32) | st.integers(-8, 8).map(float), min_size=1, max_size=12)


def squared_error(values: Sequence[float], signed: bool, width: int, integer: int) -> float:
    """Mean squared error of rounding to nearest even and saturating, by definition."""
    scale = 2.0 ** (width - integer)
    low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    rounded = [min(max(round(value * scale), low), high) / scale for value in values]
    return float(np.mean([(after - before) ** 2 for after, before in zip(rounded, values, strict=True)]))


@settings(deadline=None)
@given(VALUES, st.integers(2, 12), st.booleans())
def test_least_error_among_the_candidates(values: list[float], width: int, signed: bool) -> None:
    fixed, error = best_format(np.array(values), width, signed)
    assert (fixed.signed, fixed.width) == (signed, width)
    assert error == squared_error(values, signed, width, int(fixed.integer))
    largest = max(abs(value) for value in values)
    top = (int(np.ceil(np.log2(largest))) if largest else 0) + signed
    assert error <= min(squared_error(values, signed, width, top - step) for step in range(CANDIDATES))


@settings(deadline=None)
@given(VALUES, st.integers(2, 12), st.booleans(), st.integers(0, 4))
def test_a_coarser_grid_is_never_better(values: list[float], width: int, signed: bool, coarser: int) -> None:
    """Below the chosen binary point a smaller step may pay for saturation; above it there is nothing to gain."""
    fixed, error = best_format(np.array(values), width, signed)
    assert error <= squared_error(values, signed, width, int(fixed.integer) + coarser)


@settings(deadline=None)
@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=8), st.integers(2, 8), st.integers(-8, 8))
def test_ternary_weights_are_exact(values: list[float], width: int, exponent: int) -> None:
    """Two bits hold -1, 0 and 1 of any power of two."""
    assert best_format(np.ldexp(values, exponent), width, True)[1] == 0


@settings(deadline=None)
@given(VALUES, st.booleans())
def test_no_bits_hold_zero_alone(values: list[float], signed: bool) -> None:
    fixed, error = best_format(np.array(values), 0, signed)
    assert fixed == Fixed(signed, 0, 0)
    assert error == np.mean(np.square(values))


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(2, 16), st.booleans())
def test_a_tensor_of_zeros_costs_nothing(size: int, width: int, signed: bool) -> None:
    fixed, error = best_format(np.zeros((size, 2)), width, signed)
    assert error == 0
    assert fixed.width == width


@settings(deadline=None)
@given(VALUES, st.integers(2, 12))
def test_the_shape_does_not_matter(values: list[float], width: int) -> None:
    column = np.array(values, np.float32).reshape(-1, 1, 1)
    assert best_format(column, width, True) == best_format(np.array(values), width, True)


def test_large_tensors_are_thinned() -> None:
    """Samples are thinned, features never are: every other sample of twice as many values is looked at."""
    values = np.zeros((SAMPLE // 64, 128))
    values[::2] = 0.375
    thinned = best_format(values, 4, True)
    assert thinned[1] == 0
    values[1::2] = 0.25  # not looked at
    assert best_format(values, 4, True) == thinned
    values[:, 77] = 50.0  # one feature of every sample
    fixed, error = best_format(values, 4, True)
    assert error > 0.1 / 128 or fixed.high * 2.0**-fixed.fraction >= 50


@st.composite
def weights(draw: st.DrawFn, smallest: int = -SPREAD + 1) -> tuple[np.ndarray, list[int]]:
    """Weights ``[channels, 2, elements]`` whose channels differ in size, some of them zero, and their widths."""
    channels = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.uniform(-1, 1, (channels, 2, draw(st.integers(1, 40)))).astype(np.float32)
    values[:, 0, 0] = 1
    exponents = draw(st.lists(st.integers(smallest, 0), min_size=channels, max_size=channels))
    exponents[0] = 0
    dead = draw(st.lists(st.sampled_from([1, 1, 1, 0]), min_size=channels, max_size=channels))
    widths = draw(st.lists(st.sampled_from([0, 2, 3, 4, 8, 12]), min_size=channels, max_size=channels))
    scale = np.ldexp(dead, exponents).reshape(-1, 1, 1)
    return (values * scale * draw(st.sampled_from([1, 1e-6, 300]))).astype(np.float32), widths


@settings(deadline=None)
@given(weights())
def test_every_channel_gets_what_it_would_get_as_a_tensor(given: tuple[np.ndarray, list[int]]) -> None:
    values, widths = given
    fixed, errors = channel_formats(values, widths)
    assert fixed.signed
    assert np.shape(fixed.width) == np.shape(fixed.integer) == (len(values), 1, 1)
    for channel, width in enumerate(widths):
        own, error = best_format(values[channel].reshape(-1), width, True)
        assert errors[channel] == error
        assert np.ravel(fixed.width)[channel] == width
        if values[channel].any() and width:
            assert np.ravel(fixed.integer)[channel] == own.integer
            assert error == squared_error(values[channel].reshape(-1).tolist(), True, width, int(own.integer))


@settings(deadline=None)
@given(weights(smallest=-60))
def test_no_channel_makes_the_sums_much_finer_or_wider(given: tuple[np.ndarray, list[int]]) -> None:
    """Weights a thousand million times smaller than the others are no reason for sums of sixty bits."""
    values, widths = given
    whole = channel_formats(values, widths)[0].envelope()
    if values.any() and any(widths):
        top = int(np.ceil(np.log2(np.abs(values).max()))) + 1
        assert whole.integer <= top + 1
        assert whole.fraction <= max(widths) - (top - SPREAD - CANDIDATES + 1)


def test_uniform_widths_are_never_worse_than_one_binary_point() -> None:
    values = np.random.default_rng(0).normal(size=(16, 40)) * np.linspace(0.1, 1, 16)[:, np.newaxis]
    for width in (2, 3, 4, 8):
        assert channel_formats(values, [width] * 16)[1].mean() <= best_format(values, width, True)[1]


@pytest.mark.parametrize("shape", [(3, 2), (), (0,)])
def test_one_width_for_each_channel(shape: tuple[int, ...]) -> None:
    with pytest.raises(ContractError, match="4 widths"):
        channel_formats(np.ones(shape), [4, 4, 4, 4])


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 300))
def test_even_rows_are_spread_from_first_to_last(total: int, count: int) -> None:
    rows = even_rows(total, count)
    assert len(rows) == min(count, total)
    assert rows[0] == 0
    if len(rows) > 1:
        assert rows[-1] == total - 1
        steps = np.diff(rows)
        assert steps.min() >= 1
        assert steps.max() - steps.min() <= 1


@pytest.mark.parametrize(("total", "count"), [(0, 4), (5, 0), (5, -1)])
def test_even_rows_of_nothing(total: int, count: int) -> None:
    with pytest.raises(InputError, match="calibration data"):
        even_rows(total, count)
