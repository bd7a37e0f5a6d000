"""Histograms of weights: every weight is counted once, at its own level."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.fixed import Codes
from codesign.report._histogram import BARS, histogram

CODES = st.lists(st.integers(-(2**15), 2**15), min_size=1, max_size=40)


@settings(deadline=None)
@given(CODES, st.integers(-3, 12))
def test_every_weight_is_counted_in_the_bar_that_it_is_in(codes: list[int], fraction: int) -> None:
    weights = np.array(codes) * 2.0**-fraction
    found = histogram(Codes(np.array(codes), fraction), weights)
    levels, half = np.array(found["levels"]), found["step"] / 2
    assert sum(found["rounded"]) == sum(found["before"]) == len(codes)
    assert len(levels) == len(found["rounded"]) <= BARS + 1
    inside = (weights[:, None] > levels - half) & (weights[:, None] < levels + half)
    assert inside.sum(0).tolist() == found["rounded"]
    if found["step"] == found["lsb"]:
        assert set(weights) <= set(levels)


def test_weights_of_several_formats_are_on_the_finest_grid() -> None:
    found = histogram(Codes(np.array([[1, 1]]), np.array([[0, 3]])), None)
    assert found["lsb"] == 0.125
    assert found["before"] is None
    assert [level for level, count in zip(found["levels"], found["rounded"], strict=True) if count] == [0.125, 1.0]


def test_what_saturates_is_counted_at_the_end() -> None:
    found = histogram(Codes(np.array([-4, 3]), 2), np.array([-7.0, 5.0]))
    assert found["before"][0] == found["before"][-1] == 1
    assert sum(found["before"]) == 2
