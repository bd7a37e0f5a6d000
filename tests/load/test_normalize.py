"""Normalization inside the network: what it computes, and what it refuses."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from codesign.design import Dataset
from codesign.errors import InputError
from codesign.load.data.dataset import make_dataset
from codesign.load.torch import graph_for
from codesign.ops.affine import Affine
from codesign.torch_forward import float_forward, to_tensors
from tests.preprocessing import words_of

FORMATS = ("ufixed<8,6>", "fixed<7,1>", "fixed<4,4>")


def dataset(normalize: Any, formats: tuple[str, ...] = FORMATS, seed: int = 0, **more: Any) -> Dataset:
    words = words_of(formats, 200, seed)[:200]
    rows: Any = {"train": (0, 150), "validation": (150, 170), "test": (170, 200)}
    return make_dataset({"x": words}, np.arange(200) % 3, rows, normalize=normalize, formats=formats, **more)


def logits(module: nn.Module, data: Dataset) -> tuple[np.ndarray, Any]:
    graph, notices = graph_for(module, data)
    with torch.no_grad():
        tensors = float_forward(graph, to_tensors(graph.parameters), [torch.tensor(np.asarray(data.inputs[0]))])
    return tensors[graph.outputs[0]].numpy(), (graph, notices)


def network(features: int = 3) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(features, 6), nn.ReLU(), nn.Linear(6, 3))


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(2, 12), st.integers(-4, 10), st.booleans()), min_size=1, max_size=4), st.integers()
)
def test_it_is_the_normalization(features: list[tuple[int, int, bool]], seed: int) -> None:
    formats = tuple(f"{'u' * sign}fixed<{width},{integer}>" for width, integer, sign in features)
    data = dataset("inside", formats, abs(seed))
    assert data.mean is not None
    assert data.scale is not None
    module = network(len(formats))
    found, (graph, notices) = logits(module, data)
    normal = (data.inputs[0] - data.mean[0]) / data.scale[0]
    with torch.no_grad():
        wanted = module(torch.tensor(normal, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
    first = graph.nodes[0].op
    assert isinstance(first, Affine)
    assert list(notices.values()) == ["preprocess.normalized: folded into 0"]
    # Powers of two, nearest on a logarithmic scale, and offsets on the grid.
    assert (np.abs(np.log2(first.scale.values * data.scale[0])) <= 0.5 + 1e-9).all()
    assert (np.log2(first.scale.values) % 1 == 0).all()
    steps = -first.offset.values / first.scale.values * 2.0 ** np.asarray([w - i for w, i, _ in features])
    np.testing.assert_array_equal(steps, np.rint(steps))


def test_layers_behind_what_moves_data_and_convolutions() -> None:
    words = np.random.default_rng(0).integers(0, 255, (200, 2, 8))
    rows: Any = {"train": (0, 150), "validation": (150, 170), "test": (170, 200)}
    data = make_dataset({"x": words}, np.arange(200) % 3, rows, normalize="inside", formats=["ufixed<8,6>"])
    graph_for(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), data)
    with pytest.raises(InputError, match=r"normalize = 'inside'.*one weight for several elements"):
        graph_for(nn.Sequential(nn.Linear(8, 3), nn.Flatten(), nn.Linear(6, 3)), data)
    with pytest.raises(InputError, match="'relu' reads the normalized inputs"):
        graph_for(nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)), data)


def test_a_convolution_takes_up_what_is_left_of_one_factor_per_channel() -> None:
    """Behind a transpose: features of the data's last axis are the convolution's channels, alike at all positions."""
    words = np.repeat(np.random.default_rng(0).integers(0, [31, 255, 7], (200, 1, 3)), 10, 1)
    rows: Any = {"train": (0, 150), "validation": (150, 170), "test": (170, 200)}
    data = make_dataset({"x": words}, np.arange(200) % 3, rows, normalize="inside", formats=["ufixed<8,6>"])
    assert data.mean is not None
    assert data.scale is not None

    class Convolving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.conv, self.head = nn.Conv1d(3, 4, 3), nn.Linear(32, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.conv(x.transpose(1, 2)).relu().flatten(1))

    module = Convolving()
    found, (graph, notices) = logits(module, data)
    normal = (data.inputs[0] - data.mean[0]) / data.scale[0]
    with torch.no_grad():
        wanted = module(torch.tensor(normal, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
    assert list(notices.values()) == ["preprocess.normalized: folded into conv"]
    assert [node.op.kind for node in graph.nodes][:3] == ["affine", "transpose", "conv"]


def test_targets_are_normalized() -> None:
    data, plain = dataset("inside", targets="inputs"), dataset("none")
    assert data.mean is not None
    assert data.scale is not None
    np.testing.assert_array_equal(data.inputs[0], plain.inputs[0])
    wanted = ((plain.inputs[0] - data.mean[0]) / data.scale[0]).astype(np.float32)
    np.testing.assert_array_equal(data.targets, wanted)  # type: ignore[arg-type]


def test_a_step_beside_it_is_refused() -> None:
    with pytest.raises(InputError, match="'inside' beside it; wanted: one of both"):
        graph_for(network(), dataset("inside"), lambda w: w * 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalize": "inside"}, "'inside' without formats; wanted: how the trigger sends the inputs"),
        ({"normalize": "standard", "formats": ["fixed<8,4>"]}, "normalized before; wanted: one of both"),
    ],
)
def test_formats_and_normalization_go_together(options: dict[str, Any], message: str) -> None:
    rows: Any = {"train": (0, 4), "validation": (4, 5), "test": (5, 6)}
    with pytest.raises(InputError, match=message):
        make_dataset({"x": np.ones((6, 2))}, np.zeros(6, np.int64), rows, **options)
