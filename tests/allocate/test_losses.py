"""What a width costs in loss, per tensor and per channel, against the definition; weights that become zero."""

from itertools import pairwise
from math import fsum

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from codesign.allocate._losses import loss_table, nonzero_table
from codesign.allocate._pieces import Piece
from codesign.calibrate import best_format
from codesign.design import Dataset, Design, Score, Sensitivity
from codesign.errors import ContractError, InputError
from codesign.fixed import quantize
from codesign.load._fx import graph_from_module
from codesign.starting import Starting

WEIGHT, ELEMENTS = "0.weight", 18
WIDTHS = [0, 2, 3, 4, 8]


def starting() -> Starting:
    """Of a convolution with six channels of 18 weights, and a linear layer."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)).eval()
    graph, _ = graph_from_module(module, [(2, 4, 4)])
    x = np.random.default_rng(0).normal(size=(50, 2, 4, 4)).astype(np.float32)
    data = Dataset((x,), np.zeros(50, np.int64), {"train": (0, 50), "validation": (50, 50), "test": (50, 50)})
    return Starting.of(Design({"graph": graph, "dataset": data}), 50)


START = starting()
ACTIVATION = START.graph.activations()[-1]


def measured(quantity: str = "trace", channels: np.ndarray | None = None, value: float = 3.5) -> Sensitivity:
    """A sensitivity of both weights and an activation."""
    scores = {WEIGHT: Score(value, 0.1, 0.1, 6 * ELEMENTS), "3.weight": Score(-2.0, 0.1, 0.1, 72)}
    increases = {name: {4: Score(0.25, 0.1, 0.0, score.size)} for name, score in scores.items()}
    return Sensitivity(
        quantity=quantity,  # type: ignore[arg-type]
        matrix=None if quantity == "loss_increase" else "hessian",
        parameters=scores,
        activations={ACTIVATION: Score(1.25, 0.1, 0.1, 24)},
        samples=10,
        loss=1.0,
        channels={} if channels is None else {WEIGHT: channels},
        increases=increases if quantity == "loss_increase" else {},
    )


def table(sensitivity: Sensitivity, *pieces: Piece, widths: list[int] = WIDTHS) -> dict[Piece, dict[int, float]]:
    return loss_table(START, "hessian_trace", sensitivity, dict.fromkeys(pieces, widths))


def test_of_whole_tensors() -> None:
    found = table(measured(), Piece(WEIGHT), Piece("3.weight"), Piece(ACTIVATION))
    for piece, curvature in ((Piece(WEIGHT), 3.5), (Piece("3.weight"), -2.0), (Piece(ACTIVATION), 1.25)):
        assert found[piece] == {bits: 0.5 * curvature * START.format(piece.tensor, bits)[1] for bits in WIDTHS}
    eigenvalue = table(measured("eigenvalue"), Piece(WEIGHT))[Piece(WEIGHT)]
    assert eigenvalue == {bits: 0.5 * (3.5 * 108) * START.format(WEIGHT, bits)[1] for bits in WIDTHS}


@settings(deadline=None)
@given(st.lists(st.floats(-5, 100), min_size=6, max_size=6), st.integers(0, 5), st.integers(1, 6))
def test_of_channels_by_definition(traces: list[float], first: int, count: int) -> None:
    piece = Piece(WEIGHT, (first, min(first + count, 6)))
    found = table(measured(channels=np.array(traces)), piece)[piece]
    weights = np.asarray(START.graph.parameters[WEIGHT], np.float64)
    for bits in WIDTHS:
        wanted = 0.0
        for channel in range(*piece.channels):
            fixed, _ = best_format(weights[channel].reshape(-1), bits, True)
            error = quantize(weights[channel], fixed, "nearest_even").real() - weights[channel]
            wanted += 0.5 * traces[channel] / ELEMENTS * np.sum(error**2)
        np.testing.assert_allclose(found[bits], wanted, rtol=1e-12, atol=1e-15)


@settings(deadline=None)
@given(st.lists(st.floats(-5, 100), min_size=6, max_size=6), st.lists(st.integers(1, 5), max_size=4))
def test_pieces_add_up_to_the_tensor(traces: list[float], cuts: list[int]) -> None:
    ends = sorted({0, *cuts, 6})
    sensitivity = measured(channels=np.array(traces))
    pieces = [Piece(WEIGHT, pair) for pair in pairwise(ends)]
    found, whole = table(sensitivity, *pieces), Piece(WEIGHT, (0, 6))
    for bits, loss in table(sensitivity, whole)[whole].items():
        np.testing.assert_allclose(fsum(found[piece][bits] for piece in pieces), loss, rtol=1e-12, atol=1e-15)


def test_equal_channels_are_the_mean_curvature_of_the_tensor() -> None:
    """Without a trace per channel it is the tensor's mean; the error is that of each channel's own binary point."""
    piece = Piece(WEIGHT, (0, 6))
    equal = table(measured(channels=np.full(6, 3.5 / 6)), piece)[piece]
    assert table(measured(), piece)[piece] == equal
    whole = table(measured(), Piece(WEIGHT))[Piece(WEIGHT)]
    np.testing.assert_allclose(whole[0], equal[0], rtol=1e-12)  # no bits: no binary point
    for bits in WIDTHS:
        np.testing.assert_allclose(equal[bits], 0.5 * 3.5 * np.mean(START.channel_errors(WEIGHT, bits)), rtol=1e-12)
        assert equal[bits] <= whole[bits] * (1 + 1e-12)
    mean = table(measured("eigenvalue", np.arange(6.0)), piece)[piece]
    assert mean == pytest.approx({bits: loss * 108 for bits, loss in equal.items()}, rel=1e-12)


def test_inputs_are_left_out() -> None:
    (name,) = START.graph.inputs
    assert table(measured(), Piece(name)) == {}


def test_measured_increases_are_of_whole_tensors() -> None:
    sensitivity = measured("loss_increase")
    assert table(sensitivity, Piece(WEIGHT), widths=[4]) == {Piece(WEIGHT): {4: 0.25}}
    with pytest.raises(InputError, match=r"0 bits, not measured by .*hessian_trace.bits"):
        table(sensitivity, Piece(WEIGHT), widths=[4, 0])
    with pytest.raises(InputError, match=r"granularity.*'tensor'"):
        table(sensitivity, Piece(WEIGHT, (0, 2)), widths=[4])


@pytest.mark.parametrize("channels", [None, (0, 1)])
def test_what_is_missing_or_not_finite_is_said(channels: tuple[int, int] | None) -> None:
    with pytest.raises(InputError, match=r"'0.bias'.*not measured by sensitivity.hessian_trace"):
        table(measured(), Piece("0.bias", channels))
    with pytest.raises(InputError, match=r"'0.weight'.*not finite"):
        table(measured(value=np.inf), Piece(WEIGHT, channels))


@pytest.mark.parametrize("channels", [(0, 7), (3, 3), (-1, 2)])
def test_channels_that_are_not_there(channels: tuple[int, int]) -> None:
    with pytest.raises(ContractError, match="channels of 6"):
        table(measured(), Piece(WEIGHT, channels))
    with pytest.raises(ContractError, match="channels of 6"):
        nonzero_table(START, {Piece(WEIGHT, channels): [4]})


def test_weights_that_become_zero() -> None:
    widths = {Piece(WEIGHT): WIDTHS, Piece(WEIGHT, (1, 4)): WIDTHS, Piece(ACTIVATION): WIDTHS}
    found = nonzero_table(START, widths)
    assert set(found) == {Piece(WEIGHT), Piece(WEIGHT, (1, 4))}
    weights = np.asarray(START.graph.parameters[WEIGHT], np.float64)
    for bits in WIDTHS:
        whole = quantize(weights, best_format(weights, bits, True)[0], "nearest_even").values
        assert found[Piece(WEIGHT)][bits] == (np.count_nonzero(whole),)
        for channel, count in zip(range(1, 4), found[Piece(WEIGHT, (1, 4))][bits], strict=True):
            row = weights[channel].reshape(-1)
            assert count == np.count_nonzero(quantize(row, best_format(row, bits, True)[0], "nearest_even").values)
            assert type(count) is int
    assert found[Piece(WEIGHT)][0] == (0,)
