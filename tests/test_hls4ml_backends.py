"""Every backend's C++ gives the reference's integers, for every operation that it is said to make."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from torch import nn

from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.load._fx import graph_from_module
from codesign.network import QuantizedNetwork
from codesign.quantized import Quantized
from codesign.target import load_target
from codesign.transpile.firmware.allowed import made_by, require_allowed
from codesign.transpile.firmware.backends import BACKENDS, BackendName, IoType
from codesign.transpile.hls4ml import Hls4ml
from codesign.verify.hops.representations import why_not_compiled
from tests import strategies
from tests.networks import Plan, build_network
from tests.strategies import spread_values
from tests.test_hls4ml_exact import PLANS, converted
from tests.test_hls4ml_networks import OTHERS, assert_exact, quantized_module

#: Parts by backend, where the target's is of another vendor.
PARTS = {name: "" if "xcvu13p".startswith(backend.parts) else backend.example for name, backend in BACKENDS.items()}
COMPILED: list[tuple[BackendName, IoType]] = [
    (backend, io_type) for backend in BACKENDS if not BACKENDS[backend].vendors for io_type in get_args(IoType)
]
#: Stages of networks, with their rank and end, that have all operations between them.
ROWS = {
    "windows": ("conv+halved+avgpool", 1, "flatten"),
    "spread": ("strided+dilated+depthwise", 2, "flatten"),
    "branches": ("residual+padded+concat", 1, "mean"),
    "joined": ("leaky+difference+projected", 2, "sum"),
    "averages": ("averaged+shared", 2, "mean"),
    "overlapping": ("maxpool", 2, "mean"),
    "axes": ("last_axis", 2, "mean"),
    "shapes": ("reshape", 2, "mean"),
    "constants": ("affine+clamp+tanh", 2, "mean"),
    "going along": ("upsample+gated+weighted_sum", 1, "sum"),
    "words": ("selected+looked_up+per_channel+relu6", 2, "flatten"),
    "shares": ("softmax+limited", 1, "flatten"),
}


def row(name: str) -> tuple[Quantized, list[np.ndarray]]:
    """A network, and inputs for it."""
    if name == "products":
        network = strategies.build_network(PLANS["names that clash or mean something in C++"])
        return network.quantized, [network.inputs(200)]
    stages, rank, end = ROWS[name]
    plan = Plan(rank, tuple(stages.split("+")), end, (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    network = build_network(plan)
    return network.quantized, [network.inputs(100)]


def makes(backend: BackendName, io_type: IoType, quantized: Quantized) -> bool:
    """Whether a network is not refused."""
    try:
        require_allowed(quantized.graph, backend, io_type)
    except InputError:
        return False
    return True


#: The rows of a normal run: one or two of every backend.
QUICK = {
    ("Vitis", "io_stream", "windows"),
    ("Vivado", "io_parallel", "products"),
    ("Quartus", "io_stream", "windows"),
    ("Quartus", "io_parallel", "products"),
    ("Catapult", "io_stream", "windows"),
    ("Catapult", "io_parallel", "products"),
}


def marked(backend: BackendName, io_type: IoType, name: str) -> Any:
    """A row, slow if the normal run can do without it."""
    marks = [] if (backend, io_type, name) in QUICK else [pytest.mark.slow]
    return pytest.param(backend, io_type, name, marks=marks, id=f"{backend}-{io_type}-{name}")


@pytest.mark.parametrize(
    ("backend", "io_type", "name"), [marked(*column, name) for column in COMPILED for name in ("products", *ROWS)]
)
def test_cpp_gives_the_references_integers(backend: BackendName, io_type: IoType, name: str, tmp_path: Path) -> None:
    quantized, inputs = row(name)
    if not makes(backend, io_type, quantized):
        pytest.skip("refused")
    assert_exact(quantized, inputs, tmp_path, Hls4ml(backend=backend, io_type=io_type, part=PARTS[backend]))


@pytest.mark.parametrize(("backend", "io_type"), COMPILED)
def test_every_operation_is_in_a_row(backend: BackendName, io_type: IoType) -> None:
    graphs = [row(name)[0] for name in ROWS]
    kinds = {node.op.kind for each in graphs if makes(backend, io_type, each) for node in each.graph.nodes}
    assert set(made_by(backend, io_type)) <= kinds


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "io_type"), COMPILED)
def test_products_and_means_of_sets(backend: BackendName, io_type: IoType, tmp_path: Path) -> None:
    module, shapes = OTHERS["two inputs"]
    quantized, random = quantized_module(module, *shapes), np.random.default_rng(5)
    if not makes(backend, io_type, quantized):
        pytest.skip("refused")
    inputs = [spread_values(random, Fixed(True, 6, 2), (60, *shape)) for shape in shapes]
    assert_exact(quantized, inputs, tmp_path, Hls4ml(backend=backend, io_type=io_type, part=PARTS[backend]))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["Vitis", "Quartus", "Catapult"])
def test_an_activation_of_one_bit(backend: BackendName, tmp_path: Path) -> None:
    graph, _ = graph_from_module(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval(), [(4,)])
    signs = graph.signed()
    formats = {name: Fixed(True, 6, 2) if signs[name] else Fixed(False, 1, 1) for name in graph.activations()}
    formats |= {name: Fixed(True, 5, 1) for name in graph.weights()}
    quantized = QuantizedNetwork(graph, formats).freeze(graph.parameters)
    inputs = [3 * spread_values(np.random.default_rng(0), Fixed(True, 6, 2), (200, 4))]
    assert_exact(quantized, inputs, tmp_path, Hls4ml(backend=backend, part=PARTS[backend]))


#: Layouts: the step, and the network that it is for.
LAYOUTS: dict[str, tuple[Hls4ml, str]] = {
    "resource": (Hls4ml(strategy="resource", reuse_factor=2), "windows"),
    "reuse of one layer": (Hls4ml(reuse_factors={"a_b": 2}), "products"),
    "streamed": (Hls4ml(strategy="resource", reuse_factor=2, io_type="io_stream", fifo_depth=7), "windows"),
    "Vivado": (Hls4ml(backend="Vivado", strategy="resource"), "windows"),
    "Catapult": (Hls4ml(backend="Catapult", strategy="resource", reuse_factor=2), "windows"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str, tmp_path: Path) -> None:
    step, network = LAYOUTS[name]
    assert_exact(*row(network), tmp_path, step)


@pytest.mark.slow
@pytest.mark.parametrize("io_type", get_args(IoType))
def test_distributed_arithmetic(io_type: IoType, tmp_path: Path) -> None:
    pytest.importorskip("da4ml")
    assert_exact(*row("windows"), tmp_path, Hls4ml(strategy="distributed_arithmetic", io_type=io_type))


def test_oneapi_is_written_and_not_compiled(tmp_path: Path) -> None:
    if why_not_compiled_here():
        pytest.skip("icpx is here")
    step = Hls4ml(backend="oneAPI", part="Agilex7")
    assert step.programs() == ()
    design, context = converted(row("products")[0], tmp_path, step)
    context.store.take_out(design.artifacts["hls4ml"].digest, tmp_path / "project", folder=True)
    assert why_not_compiled(tmp_path / "project") == "not compiled: no icpx on PATH"


def why_not_compiled_here() -> bool:
    """Whether the vendor's compiler is on PATH."""
    return bool(Hls4ml(backend="oneAPI").programs())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "Quartus", "strategy": "latency"}, "which Quartus has not; wanted: 'resource'"),
        ({"reuse_factor": 0}, "reuse_factor: 0; wanted: at least 1"),
        ({"reuse_factors": {"fc": -1}}, "reuse_factors.fc: -1; wanted: at least 1"),
        ({"fifo_depth": 4}, "set for Vitis with io_parallel; wanted: io_stream with Vitis or Vivado"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Hls4ml(**options)


def test_layers_and_parts_are_checked(tmp_path: Path) -> None:
    graph, _ = graph_from_module(nn.Sequential(nn.Linear(3, 2)), [(3,)])
    with pytest.raises(InputError, match="reuse_factors: no such layer 'fc'"):
        Hls4ml(reuse_factors={"fc": 2}).check_layers(graph)
    with pytest.raises(InputError, match=r"which Quartus makes no firmware for; set transpile\.hls4ml\.part"):
        Hls4ml(backend="Quartus").check_target(load_target("vu9p", tmp_path))


def test_a_reuse_factor_that_a_layer_does_not_take(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reuse factor of layer 'a\.b': 7; wanted: one of 1, "):
        converted(
            row("products")[0], tmp_path, replace(Hls4ml(), strategies={"a.b": "resource"}, reuse_factors={"a.b": 7})
        )
