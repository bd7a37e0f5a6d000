"""Traces against the full Hessian."""

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, hessian
from torch.nn import functional

from codesign.calibrate import even_rows
from codesign.design import Split
from codesign.load._fx import graph_from_module
from codesign.passes import silent
from codesign.sensitivity._gauss_newton import traces
from tests.jets import loaded


def full_hessian_traces(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    """Trace of each parameter's block of the Hessian, from the whole Hessian, in float64."""
    module = module.double()
    parameters = {name: value.detach() for name, value in module.named_parameters()}

    def loss(given: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional.cross_entropy(functional_call(module, given, (x.double(),)), y)

    blocks = hessian(loss)(parameters)
    sizes = {name: value.numel() for name, value in parameters.items()}
    return {name: float(blocks[name][name].reshape(size, size).trace()) for name, size in sizes.items()}


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.integers(2, 4), st.integers(0, 10**6))
def test_equals_the_full_hessian(sizes: list[int], classes: int, seed: int) -> None:
    torch.manual_seed(seed)
    widths = [*sizes, classes]
    layers: list[nn.Module] = []
    for n, m in pairwise(widths):
        layers += [nn.Linear(n, m), nn.ReLU()]
    module = nn.Sequential(*layers[:-1])
    x, y = torch.randn(12, sizes[0]), torch.randint(0, classes, (12,))
    graph, _ = graph_from_module(module, [(sizes[0],)])
    found = traces(graph, Split((x.numpy(),), y.numpy()), batch=5, progress=silent)
    assert found.metric == "hessian"
    for name, value in full_hessian_traces(module, x, y).items():
        np.testing.assert_allclose(found.parameters[name].value, value, rtol=1e-4, atol=1e-7)  # float32 sums
        assert found.parameters[name].size == graph.parameters[name].size


def test_activation_trace_equals_the_hessian_of_the_rest() -> None:
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    x, y = torch.randn(9, 4), torch.randint(0, 3, (9,))
    graph, _ = graph_from_module(module, [(4,)])
    found = traces(graph, Split((x.numpy(),), y.numpy()), batch=4, progress=silent).activations["1"]
    hidden = module[:2](x).detach()
    blocks = [
        hessian(lambda h, label=label: functional.cross_entropy(module[2](h), label))(h).trace()
        for h, label in zip(hidden, y, strict=True)
    ]
    np.testing.assert_allclose(found.value, float(torch.stack(blocks).mean()), rtol=1e-4)
    assert found.size == 6


def test_standard_error_is_the_spread_of_per_sample_values() -> None:
    design = loaded()
    train = design.dataset.split("train")

    def part(offset: int) -> float:
        rows = even_rows(len(train), 512 * 20)[offset::20]
        data = Split(tuple(x[rows] for x in train.inputs), train.labels[rows])
        return traces(design.graph, data, 512, silent).parameters["fc2.weight"].value

    rows = even_rows(len(train), 512 * 20)[::20]
    one = traces(design.graph, Split(tuple(x[rows] for x in train.inputs), train.labels[rows]), 512, silent)
    spread = np.std([part(offset) for offset in range(20)], ddof=1)
    ratio = one.parameters["fc2.weight"].stderr / spread
    assert 0.6 < ratio < 1.6  # twenty draws know the spread to a sixth


def test_batches_do_not_matter() -> None:
    design = loaded()
    train = design.dataset.split("train")
    data = Split(tuple(x[:300] for x in train.inputs), train.labels[:300])
    one, many = (traces(design.graph, data, batch, silent) for batch in (300, 7))
    for name, trace in one.parameters.items():
        np.testing.assert_allclose(trace.value, many.parameters[name].value, rtol=1e-5)
