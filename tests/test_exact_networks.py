"""Convolutional and residual networks: torch, numpy and QONNX give the same integers; bits and half an LSB in them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from torch import Tensor, nn

from codesign.export.writers.qonnx import Writer
from codesign.fixed import FLOAT32_BITS, FLOAT64_BITS, Fixed
from codesign.graph import Graph
from codesign.load._fx import graph_from_module
from codesign.network import QuantizedNetwork, exact_type
from tests.networks import STAGES, Plan, Residual, build_network, plans
from tests.test_exact_chain import assert_exact, qonnx_codes

WIDE = plans(weights=(8, 14), activations=(10, 16))
many = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files to execute go."""
    return tmp_path_factory.mktemp("networks")


@many
@given(plans())
def test_torch_numpy_and_qonnx_agree(folder: Path, plan: Plan) -> None:
    assert_exact(build_network(plan), folder)


@settings(parent=many, max_examples=30)
@given(WIDE)
def test_they_agree_where_float32_is_not_enough(folder: Path, plan: Plan) -> None:
    network = build_network(plan)
    assume(FLOAT32_BITS < network.quantized.mantissa_bits() < FLOAT64_BITS)
    assert exact_type(network.quantized) == torch.float64
    assert_exact(network, folder)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("rank", [1, 2])
def test_every_stage(stage: str, rank: int, folder: Path) -> None:
    for flags in ((True, True, True), (False, False, False), (True, False, True)):
        plan = Plan(rank, (stage, "conv"), "mean", flags, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
        network = build_network(plan)
        assert_exact(network, folder)
        onnx.checker.check_model(Writer(network.quantized).write(), full_check=True)


def test_one_wrong_weight_is_seen(folder: Path) -> None:
    """The comparison can fail."""
    network = build_network(Plan(2, ("residual",), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4))
    name = next(name for name, codes in network.quantized.codes.items() if codes.ndim == 4)
    codes = network.quantized.codes[name].copy()
    codes.flat[0] += -1 if codes.flat[0] > 0 else 1
    changed = replace(network.quantized, codes={**network.quantized.codes, name: codes})
    samples = network.inputs(100)
    (wanted,) = network.quantized.outputs([samples])
    found, _ = qonnx_codes(changed, samples, folder)
    assert (found[0] != wanted.real()).any()


@many
@given(plans())
def test_accumulators_hold_what_is_computed(plan: Plan) -> None:
    network = build_network(plan)
    ranges, quantized = network.quantized.accumulators(), network.quantized
    values = quantized.run(quantized.encode([network.inputs(50)]))
    for name, interval in ranges.items():
        if name not in quantized.formats:
            codes = values[name].align(interval.fraction).values
            assert (codes >= interval.low).all()
            assert (codes <= interval.high).all()


@settings(parent=many, max_examples=20)
@given(plans())
def test_recounting_the_file_gives_the_graphs_work(folder: Path, plan: Plan) -> None:
    from codesign.report._recount import recount
    from tests.counting import layers

    network = build_network(replace(plan, channels=()))
    path = folder / "network.onnx"
    path.write_bytes(Writer(network.quantized).write().SerializeToString())
    shapes, formats = network.graph.shapes(), network.quantized.formats
    for layer, node in zip(layers(recount(path)), network.graph.weighted(), strict=True):
        weight = node.op.parameters()["weight"]
        codes = network.quantized.codes[weight]
        source = formats[network.graph.origin(node.inputs[0])]
        assert (layer.name, layer.weights, layer.nonzero) == (node.name, codes.size, np.count_nonzero(codes))
        work = node.op.work([shapes[name] for name in node.inputs], shapes[node.output])
        assert (layer.weight_bits, layer.activation_bits) == ((formats[weight].width,), source.width)
        assert layer.macs == work.macs


def offsets(module: nn.Module, *shape: int) -> dict[str, float]:
    """Half an LSB added to each bias, in LSBs of activations of 6 fraction bits."""
    graph, _ = graph_from_module(module, [shape])
    formats = {name: Fixed(True, 12, 6) for name in graph.activations()}
    formats |= {node.op.parameters()["weight"]: Fixed(True, 8, 2) for node in graph.weighted()}
    rules = QuantizedNetwork(graph, formats).bias_rules
    return {name.removesuffix(".bias"): rule.offset * 2**6 for name, rule in rules.items()}


def test_half_an_lsb_goes_through_pooling() -> None:
    pooled = nn.Sequential(
        nn.Conv1d(1, 2, 3), nn.ReLU(), nn.MaxPool1d(2), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(6, 2)
    )
    assert offsets(pooled, 1, 14) == {"0": 0.5, "5": 0.0}


def test_half_an_lsb_comes_to_a_sum_from_one_branch_only() -> None:
    def branch() -> nn.Module:
        return nn.Conv1d(2, 2, 1)

    both = nn.Sequential(branch(), Residual(branch(), branch(), True, False), branch())
    assert offsets(both, 2, 4) == {"0": 0.5, "1.body": 0.0, "1.shortcut": 0.5, "2": 0.0}
    skipped = nn.Sequential(branch(), Residual(branch(), nn.Identity(), True, False), branch())
    assert offsets(skipped, 2, 4) == {"0": 0.5, "1.body": 0.5, "2": 0.0}


def test_half_an_lsb_is_not_doubled() -> None:
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return self.last(x + x)

    assert offsets(Doubled(), 3) == {"first": 0.0, "last": 0.0}


def test_a_graph_survives_being_written(tmp_path: Path) -> None:
    from pydantic import TypeAdapter

    from codesign.store import Store

    stages = ("strided", "projected", "maxpool", "avgpool")
    plan = Plan(2, stages, "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    graph, adapter, context = build_network(plan).graph, TypeAdapter(Graph), {"store": Store(tmp_path)}
    again = adapter.validate_json(adapter.dump_json(graph, context=context), context=context)
    assert again.nodes == graph.nodes
    assert again.shapes() == graph.shapes()
