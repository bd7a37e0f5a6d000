"""One number system: torch, numpy and the QONNX file give the same integers on random small networks."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings

from codesign.export.writers.qonnx import QONNX_DOMAIN, Writer
from codesign.fixed import FLOAT32_BITS, FLOAT64_BITS, Codes, Fixed
from codesign.network import exact_outputs, exact_type
from codesign.quantized import Quantized
from codesign.torch_forward import to_tensors
from codesign.verify.hops.representations import qonnx_outputs
from tests.strategies import Layer, Network, Plan, build_network, exact_values, plans

COUNT = 1000
WIDE = plans(weight_widths=(10, 18), activation_widths=(12, 20))

exhaustive = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files to execute go."""
    return tmp_path_factory.mktemp("chain")


def torch_codes(network: Network, samples: np.ndarray, dtype: torch.dtype) -> list[np.ndarray]:
    """Outputs of the torch network in evaluation mode."""
    found = exact_outputs(network.torch, to_tensors(network.parameters), [torch.from_numpy(samples)], dtype)
    return [output.double().numpy() for output in found]


def qonnx_codes(quantized: Quantized, samples: np.ndarray, folder: Path) -> tuple[list[np.ndarray], str]:
    """Outputs of the exported file in qonnx's executor, and the number type it ran in."""
    path = folder / "network.onnx"
    path.write_bytes(Writer(quantized).write().SerializeToString())
    found, dtype = qonnx_outputs(path, quantized.graph.outputs, quantized.mantissa_bits(), [samples])
    return list(found), dtype


def assert_exact(network: Network, folder: Path) -> None:
    """Every representation of the network gives the reference's integers."""
    quantized, samples = network.quantized, network.inputs(COUNT)
    quantized.verify()
    reference = [codes.real() for codes in quantized.outputs([samples])]
    dtype = exact_type(quantized)
    for found, wanted in zip(torch_codes(network, samples, dtype), reference, strict=True):
        np.testing.assert_array_equal(found, wanted)
    exported, name = qonnx_codes(quantized, samples, folder)
    assert name.startswith(str(dtype).removeprefix("torch."))
    for found, wanted in zip(exported, reference, strict=True):
        np.testing.assert_array_equal(found, wanted)


@exhaustive
@given(plans())
def test_torch_numpy_and_qonnx_agree(folder: Path, plan: Plan) -> None:
    assert_exact(build_network(plan), folder)


@settings(parent=exhaustive, max_examples=40)
@given(WIDE)
def test_they_agree_where_float32_is_not_enough(folder: Path, plan: Plan) -> None:
    network = build_network(plan)
    bits = network.quantized.mantissa_bits()
    assume(FLOAT32_BITS < bits < FLOAT64_BITS)  # an accumulator has a sign beside its 52 bits
    assert exact_type(network.quantized) == torch.float64
    assert_exact(network, folder)


@settings(parent=exhaustive, max_examples=40)
@given(plans() | WIDE)
def test_numpy_is_the_arithmetic_of_pythons_fractions(plan: Plan) -> None:
    network = build_network(plan)
    quantized = network.quantized
    samples = network.inputs(8)[:16]
    found = quantized.run(quantized.encode([samples]))
    for row, sample in enumerate(samples):
        for name, values in exact_values(quantized, [sample.tolist()]).items():
            codes = Codes(found[name].values[row], found[name].fraction).align()
            assert codes.values.tolist() == [value * Fraction(2) ** int(codes.fraction) for value in values]


def test_float32_would_be_wrong_where_float64_is_chosen() -> None:
    """The wide cases test something: in float32 their sums do round."""
    layers = (Layer("fc", 4, True, False, False, weight=(18, 2), activation=(8, 2)),)
    network = build_network(Plan(8, Fixed(True, 18, 3), layers, seed=5))
    samples = network.inputs(COUNT)
    (wanted,) = (codes.real() for codes in network.quantized.outputs([samples]))
    assert exact_type(network.quantized) == torch.float64
    assert (torch_codes(network, samples, torch.float32)[0] != wanted).any()
    assert (torch_codes(network, samples, torch.float64)[0] == wanted).all()


@exhaustive
@given(plans())
def test_inputs_on_the_grid_and_off_it_give_the_same(plan: Plan) -> None:
    """The first quantizer is part of the network: what it makes of the input is all that counts."""
    quantized = (network := build_network(plan)).quantized
    samples = network.inputs(200)
    (name,) = quantized.graph.inputs
    gridded = quantized.encode([samples])[name].real()
    before, after = quantized.outputs([samples]), quantized.outputs([gridded])
    assert all(np.array_equal(left.values, right.values) for left, right in zip(before, after, strict=True))


@exhaustive
@given(plans())
def test_the_file_is_valid_and_quantizes_everything(plan: Plan) -> None:
    quantized = build_network(plan).quantized
    model = Writer(quantized).write()
    onnx.checker.check_model(model, full_check=True)
    nodes = list(model.graph.node)
    names = {node.name for node in nodes}
    assert {node.name for node in quantized.graph.nodes} <= names
    assert len(names) == len(nodes)
    assert {info.name for info in model.graph.output} == set(quantized.graph.outputs)
    quants = {node.input[0]: node for node in nodes if node.op_type == "Quant"}
    written = {node.output[0] for node in quants.values()}
    parameters = [name for node in quantized.graph.nodes for name in node.op.parameters().values()]
    assert nodes[0] is quants[next(iter(quantized.graph.inputs))]
    assert {*quantized.graph.inputs, *parameters} <= set(quants)
    assert {tensor for tensor in quantized.formats if quantized.graph.producer(tensor)} <= written
    assert len(quants) == len(quantized.formats)
    for node in nodes:
        if node.op_type == "MatMul":  # nothing is multiplied that is not on a grid
            assert all(origin(nodes, name) in written for name in node.input)


def origin(nodes: list[onnx.NodeProto], tensor: str) -> str:
    """Back through what only moves data."""
    producer = next((node for node in nodes if tensor in node.output), None)
    return origin(nodes, producer.input[0]) if producer is not None and producer.op_type == "Flatten" else tensor


@exhaustive
@given(plans())
def test_quant_nodes_say_what_the_formats_are(plan: Plan) -> None:
    quantized = build_network(plan).quantized
    model = Writer(quantized).write()
    constants: dict[str, Any] = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Quant":
            continue
        source, scale, zero_point, bit_width = node.input
        name = next(key for key in (source, node.output[0]) if key in quantized.formats)
        fixed, options = quantized.formats[name], {item.name: item for item in node.attribute}
        assert node.domain == QONNX_DOMAIN
        whole = fixed.envelope()
        assert (constants[scale].item(), constants[zero_point].item()) == (2.0 ** -int(whole.fraction), 0.0)
        assert constants[bit_width].item() == max(int(whole.width), 2 if fixed.signed else 1)
        assert (options["signed"].i, options["narrow"].i) == (int(fixed.signed), 0)
        wanted = b"ROUND" if source in quantized.codes else b"FLOOR"
        assert options["rounding_mode"].s == wanted
        if source in quantized.codes:
            grid = Codes(quantized.codes[source], fixed.fraction).real()
            stored = constants[source]
            assert np.array_equal(stored.T if grid.ndim == 2 else stored, grid)


@exhaustive
@given(plans())
def test_files_are_the_same_every_time(plan: Plan) -> None:
    first, second = (Writer(build_network(plan).quantized).write() for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


@exhaustive
@given(plans())
def test_accumulator_widths_are_in_the_file(plan: Plan) -> None:
    quantized = build_network(plan).quantized
    model = Writer(quantized).write()
    found = {item.key: item.value for item in model.metadata_props}
    ranges = quantized.accumulators()
    widths = {key: found.pop(key) for key in list(found) if key.startswith("widths:")}
    found = {key: value for key, value in found.items() if not key.startswith("integers:")}
    assert found == {f"accumulator:{name}": str(interval.smallest_format()) for name, interval in ranges.items()}
    files = {item.name for item in model.graph.initializer}
    wanted = {name: fixed.width for name, fixed in quantized.formats.items() if np.ndim(fixed.width) or not fixed.width}
    assert {f"widths:{name}" for name in wanted} == set(widths)
    for name, width in wanted.items():
        assert name in files
        shape = (len(quantized.codes[name]), 1)
        assert json.loads(widths[f"widths:{name}"]) == np.broadcast_to(width, shape).reshape(-1).tolist()


@pytest.mark.parametrize("integer", [-60, 60])
def test_a_pruned_channel_has_no_binary_point(integer: int, folder: Path) -> None:
    """Wherever its format says that it is: sums are as wide as those of the other channels need."""
    found = []
    for point in (0, integer):
        channels = ((4, 1), (0, point), (3, 5))
        layers = (
            Layer("first", 6, True, False, True, (0, 0), (7, 3), channels=channels),
            Layer("last", 4, True, False, False, (0, point), (7, 3)),
        )
        network = build_network(Plan(5, Fixed(True, 6, 2), layers, seed=3))
        assert_exact(network, folder)
        found.append({name: each.smallest_format() for name, each in network.quantized.accumulators().items()})
    assert found[0] == found[1]


@pytest.mark.parametrize("finest", [-8, -20, -26])
def test_channels_of_very_different_sizes(finest: int, folder: Path) -> None:
    """The one format that the Quant node has for all channels may be wider than float32's mantissa."""
    layers = (Layer("fc", 6, True, False, False, (0, 0), (7, 3), channels=((8, 4), (0, 0), (6, finest))),)
    network = build_network(Plan(4, Fixed(True, 6, 2), layers, seed=3))
    assert int(network.quantized.formats["fc.weight"].envelope().width) == 4 + 6 - finest
    assert_exact(network, folder)
