"""The C++ that hls4ml makes gives the integers of the reference, on random small networks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.design import Design
from codesign.export.qonnx import Qonnx
from codesign.fixed import Fixed
from codesign.passes import Context
from codesign.quantized import Quantized
from codesign.store import Store
from codesign.target import load_target
from codesign.transpile._types import ap_type
from codesign.transpile.hls4ml import Hls4ml
from codesign.verify.hops.representations import compare, hls4ml_outputs, output_shapes
from tests.strategies import Layer, Network, Plan, build_network

SIGNED, UNSIGNED = Fixed(True, 8, 3), Fixed(False, 7, 2)
#: What each network is there for.
PLANS = {
    "linear after linear": Plan(
        5,
        SIGNED,
        (
            Layer("first", 6, True, False, False, (5, 1), (7, 3)),
            Layer("second", 4, True, True, False, (6, 2), (8, 3)),
            Layer("third", 3, True, False, False, (4, 1), (8, 3)),
        ),
        seed=1,
    ),
    "no bias, final relu, unsigned input": Plan(
        6,
        UNSIGNED,
        (
            Layer("block.fc", 5, False, False, True, (4, 0), (6, 2)),
            Layer("head", 4, False, False, True, (5, 1), (8, 3)),
        ),
        seed=2,
    ),
    "binary points outside the word": Plan(
        4,
        Fixed(True, 6, -2),
        (
            Layer("small", 5, True, False, True, (4, -3), (5, -4)),
            Layer("large", 4, True, False, False, (3, 6), (4, 7)),
            Layer("mixed", 3, True, False, False, (5, 0), (4, 2)),
        ),
        seed=3,
    ),
    "names that clash or mean something in C++": Plan(
        4,
        SIGNED,
        (
            Layer("a.b", 4, True, False, True, (5, 1), (6, 2)),
            Layer("a_b", 4, True, True, True, (5, 1), (6, 2)),
            Layer("switch", 3, True, False, False, (5, 1), (6, 2)),
        ),
        seed=4,
    ),
    "one neuron of two bits, a sign that nothing needs": Plan(
        3,
        Fixed(True, 2, 1),
        (
            Layer("int", 1, True, False, True, (2, 1), (3, 2), signed=True),
            Layer("result_t", 2, False, False, True, (2, 0), (2, 1)),
            Layer("w2", 2, True, False, False, (3, 1), (4, 2)),
        ),
        seed=5,
    ),
    "bits per channel, some channels pruned": Plan(
        5,
        SIGNED,
        (
            Layer("first", 6, True, False, True, (5, 1), (7, 3), channels=((5, 1), (0, 0), (2, -1), (8, 2))),
            Layer("second", 5, False, True, False, (6, 2), (8, 3), channels=((0, 0), (6, -3), (3, 4))),
            Layer("third", 4, False, False, False, (4, 1), (8, 3), channels=((4, 1), (0, 3), (3, 0))),
        ),
        seed=8,
    ),
    "channels of very different sizes": Plan(
        4,
        SIGNED,
        (
            Layer("first", 4, True, False, True, (5, 1), (7, 3), channels=((5, 2), (6, -13), (0, 0))),
            Layer("second", 3, True, False, False, (4, 1), (8, 3), channels=((5, -12), (4, 1))),
        ),
        seed=13,
    ),
    "a layer of no bits": Plan(
        5,
        SIGNED,
        (
            Layer("first", 6, True, False, True, (5, 1), (7, 3)),
            Layer("second", 4, True, False, True, (0, 0), (8, 3)),
            Layer("third", 3, True, False, False, (4, 1), (8, 3)),
        ),
        seed=9,
    ),
    "a first layer of no bits and no bias": Plan(
        5,
        SIGNED,
        (
            Layer("first", 6, False, False, True, (0, 0), (7, 3)),
            Layer("second", 3, True, False, False, (4, 1), (8, 3)),
        ),
        seed=10,
    ),
    "a last layer of no bits and no bias": Plan(
        5,
        SIGNED,
        (
            Layer("first", 6, True, False, True, (5, 1), (7, 3)),
            Layer("second", 3, False, False, False, (0, 0), (8, 3)),
        ),
        seed=11,
    ),
    "one layer of no bits, with a bias, and a ReLU at the end": Plan(
        4, SIGNED, (Layer("only", 3, True, False, True, (0, 0), (7, 3), channels=((0, 0),)),), seed=12
    ),
    "wide": Plan(
        8,
        Fixed(True, 12, 4),
        (
            Layer("fc1", 8, True, True, True, (10, 1), (12, 5)),
            Layer("fc2", 8, False, False, False, (10, 3), (12, 6)),
            Layer("network", 5, True, False, True, (9, 2), (8, 3)),
        ),
        seed=6,
    ),
}


VITIS = Hls4ml()


def converted(quantized: Quantized, folder: Path, step: Hls4ml = VITIS) -> tuple[Design, Context]:
    """A network written as QONNX and compiled as C++, by the passes themselves."""
    context = Context(Store(folder / "store"), folder)
    target = load_target("vu13p-l1t", folder)
    design = Qonnx()(Design({"quantized": quantized, "target": target}), context)
    return step(design, context), context


def assert_exact(network: Network, folder: Path) -> None:
    """The C++ simulation gives the reference's numbers on a thousand inputs and all corners of the input range."""
    design, context = converted(network.quantized, folder)
    quantized, samples = network.quantized, network.inputs(1000)
    context.store.take_out(design.artifacts["hls4ml"].digest, folder / "project", folder=True)
    inputs = list(quantized.encode([samples]).values())
    found, detail = hls4ml_outputs(output_shapes(quantized), folder / "project", inputs, folder)
    check = compare("numpy", "hls4ml", [codes.real() for codes in quantized.outputs([samples])], found, detail)
    assert (check.status, check.mismatches, check.inputs) == ("exact", 0, len(samples))


@pytest.mark.parametrize("name", PLANS)
def test_cpp_gives_the_references_integers(name: str, tmp_path: Path) -> None:
    assert_exact(build_network(PLANS[name]), tmp_path)


@pytest.mark.parametrize("tensor", ["network", pytest.param("typename", marks=pytest.mark.slow)])
def test_an_input_called_as_something_else_is(tensor: str, tmp_path: Path) -> None:
    """As the project itself, which the top function is, or by a word of C++."""
    network = build_network(PLANS["one neuron of two bits, a sign that nothing needs"])
    quantized = network.quantized
    (before,) = quantized.graph.inputs
    nodes = [
        replace(node, inputs=tuple(tensor if name == before else name for name in node.inputs))
        for node in quantized.graph.nodes
    ]
    graph = replace(quantized.graph, inputs={tensor: quantized.graph.inputs[before]}, nodes=tuple(nodes))
    formats = {tensor if name == before else name: fixed for name, fixed in quantized.formats.items()}
    assert_exact(replace(network, quantized=replace(quantized, graph=graph, formats=formats)), tmp_path)


def test_weights_that_are_all_zero(tmp_path: Path) -> None:
    """A layer that pruning emptied still compiles, and passes its bias on."""
    network = build_network(PLANS["linear after linear"])
    codes = {**network.quantized.codes, "second.weight": np.zeros((4, 6), np.int64)}
    assert_exact(replace(network, quantized=replace(network.quantized, codes=codes)), tmp_path)


@pytest.mark.slow
def test_converting_twice_gives_the_same_project(tmp_path: Path) -> None:
    plan = PLANS["names that clash or mean something in C++"]
    digests = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        design, _ = converted(build_network(plan).quantized, tmp_path / place)
        digests.append({name: artifact.digest for name, artifact in design.artifacts.items()})
    assert digests[0] == digests[1]


def drawn(seed: int) -> Plan:
    """A plan from a seed, over all that the fixed ones cover one by one; odd ones with bits per channel."""
    random = np.random.default_rng(seed)
    names = ["double_t", "a.b", "a_b", "new", "layer2", "b2", "input_t", "relu", "x", "1", "first.1", "config2"]
    chosen = random.choice(names, random.integers(1, 4), replace=False)

    def point(low: int, high: int, integer: tuple[int, int]) -> tuple[int, int]:
        return int(random.integers(low, high + 1)), int(random.integers(*integer))

    def channels() -> tuple[tuple[int, int], ...]:
        points = [point(1, 8, (-3, 5)) for _ in range(random.integers(4))] if seed % 2 else []
        return tuple((width if width > 1 else 0, integer) for width, integer in points)  # no signed format has 1 bit

    layers = tuple(
        Layer(
            str(name),
            int(random.integers(1, 9)),
            *(bool(random.integers(2)) for _ in range(3)),
            weight=point(2, 10, (-3, 5)),
            activation=point(2, 12, (-3, 7)),
            signed=bool(random.integers(2)),
            channels=channels(),
        )
        for name in chosen
    )
    fixed = Fixed(bool(random.integers(2)), *point(2, 12, (-3, 7)))
    return Plan(int(random.integers(1, 9)), fixed, layers, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_cpp_gives_the_references_integers_at_random(seed: int, tmp_path: Path) -> None:
    assert_exact(build_network(drawn(seed)), tmp_path)


@pytest.mark.parametrize("fixed", [Fixed(False, 0, 0), Fixed(False, 0, -3), Fixed(True, 4, -2), Fixed(False, 1, 3)])
def test_no_type_has_a_bit_below_its_format(fixed: Fixed) -> None:
    """What has no bits too, as a floor of small numbers: it is a cast to a type."""
    kind, numbers = ap_type(fixed).split("<")
    width, integer = (int(number) for number in numbers.rstrip(">").split(","))
    assert kind == ("ap_fixed" if fixed.signed else "ap_ufixed")
    assert (width, width - integer) == ((fixed.width, fixed.fraction) if fixed.width else (1, 0))
