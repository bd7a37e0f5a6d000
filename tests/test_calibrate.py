"""Where the binary point goes, against brute force."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.calibrate import CANDIDATES, SAMPLE, best_format, even_rows
from codesign.errors import InputError
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
