"""Dead units are taken out: the same integers, at the same cost, from a smaller graph."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings

from codesign.allocate.costs import Hardware, make_cost
from codesign.estimate.model.needed import by_channel, needed
from codesign.finetune._exact import count
from codesign.finetune._shrink import shrunk
from codesign.fixed import Fixed
from codesign.network import QuantizedNetwork
from codesign.quantized import Quantized
from codesign.report._recount import recount
from codesign.target import load_target
from tests.finetune.learned import mlp, random_network
from tests.networks import Plan, plans
from tests.test_exact_chain import assert_exact


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files to execute go."""
    return tmp_path_factory.mktemp("networks")


#: A convolution in groups has dead channels of its own.
GROUPS = Plan(
    2, ("limited", "depthwise", "conv"), "flatten", (True, True, True), ((0, 3),), ((2, 0), (2, 0)),
    Fixed(False, 10, 0), 0,
)  # fmt: skip


#: A layer that is called twice, once on a tensor without bits.
TWICE = Plan(
    rank=1, stages=("shared",), end="flatten", flags=(False, False, False), weight=((0, 0),), activation=((2, 0),),
    input_format=Fixed(signed=False, width=2, integer=0), seed=0, channels=(),
)  # fmt: skip


@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(plan=plans())
@example(plan=GROUPS)
@example(plan=TWICE)
def test_what_is_left_is_exact_and_costs_the_same(folder: Path, plan: Plan) -> None:
    network = random_network(plan)
    made, left = shrunk(network.quantized)
    made.verify()
    for name, kept in left.items():
        weight = f"{name}.weight"
        assert len(made.codes[weight]) == len(kept) < len(network.quantized.codes[weight])
    assert_exact(
        replace(network, graph=made.graph, torch=QuantizedNetwork(made.graph, made.formats), quantized=made), folder
    )
    target = load_target("pynq-z2", Path())
    cost = make_cost("counted_ebops", Hardware(target), "test").total(recount(folder / "network.onnx"))
    assert cost == count(network.learned, network.integers)


def test_exactly_the_dead_go() -> None:
    """Of six units, one has no weights, and one is read by nothing; a third is constant, and is read."""
    graph, random = mlp(4, 6, 3), np.random.default_rng(0)
    codes = {name: random.integers(1, 8, value.shape) for name, value in graph.parameters.items()}
    codes["w0"][[1, 3]], codes["b0"][1] = 0, 0
    codes["w1"][:, [1, 4]] = 0
    formats = dict.fromkeys([*graph.parameters, *graph.activations()], Fixed(True, 8, 4))
    own = np.arange(3, 9)
    formats[graph.origin(graph.weighted()[1].inputs[0])] = Fixed(False, own, own - 2)
    whole = Quantized(graph, formats, codes)
    made, left = shrunk(whole)
    assert {name: kept.tolist() for name, kept in left.items()} == {graph.weighted()[0].name: [0, 2, 3, 5]}
    assert made.codes["w0"].tolist() == codes["w0"][[0, 2, 3, 5]].tolist()
    assert made.codes["w1"].tolist() == codes["w1"][:, [0, 2, 3, 5]].tolist()
    assert made.graph.shapes()[made.graph.weighted()[0].output] == (4,)
    live = needed(made)
    assert all(by_channel(live[node.output], node).all() for node in made.graph.weighted())
    x = random.normal(0, 3, (100, 4)).astype(np.float32)
    assert np.array_equal(made.outputs([x])[0].real(), whole.outputs([x])[0].real())
