"""Looking at calibration data batch by batch gives what looking at all of it at once gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from codesign import starting
from codesign.calibrate import SAMPLE, best_format, even_rows
from codesign.design import Dataset, Design
from codesign.errors import ContractError, InputError
from codesign.load._fx import graph_from_module
from codesign.starting import Starting
from codesign.torch_forward import float_forward, to_tensors


def design_of(module: nn.Module, rows: int, *shape: int) -> Design:
    """A network and random data, all of it for training."""
    graph, _ = graph_from_module(module.eval(), [shape])
    x = np.random.default_rng(rows).normal(size=(rows, *shape)).astype(np.float32)
    rows_of = {"train": (0, rows), "validation": (rows, rows), "test": (rows, rows)}
    return Design({"graph": graph, "dataset": Dataset((x,), np.zeros(rows, np.int64), rows_of)})


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))


def on_grid(design: Design) -> Design:
    """With multiples of 1/8 for data and parameters: their sums are exact in float32, in whatever order."""
    graph, data = design.graph, design.dataset
    parameters = {name: np.round(value * 8) / np.float32(8) for name, value in graph.parameters.items()}
    inputs = tuple(np.round(x * 8) / np.float32(8) for x in data.inputs)
    return Design({"graph": replace(graph, parameters=parameters), "dataset": replace(data, inputs=inputs)})


def assert_as_a_whole(start: Starting, design: Design, samples: int) -> None:
    """Every format is the one of the definition, from all samples together."""
    graph = design.graph
    x = design.dataset.inputs[0]
    with torch.no_grad():
        tensors = float_forward(graph, to_tensors(graph.parameters), [torch.tensor(x[even_rows(len(x), samples)])])
    for name in graph.activations():
        for width in (0, 3, 8):
            assert start.format(name, width) == best_format(tensors[name].numpy(), width, start.signed[name])


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 120), st.integers(1, 150), st.integers(1, 200_000), st.sampled_from([200, 3000, SAMPLE]))
def test_batches_change_nothing(rows: int, samples: int, held: int, sample: int) -> None:
    design = on_grid(design_of(network(), rows, 1, 8, 8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starting, "HELD", held)
        patch.setattr("codesign.calibrate.SAMPLE", sample)
        start = Starting.of(design, samples)
        assert_as_a_whole(start, design, samples)
        for seen in start.values.values():
            total = min(rows, samples) * seen[0].size
            assert len(seen) == -(-min(rows, samples) // max(1, total // sample))


def test_small_networks_are_seen_in_one_piece() -> None:
    """So that their numbers do not depend on how a batch is summed."""
    design = design_of(nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 5)), 4096, 16)
    start = Starting.of(design, 4096)
    graph, x = design.graph, torch.tensor(design.dataset.inputs[0])
    with torch.no_grad(), starting.threads(1):
        tensors = float_forward(graph, to_tensors(graph.parameters), [x])
    for name in graph.activations():
        assert np.array_equal(start.values[name], tensors[name].numpy())


def test_outliers_in_samples_that_are_not_kept_count() -> None:
    design = design_of(nn.Sequential(nn.Linear(250, 2)), 1601, 250)  # every other sample is looked at
    (name,) = design.graph.inputs
    design.dataset.inputs[0][1] = 1000.0
    start = Starting.of(design, 1601)
    assert len(start.values[name]) == 801
    assert (start.largest[name], start.values[name].max() < 1000) == (1000.0, True)
    np.abs(design.dataset.inputs[0], out=design.dataset.inputs[0])
    assert not Starting.of(design, 1601).signed[name]
    design.dataset.inputs[0][3] = -0.5
    assert Starting.of(design, 1601).signed[name]


@pytest.mark.parametrize("held", [1, starting.HELD])
def test_values_that_are_not_finite_are_counted_in_all_batches(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "HELD", held)
    design = design_of(nn.Sequential(nn.Linear(3, 2)), 10, 3)
    design.dataset.inputs[0][[2, 7], 1] = np.nan, np.inf
    with pytest.raises(InputError, match=r"activation '.*': 2 values are NaN or infinite"):
        Starting.of(design, 10)


def test_memory_does_not_grow_with_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "HELD", 10_000)
    monkeypatch.setattr("codesign.calibrate.SAMPLE", 5000)
    held: list[int] = []

    def counted(*arguments) -> dict[str, torch.Tensor]:
        tensors = float_forward(*arguments)
        held.append(sum(tensor.numel() for tensor in tensors.values()))
        return tensors

    monkeypatch.setattr(starting, "float_forward", counted)
    for rows in (50, 3000):
        start = Starting.of(design_of(network(), rows, 1, 8, 8), rows)
        kept = [value if value.base is None else value.base for value in start.values.values()]
        assert sum(value.size for value in kept) <= 2 * 5000 * len(kept)
    assert 5000 < max(held) <= 10_000


def test_activations_have_one_width() -> None:
    start = Starting.of(design_of(nn.Sequential(nn.Linear(3, 2)), 10, 3), 10)
    (name,) = start.graph.inputs
    with pytest.raises(ContractError, match="activation"):
        start.format(name, (3, 3, 3))


def test_a_width_per_channel() -> None:
    start = Starting.of(design_of(network(), 10, 1, 8, 8), 10)
    fixed, error = start.format("0.weight", (4, 0, 2))
    _, errors = start.channels("0.weight", (4, 0, 2))
    assert np.ravel(fixed.width).tolist() == [4, 0, 2]
    assert error == errors.mean()
    assert errors[1] == np.mean(np.square(np.asarray(start.graph.parameters["0.weight"], np.float64)[1].reshape(-1)))
    assert start.channel_errors("0.weight", 4)[0] == errors[0]
