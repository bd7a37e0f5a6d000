"""Steps before the network: from raw words on, every representation gives the same integers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor, nn

from codesign.fixed import quantize
from tests.preprocessing import ENDS, LOGARITHM, STEPS, Plan, build_network, plans, words_of
from tests.test_exact_chain import assert_exact

many = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
FORMATS = ("ufixed<6,4>", "fixed<5,1>", "fixed<4,4>")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files to execute go."""
    return tmp_path_factory.mktemp("preprocess")


def assert_same(plan: Plan, folder: Path) -> None:
    """The step's own numbers, and the same integers everywhere."""
    words = words_of(plan.formats, 300, plan.seed)
    network = build_network(plan.formats, plan.function, plan, words)
    assert_exact(network, folder)  # type: ignore[arg-type]
    if plan.end != "ratio":  # whose factors are quantized before they are multiplied
        # The first layer, which flattens what is not flat, or the one behind it.
        flat = next(node for node in network.graph.nodes if node.name in ("0", "1"))
        values = network.quantized.run(network.quantized.encode([network.samples]))
        origin = network.graph.origin(flat.inputs[0])
        wanted = quantize(np.asarray(plan.function(words), float), network.quantized.formats[origin], "floor")
        if origin not in network.graph.inputs:
            np.testing.assert_array_equal(values[flat.inputs[0]].real(), wanted.real())


@many
@given(plans())
def test_numpy_functions(folder: Path, plan: Plan) -> None:
    assert_same(plan, folder)


@pytest.mark.parametrize("step", [*STEPS, *ENDS])
def test_every_step(step: str, folder: Path) -> None:
    steps, end = ((step,), "words") if step in STEPS else ((), step)
    assert_same(Plan(FORMATS, steps, end, ((8, 4),), (5, 1), 3), folder)


class Step(nn.Module):
    """A function of a tensor and of constants."""

    def __init__(self, function: Callable[..., Tensor], *constants: Any) -> None:
        super().__init__()
        self.function, self.count = function, len(constants)
        for number, constant in enumerate(constants):
            self.register_buffer(f"constant{number}", torch.tensor(constant))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *(getattr(self, f"constant{number}") for number in range(self.count)))


def unbound(x: Tensor, table: Tensor) -> Tensor:
    first, second, third = x.unbind(-1)
    return torch.stack([table[(first * 4).long().clamp(0, 31)], second, third - second], -1)


def split(x: Tensor) -> Tensor:
    first, rest = x.split([1, 2], 1)
    return torch.cat([rest * 2, first, torch.narrow(x, 1, 1, 2), x.select(1, 0).unsqueeze(1)], 1)


MODULES: dict[str, nn.Module] = {
    "factors": Step(lambda x, scale, shift: (x - shift) * scale, [0.5, 4.0, -0.25], [2.0, -0.5, 1.0]),
    "divided": Step(lambda x, by: x / by, [0.5, 4.0, -0.25]),
    "reverse": Step(lambda x, shift: shift - x, [[2.0, -0.5, 1.0]]),
    "limits": Step(
        lambda x, low, high: torch.maximum(torch.minimum(x, high), low), [0.5, -0.25, -2.0], [3.0, 0.25, 1.0]
    ),
    "clamped": Step(lambda x, low, high: x.clamp(low, high), [0.5, -0.25, -2.0], [3.0, 0.25, 1.0]),
    "unbound": Step(unbound, LOGARITHM[:32].astype(np.float32)),
    "split": Step(split),
    "taken": Step(lambda x, table: torch.take(table, x[:, ::2].mul(4).clip(0, 3).to(torch.long)), [3.0, 1.0, 2.5, -8]),
    "every_axis": Step(lambda x: x[:, None, 1:, None].flatten(1)),
    "coarse": Step(lambda x: torch.floor(x * 8) * 32 + 64),
}


@pytest.mark.parametrize("name", MODULES)
def test_torch_modules(name: str, folder: Path) -> None:
    module, words = MODULES[name], words_of(FORMATS, 300, 5)
    network = build_network(FORMATS, module, Plan(FORMATS, (), "words", ((24, 14),), (5, 1), 4), words)
    assert_exact(network, folder)  # type: ignore[arg-type]
    values = network.quantized.run(network.quantized.encode([network.samples]))
    flat = next(node for node in network.graph.nodes if node.name in ("0", "1"))
    with torch.no_grad():
        np.testing.assert_array_equal(values[flat.inputs[0]].real(), module(torch.tensor(network.samples)).numpy())
