"""The C++ of convolutional, residual and gated networks gives the integers of the reference; what is refused, early."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import codesign
from codesign.errors import InputError
from codesign.finetune._network import QuantizedNetwork
from codesign.fixed import Fixed
from codesign.load._fx import graph_from_module
from codesign.ops.op import Shape
from codesign.quantized import Quantized
from codesign.transpile._allowed import PARALLEL, require_allowed
from codesign.transpile.hls4ml import Hls4ml
from codesign.verify._hops import compare, hls4ml_outputs
from tests.networks import STAGES, Apply, Plan, build_network
from tests.strategies import spread_values
from tests.test_hls4ml_exact import VITIS, converted

#: Stages with an operation, or a form of one, that the route does not make.
REFUSED = ("affine", "clamp", "gated", "limited", "relu6", "sigmoid", "softmax", "tanh", "upsample", "weighted_sum")
MADE = tuple(stage for stage in STAGES if stage not in REFUSED)


def drawn(seed: int) -> Plan:
    """A plan from a seed: every operation that the route makes, bits per tensor and per channel."""
    random = np.random.default_rng(seed)

    def points(low: int, high: int, count: int) -> tuple[tuple[int, int], ...]:
        return tuple((int(random.integers(low, high)), int(random.integers(-2, 5))) for _ in range(count))

    return Plan(
        int(random.integers(1, 3)),
        tuple(str(stage) for stage in random.choice(MADE, random.integers(1, 4))),
        str(random.choice(["flatten", "mean", "sum"])),
        tuple(bool(random.integers(2)) for _ in range(3)),
        points(2, 9, 3),
        points(2, 11, 3),
        Fixed(bool(random.integers(2)), *points(2, 11, 1)[0]),
        seed,
        points(2, 9, 3) if seed % 2 else (),
    )


def assert_exact(quantized: Quantized, inputs: list[np.ndarray], folder: Path, step: Hls4ml = VITIS) -> None:
    """The C++ simulation gives the reference's integers."""
    design, context = converted(quantized, folder, step)
    context.store.take_out(design.artifacts["hls4ml"].digest, folder / "project", folder=True)
    found, detail = hls4ml_outputs(quantized, folder / "project", list(quantized.encode(inputs).values()), folder)
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
    Plan(2, ("last_axis", "shared", "avgpool"), "sum", (True, False, True), ((5, 1),), ((6, 2),), Fixed(True, 7, 3), 3),
)


@pytest.mark.parametrize("plan", SMALL, ids=lambda plan: "-".join(plan.stages))
def test_cpp_gives_the_references_integers(plan: Plan, tmp_path: Path) -> None:
    network = build_network(plan)
    assert_exact(network.quantized, [network.inputs(100)], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("stage", MADE)
@pytest.mark.parametrize("rank", [1, 2])
def test_every_stage_in_cpp(stage: str, rank: int, tmp_path: Path) -> None:
    network = build_network(Plan(rank, (stage,), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4))
    assert_exact(network.quantized, [network.inputs(100)], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(300))
def test_cpp_gives_the_references_integers_at_random(seed: int, tmp_path: Path) -> None:
    network = build_network(drawn(seed))
    assert_exact(network.quantized, [network.inputs(100)], tmp_path)


def quantized_module(module: nn.Module, *shapes: Shape) -> Quantized:
    """A module with 6 bits for activations and 5 for weights."""
    graph, _ = graph_from_module(module.eval(), list(shapes))
    signs = graph.signed()
    formats = {name: Fixed(signs[name], 6, 2) for name in graph.activations()}
    formats |= {name: Fixed(True, 5, 1) for name in graph.weights()}
    return QuantizedNetwork(graph, formats).freeze(graph.parameters)


class Sets(nn.Module):
    """Two inputs: a set of particles and what is known of the event, joined by a product."""

    def __init__(self) -> None:
        super().__init__()
        self.each, self.event, self.head = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(8, 3)

    def forward(self, particles: Tensor, event: Tensor) -> Tensor:
        pooled = self.each(particles).relu().mean(1)
        gate = self.event(event).relu()
        return self.head(torch.cat([pooled * gate, gate], 1))


#: Networks beside the random ones: modules and their inputs' shapes.
OTHERS: dict[str, tuple[nn.Module, list[Shape]]] = {
    "two inputs": (Sets(), [(5, 3), (2,)]),
    "transposed input of one channel": (
        nn.Sequential(Apply(lambda x: x.transpose(2, 3)), nn.Flatten(), nn.Linear(12, 3)),
        [(1, 3, 4)],
    ),
    "transposed before flatten": (
        nn.Sequential(Apply(lambda x: x.permute(0, 3, 2, 1)), nn.Flatten(), nn.Linear(24, 3)),
        [(2, 3, 4)],
    ),
    "output with positions": (nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU()), [(2, 6)]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_in_cpp(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    module, shapes = OTHERS[name]
    quantized, random = quantized_module(module, *shapes), np.random.default_rng(5)
    assert_exact(quantized, [spread_values(random, Fixed(True, 6, 2), (60, *shape)) for shape in shapes], tmp_path)


@pytest.mark.parametrize("stage", REFUSED)
@pytest.mark.parametrize("rank", [1, 2])
def test_what_is_refused(stage: str, rank: int) -> None:
    plan = Plan(rank, (stage,), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    with pytest.raises(InputError, match=r"layer '.*': .*which the hls4ml route does not make.*use --flow qonnx"):
        require_allowed(build_network(plan).graph, "Vitis", "io_parallel")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: nn.ConstantPad1d((1, 0), 0), "zeros along the channels"),
        (lambda: nn.Unflatten(1, (2, 2, 2, 2)), r"a tensor of shape \[2, 2, 2, 2\]; wanted: at most 3 axes"),
    ],
)
def test_bounds(module: Callable[[], nn.Module], message: str) -> None:
    graph, _ = graph_from_module(nn.Sequential(nn.Linear(3, 16), module(), nn.Flatten()), [(3,)])
    with pytest.raises(InputError, match=message):
        require_allowed(graph, "Vitis", "io_parallel")


def test_a_build_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 4)).astype(np.float32), random.integers(0, 2, 30)
    data = codesign.Data(x, y, (0, 10), (10, 20), (20, 30))
    with pytest.raises(InputError, match="layer '1': an operation 'table'") as caught:
        codesign.build(module, data, "pynq-z2", "hls4ml", tmp_path)
    assert caught.value.__notes__ == ["in pass transpile.hls4ml, asked beforehand"]
    assert not list((tmp_path / ".codesign" / "results").glob("*"))


def test_allowed_operations_exist() -> None:
    from codesign.ops import operations

    assert set(PARALLEL) <= set(operations())
