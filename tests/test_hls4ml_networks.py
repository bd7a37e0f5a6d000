"""The C++ of convolutional, residual and gated networks gives the integers of the reference; what is refused, early."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import codesign
from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.load._fx import graph_from_module
from codesign.network import QuantizedNetwork
from codesign.ops.op import Shape
from codesign.quantized import Quantized
from codesign.transpile.firmware.allowed import PARALLEL, require_allowed
from codesign.transpile.firmware.backends import IoType
from codesign.transpile.hls4ml import Hls4ml
from codesign.verify.hops.representations import compare, hls4ml_outputs, output_shapes
from tests.networks import STAGES, Apply, Plan, Residual, build_network, drawn, last_axis
from tests.strategies import spread_values
from tests.test_hls4ml_exact import VITIS, converted


def assert_exact(quantized: Quantized, inputs: list[np.ndarray], folder: Path, step: Hls4ml = VITIS) -> None:
    """The C++ simulation gives the reference's integers."""
    design, context = converted(quantized, folder, step)
    context.store.take_out(design.artifacts["hls4ml"].digest, folder / "project", folder=True)
    found, detail = hls4ml_outputs(
        output_shapes(quantized), folder / "project", list(quantized.encode(inputs).values()), folder
    )
    check = compare("numpy", "hls4ml", [codes.real() for codes in quantized.outputs(inputs)], found, detail)
    assert (check.status, check.mismatches, check.inputs) == ("exact", 0, len(inputs[0]))


#: Few networks with all that the route makes.
SMALL = (
    Plan(2, ("conv", "maxpool", "residual"), "flatten", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 1),
    Plan(
        1,
        ("padded", "leaky", "concat", "averaged"),
        "mean",
        (False,) * 3,
        ((4, 0), (0, 0)),
        ((5, 2),),
        Fixed(False, 6, 1),
        2,
        ((3, 1), (0, 0), (5, -2)),
    ),
    Plan(1, ("looked_up", "selected", "sigmoid"), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4),
    Plan(2, ("last_axis", "shared", "avgpool"), "sum", (True, False, True), ((5, 1),), ((6, 2),), Fixed(True, 7, 3), 3),
)


@pytest.mark.parametrize("plan", SMALL, ids=lambda plan: "-".join(plan.stages))
def test_cpp_gives_the_references_integers(plan: Plan, tmp_path: Path) -> None:
    network = build_network(plan)
    assert_exact(network.quantized, [network.inputs(100)], tmp_path)


def step_for(quantized: Quantized, io_type: IoType) -> Hls4ml:
    """The step; skips what streams are known not to do."""
    try:
        require_allowed(quantized.graph, "Vitis", io_type)
    except InputError as error:
        if io_type == "io_parallel" or "windows that overlap" not in str(error):
            raise
        pytest.skip(str(error))
    return Hls4ml(io_type=io_type)


@pytest.mark.slow
@pytest.mark.parametrize("io_type", get_args(IoType))
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("rank", [1, 2])
def test_every_stage_in_cpp(stage: str, rank: int, io_type: IoType, tmp_path: Path) -> None:
    network = build_network(Plan(rank, (stage,), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4))
    assert_exact(network.quantized, [network.inputs(1000)], tmp_path, step_for(network.quantized, io_type))


@pytest.mark.slow
@pytest.mark.parametrize("io_type", get_args(IoType))
@pytest.mark.parametrize("seed", range(300))
def test_cpp_gives_the_references_integers_at_random(seed: int, io_type: IoType, tmp_path: Path) -> None:
    """On a thousand random inputs, and on corners of the input range."""
    network = build_network(drawn(seed))
    assert_exact(network.quantized, [network.inputs(1000)], tmp_path, step_for(network.quantized, io_type))


def quantized_module(module: nn.Module, *shapes: Shape) -> Quantized:
    """A module with 6 bits for activations and 5 for weights."""
    graph, _ = graph_from_module(module.eval(), list(shapes))
    signs = graph.signed()
    formats = {name: Fixed(signs[name], 6, 2) for name in graph.activations()}
    formats |= {name: Fixed(True, 5, 1) for name in graph.weights()}
    return QuantizedNetwork(graph, formats).freeze(graph.parameters)


def buffered(function: Callable[..., Tensor], *values: Any) -> nn.Module:
    """A function of a tensor and of constants."""
    return Apply(lambda x: function(x, *(torch.tensor(each) for each in values)))


class Sets(nn.Module):
    """Two inputs: a set of particles and what is known of the event, joined by a product."""

    def __init__(self) -> None:
        super().__init__()
        self.each, self.event, self.head = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(8, 3)

    def forward(self, particles: Tensor, event: Tensor) -> Tensor:
        pooled = self.each(particles).relu().mean(1)
        gate = self.event(event).relu()
        return self.head(torch.cat([pooled * gate, gate], 1))


class Named(nn.Module):
    """Layers called what layers between layers could be called."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.sum_flat, self.first_rows = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        cat = torch.cat([x, self.first(x), x.relu()], 1)
        cat_1 = torch.cat([cat.relu(), x, self.sum_flat(x)], 1)
        return self.first_rows(cat_1.sum(1))


#: Networks beside the random ones: modules and their inputs' shapes.
OTHERS: dict[str, tuple[nn.Module, list[Shape]]] = {
    "two inputs": (Sets(), [(5, 3), (2,)]),
    "names that come twice": (Named(), [(2, 3)]),
    "transposed input of one channel": (
        nn.Sequential(Apply(lambda x: x.transpose(2, 3)), nn.Flatten(), nn.Linear(12, 3)),
        [(1, 3, 4)],
    ),
    "transposed before flatten": (
        nn.Sequential(Apply(lambda x: x.permute(0, 3, 2, 1)), nn.Flatten(), nn.Linear(24, 3)),
        [(2, 3, 4)],
    ),
    "zeros for one of two branches": (
        nn.Sequential(nn.Conv1d(2, 3, 1), Residual(nn.Conv1d(3, 3, 1), nn.Conv1d(3, 3, 3, padding=1), True, False)),
        [(2, 6)],
    ),
    "a new shape that is read twice": (
        nn.Sequential(
            Apply(last_axis, nn.Linear(2, 4)), Apply(lambda x: x + x.sum(1, keepdim=True) - x.mean(-1, keepdim=True))
        ),
        [(2, 4, 3)],
    ),
    "output with positions": (nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU()), [(2, 6)]),
    "flat before what is done to elements": (
        nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten(), nn.Hardtanh(-1, 0.5), nn.Linear(12, 3)),
        [(2, 6)],
    ),
    "constants of channels, of positions and of elements": (
        nn.Sequential(
            nn.Conv1d(2, 3, 1),
            buffered(lambda x, c, p: x * c + p, [[0.5], [-1.5], [2.0]], [1.0, -0.25, 3.0, 0.0]),
            buffered(torch.maximum, [[-1.0, 0.25, -2.0, 0.0]] * 2 + [[0.5] * 4]),
            buffered(torch.minimum, [[2.0], [1.5], [3.0]]),
            nn.ReLU6(),
        ),
        [(2, 4)],
    ),
    "a sum and a product after layers that end without": (
        nn.Sequential(nn.Linear(4, 3, bias=False), Apply(lambda x: 2 - x * 0.75), Apply(lambda x: x.sum(-1) * 0.5)),
        [(2, 4)],
    ),
    "limits and tables one after another": (
        nn.Sequential(
            Apply(lambda x: x.clamp(min=-1.5).clamp(max=1.75)),
            nn.Tanh(),
            Apply(lambda x: x.floor() * 0.5),
            nn.Linear(5, 2),
            nn.Sigmoid(),
        ),
        [(5,)],
    ),
    "tensors that go along with each other": (
        nn.Sequential(
            nn.Linear(4, 4),
            Apply(lambda x: x[:, :1] - x[..., :1] + x[:, 1:2, 1:3].sum((1, 2), keepdim=True)),
            Apply(lambda x: x[:, :, None, 1] * x[:, 0:1, 2:3]),
        ),
        [(3, 4)],
    ),
    "upsampled by two factors": (
        nn.Sequential(nn.Conv2d(1, 2, 1), nn.Upsample(scale_factor=(3, 2)), nn.Conv2d(2, 2, (3, 2), (3, 2))),
        [(1, 2, 3)],
    ),
    "zeros along the channels": (
        nn.Sequential(nn.ConstantPad2d((1, 0, 0, 1), 0), nn.Flatten(), nn.ConstantPad1d((1, 2), 0), nn.Linear(15, 2)),
        [(1, 2, 3)],
    ),
}


@pytest.mark.parametrize(
    ("name", "io_type"),
    [pytest.param(n, io, marks=[pytest.mark.slow] * (io == "io_stream")) for n in OTHERS for io in get_args(IoType)],
)
def test_other_networks_in_cpp(name: str, io_type: IoType, tmp_path: Path) -> None:
    torch.manual_seed(3)
    module, shapes = OTHERS[name]
    quantized, random = quantized_module(module, *shapes), np.random.default_rng(5)
    inputs = [spread_values(random, Fixed(True, 6, 2), (200, *shape)) for shape in shapes]
    assert_exact(quantized, inputs, tmp_path, Hls4ml(io_type=io_type))


@pytest.mark.parametrize("rank", [1, 2])
def test_what_is_refused(rank: int) -> None:
    plan = Plan(rank, ("maxpool",), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    with pytest.raises(InputError, match=r"layer '.*': .*which the hls4ml route does not make.*use --flow qonnx"):
        require_allowed(build_network(plan).graph, "Vitis", "io_stream")


def test_bounds() -> None:
    module = nn.Sequential(nn.Linear(3, 16), nn.Unflatten(1, (2, 2, 2, 2)), nn.Flatten())
    graph, _ = graph_from_module(module, [(3,)])
    with pytest.raises(InputError, match=r"a tensor of shape \[2, 2, 2, 2\]; wanted: at most 3 axes"):
        require_allowed(graph, "Vitis", "io_parallel")


def test_a_build_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Unflatten(1, (2, 1, 2, 1)), nn.Flatten(), nn.Linear(4, 2))
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 4)).astype(np.float32), random.integers(0, 2, 30)
    data = codesign.Data(x, y, (0, 10), (10, 20), (20, 30))
    with pytest.raises(InputError, match=r"layer '0': a tensor of shape \[2, 1, 2, 1\]") as caught:
        codesign.build(module, data, "pynq-z2", "hls4ml", tmp_path)
    assert caught.value.__notes__ == ["in pass transpile.hls4ml, asked beforehand"]
    assert not list((tmp_path / ".codesign" / "results").glob("*"))


def test_allowed_operations_exist() -> None:
    from codesign.ops import operations

    assert set(PARALLEL) <= set(operations())
