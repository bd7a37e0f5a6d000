"""Traced networks, run by alkaid's interpreter, give the reference's integers; what can't be traced is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from codesign.design import Design
from codesign.errors import InputError
from codesign.fixed import Codes, Fixed, requantize
from codesign.graph import Graph, Node
from codesign.hdl.alkaid import trace
from codesign.hdl.circuit import Circuit, require_traceable, trace_network
from codesign.hdl.symbols import ends, symbols
from codesign.ops.relu import Relu
from codesign.quantized import Quantized
from codesign.transpile.rtl import Rtl
from tests import strategies
from tests.networks import STAGES, Plan, build_network, plans

#: alkaid's operations with adders in them.
ADDERS = (0, 1, 4, 11)
few = settings(deadline=None, max_examples=6, suppress_health_check=list(HealthCheck))


def interpreted(circuit: Circuit, codes: dict[str, Codes]) -> np.ndarray:
    """Output codes ``[batch, elements]``, all outputs side by side."""
    count = len(next(iter(codes.values())).values)
    flat = np.concatenate([x.values.reshape(count, -1) for x in codes.values()], 1)
    return circuit.logic.predict(flat.astype(np.float64), n_threads=1)


def mismatches(quantized: Quantized, samples: np.ndarray) -> int:
    circuit = trace_network(quantized)
    wanted = np.concatenate([x.values.reshape(len(samples), -1) for x in quantized.outputs([samples])], 1)
    found = interpreted(circuit, quantized.encode([samples]))
    return int(np.count_nonzero((found != wanted).any(1)))


def small(stage: str) -> Quantized:
    plan = Plan(1, (stage, "conv"), "mean", (True, False, True), ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    return build_network(plan).quantized


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage(stage: str) -> None:
    plan = Plan(1, (stage, "pointwise"), "mean", (False, False, False), ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    network = build_network(plan)
    assert mismatches(network.quantized, network.inputs(100)) == 0


@few
@given(plans(weights=(2, 5), activations=(2, 7)))
def test_random_networks(plan: Plan) -> None:
    network = build_network(replace(plan, rank=1, stages=plan.stages[:2]))
    try:
        assert mismatches(network.quantized, network.inputs(100)) == 0
    except InputError as error:
        assume("the same for every input" not in str(error))
        raise


def test_sums_of_single_bits() -> None:
    """Activations of one bit, some negated: alkaid's tables for them are not used."""
    plan = Plan(
        1, ("concat", "conv"), "flatten", (False,) * 3, ((3, 2), (4, 0)), ((2, 0),), Fixed(False, 2, 0), 0
    )  # fmt: skip
    network = build_network(plan)
    assert mismatches(network.quantized, network.inputs(100)) == 0


@few
@given(strategies.plans())
def test_random_linear_networks(plan: strategies.Plan) -> None:
    network = strategies.build_network(plan)
    try:
        assert mismatches(network.quantized, network.inputs(200)) == 0
    except InputError as error:
        assume("the same for every input" not in str(error))
        raise


def test_one_wrong_weight_is_seen() -> None:
    """The comparison can fail."""
    quantized = small("conv")
    name = quantized.graph.weights()[-1]
    codes = quantized.codes[name].copy()
    codes.flat[0] += -1 if codes.flat[0] > 0 else 1
    circuit = trace_network(replace(quantized, codes={**quantized.codes, name: codes}))
    (shape,) = quantized.graph.inputs.values()
    samples = np.random.default_rng(1).normal(size=(100, *shape)).astype(np.float32)
    wanted = quantized.outputs([samples])[0].values.reshape(100, -1)
    assert (interpreted(circuit, quantized.encode([samples])) != wanted).any()


@few
@given(strategies.element_formats((6,), 9), strategies.element_formats((6,), 9), st.integers(0, 2**32))
def test_requantizing_elements_of_own_formats(source: Fixed, target: Fixed, seed: int) -> None:
    """Single elements have single widths; what saturates and what is cut off is as in numpy."""
    low, high = (np.asarray(end)[None] for end in (source.low, source.high))
    given = symbols(low, high)
    made = requantize(Codes(given, source.fraction), target).values
    assume(any(least < most for least, most in ends(made)))
    logic = trace(np.asarray(given).reshape(-1), np.asarray(made).reshape(-1), keep_dead_inputs=True)
    codes = np.random.default_rng(seed).integers(low, high + 1, (50, 6))
    codes[:2] = np.concatenate([low, high])
    wanted = requantize(Codes(codes, source.fraction), target).values
    assert (logic.predict(codes.astype(np.float64), n_threads=1) == wanted).all()


def test_products_of_what_never_varies() -> None:
    """Beside an element that does, but meets no weight."""
    low, high = np.array([[0, 3]]), np.array([[5, 3]])
    assert ends(symbols(low, high) @ np.array([[0], [2]])) == [(6, 6)]
    assert ends(symbols(low, high) @ np.array([[0, 1], [2, 2]])) == [(6, 6), (6, 11)]


@pytest.mark.parametrize(("integer", "steps"), [(5, 2), (5, 0), (8, 1)])
def test_saturation_after_a_relu_subtracts_nothing(integer: int, steps: int) -> None:
    """Of codes above the largest, a bit tells: exact at every code, with no adder."""
    source, target = Fixed(True, 10, 10), Fixed(False, integer - 2, integer - 2 + steps)
    given = symbols(*(np.full((1, 1), end) for end in (int(source.low), int(source.high))))
    made = requantize(Relu().integer([Codes(given, source.fraction)], {}), target).values
    logic = trace(np.asarray(given).reshape(-1), np.asarray(made).reshape(-1), keep_dead_inputs=True)
    codes = np.arange(int(source.low), int(source.high) + 1)[:, None]
    wanted = requantize(Codes(np.maximum(codes, 0), source.fraction), target).values
    assert (logic.predict(codes.astype(np.float64), n_threads=1) == wanted).all()
    assert not [op for op in logic.ops if op.opcode in ADDERS]


def test_zeros_cost_nothing_and_bits_cost() -> None:
    quantized = small("conv")
    costs: list[float] = []
    for keep in (0.25, 1.0):
        codes = {name: values.copy() for name, values in quantized.codes.items()}
        for name in quantized.graph.weights():
            codes[name].flat[int(keep * codes[name].size) :] = 0
        costs.append(float(trace_network(replace(quantized, codes=codes)).logic.cost))
    assert costs[0] < costs[1] / 2


class Untraceable(Relu):
    """Asks numbers what only numbers can say."""

    kind = "untraceable"

    def integer(self, inputs: list[Codes], parameters: object) -> Codes:
        return Codes(np.fft.fft(inputs[0].values), inputs[0].fraction)


def test_what_cannot_be_traced_is_refused_early() -> None:
    graph = Graph({"x": (3,)}, ("y",), (Node("odd", Untraceable(), ("x",), "y"),), {})
    with pytest.raises(InputError, match=r"layer 'odd'.*'untraceable'.*can't trace.*--flow"):
        require_traceable(graph)


@pytest.mark.parametrize("stage", [pytest.param(s, marks=[pytest.mark.slow] * (s == "softmax")) for s in STAGES])
def test_what_can_be_traced_is_not(stage: str) -> None:
    require_traceable(small(stage).graph)


def test_too_large_to_unroll_names_the_largest_layer() -> None:
    graph = small("conv").graph
    estimated = r"; by estimate [1-9][\d,]* LUTs at 6 bits"
    words = rf"products to unroll.*layer '.*{estimated}.*at most 100; give it fewer positions, raise .*--flow hls4ml"
    with pytest.raises(InputError, match=words):
        Rtl(most_products=100).refuse(Design({"graph": graph}))
    Rtl().refuse(Design({"graph": graph}))


def test_outputs_that_never_change_are_refused() -> None:
    quantized = small("conv")
    codes = {name: np.zeros_like(values) for name, values in quantized.codes.items()}
    with pytest.raises(InputError, match="the same for every input"):
        trace_network(replace(quantized, codes=codes))


def test_constants_that_do_not_fit_are_refused() -> None:
    quantized = small("pointwise")
    name = next(role["bias"] for node in quantized.graph.weighted() if "bias" in (role := node.op.parameters()))
    codes = {**quantized.codes, name: np.full_like(quantized.codes[name], 2**33 + 1)}
    with pytest.raises(InputError, match=r"layer '.*a constant of 34 bits.*at most 31"):
        trace_network(replace(quantized, codes=codes))


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="Verilog identifier"):
        Rtl(project="1st")
    with pytest.raises(InputError, match="stage_levels"):
        Rtl(stage_levels=-1)
