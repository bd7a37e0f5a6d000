"""Steps before the network: what is refused, each with a clear message."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from codesign.design import Dataset
from codesign.errors import InputError
from codesign.load.data.dataset import make_dataset
from codesign.load.torch import graph_for

FORMATS = ("ufixed<6,4>", "fixed<5,1>", "fixed<4,4>")
TABLE = np.arange(64) / 4
ROUGH = np.log2(1 + np.arange(64))
counter = [0]


def words() -> np.ndarray:
    """64 samples of three features."""
    return np.stack([np.arange(64), np.arange(64) % 32 - 16, np.arange(64) % 16 - 8], 1)


def dataset(formats: tuple[str, ...] = FORMATS, x: Any = None) -> Dataset:
    rows: Any = {"train": (0, 50), "validation": (50, 60), "test": (60, 64)}
    x = words() if x is None else x
    return make_dataset({"x": x}, np.zeros(64, np.int64), rows, formats=formats)


def looked_up(w: Any) -> Any:
    return TABLE[w]


def helped(w: Any) -> Any:
    return np.concatenate([looked_up(w[:, :1]), w[:, 1:]], 1)


def counted(w: Any) -> Any:
    counter[0] += 1
    return w + counter[0]


def own_table(w: Any) -> Any:
    table = np.arange(64)
    return table[w]


@pytest.mark.parametrize("step", [None, lambda w: w * 2, lambda w: w[:, :1] + w[:, 1:2]])
@pytest.mark.parametrize("apart", [("ufixed<2,-46>", "ufixed<2,26>"), ("ufixed<24,-24>", "ufixed<24,24>")])
def test_formats_too_far_apart_for_int64(apart: tuple[str, str], step: Any) -> None:
    """Said before anything is trained, not computed modulo 2**64."""
    data = dataset(apart, np.ones((64, 2), np.int64))
    features = 1 if step is not None and step(np.ones((1, 2))).shape[1] == 1 else 2
    with pytest.raises(InputError, match=r"side by side, which take|one tensor that need|numbers of \d+ bits"):
        graph_for(nn.Linear(features, 2), data, step)


def test_tables_of_neighbours_and_closures() -> None:
    table = np.arange(64) * 3
    graph_for(nn.Linear(3, 2), dataset(), helped)
    graph, _ = graph_for(nn.Linear(1, 2), dataset(), lambda w: table[w[:, :1]])
    assert [node.op.kind for node in graph.nodes] == ["affine", "floor", "select", "lookup", "linear"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda w: np.log2(w), "numpy.log2, for which there is no operation"),
        (lambda w: np.sort(w), "numpy.sort, for which there is no operation"),
        (lambda w: w * 0.1, "a tensor times 0.1; wanted: a number of at most 12 bits"),
        (lambda w: w if w[0, 0] > 0 else -w, "TypeError|a branch on the data|raised"),
        (looked_up, r"indices from -\d+ to 63; wanted: 0 to 63; clip them"),
        (lambda w: ROUGH[w[:, :1]], "entries need more than 24 bits; wanted: fewer; round the entries"),
        (own_table, "make the table outside"),
        (lambda w: w.astype(np.uint8), "conversion to uint8, in which numbers wrap around.*32 bits"),
        (counted, "gives other numbers than its calls as traced"),
        (lambda w: np.ones((64, 3)), "gave ndarray; wanted: arrays made from the words"),
        (lambda w, other: w, "of 2 arguments; wanted: 1, as the data has input arrays"),
        (nn.Linear(3, 3), "parameters weight, bias; wanted: none"),
    ],
)
def test_steps_that_are_refused(step: nn.Module | Callable[..., Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        graph_for(nn.Linear(3, 2), dataset(), step)


def test_a_numpy_function_needs_formats() -> None:
    with pytest.raises(InputError, match="no formats; wanted: how the trigger sends the inputs"):
        graph_for(nn.Linear(3, 2), dataset(formats=()), helped)


@pytest.mark.parametrize(
    ("formats", "change", "message"),
    [
        (("ufixed<6,4>",) * 2, 0, "2 formats; wanted: one for all, or one for each of the 3 features"),
        (("uint6",), 0, "'uint6'; wanted: such as 'ufixed<12,10>'"),
        (("fixed<1,1>",), 0, "'fixed<1,1>'; wanted: 2 to 24 bits"),
        (
            FORMATS,
            100,
            r"2 of 192 words are not of the format, the first 163 at \[63, 0\]; wanted: ufixed<6,4>: words from 0",
        ),
        (
            FORMATS,
            0.3,
            r"2 of 192 numbers are not of the format, the first 15\.3.* at \[3, 0\]; wanted: .*steps of 0\.25",
        ),
    ],
)
def test_formats_that_are_refused(formats: tuple[str, ...], change: float, message: str) -> None:
    x: Any = words()
    if change == 100:
        x[63] += [100, 100, 0]
    elif change:
        x = x / [4.0, 16.0, 1.0]
        x[3, 0], x[5, 1] = 15.3, 5.0
    with pytest.raises(InputError, match=message):
        dataset(formats, x)


def test_floats_on_the_grid_are_the_words() -> None:
    np.testing.assert_array_equal(dataset(x=words() / [4.0, 16.0, 1.0]).inputs[0], dataset().inputs[0])


def test_torch_reads_the_same_through_export() -> None:
    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.arange(64) / 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[1] != 3:  # a branch that torch.fx can't follow
                return x
            return torch.stack([self.table[(x[:, 0] * 4).long()], x[:, 1] * 2], 1)  # type: ignore[index]

    graph, _ = graph_for(nn.Linear(2, 2), dataset(), Step())
    assert {"select", "lookup", "affine", "concat"} <= {node.op.kind for node in graph.nodes}
