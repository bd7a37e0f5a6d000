"""Interval arithmetic: holds every result, and is attained, by brute force over the corners of small ranges."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.fixed import Codes, Fixed, requantize
from codesign.graph import Graph, Node
from codesign.interval import Interval
from codesign.ops.flatten import Flatten
from codesign.ops.linear import Linear
from codesign.ops.relu import Relu
from codesign.quantized import Quantized
from tests.strategies import Plan, build_network, element_formats, formats, plans

CODES = st.integers(-40, 40)


@st.composite
def intervals(draw: st.DrawFn, shape: tuple[int, ...]) -> Interval:
    """Intervals with ends of both signs."""
    count = int(np.prod(shape))
    ends = [sorted(pair) for pair in draw(st.lists(st.tuples(CODES, CODES), min_size=count, max_size=count))]
    low, high = (np.reshape([end[side] for end in ends], shape) for side in (0, 1))
    return Interval(low, high, draw(st.integers(-3, 6)))


@st.composite
def linears(draw: st.DrawFn) -> tuple[Interval, dict[str, Codes]]:
    """An interval, and the parameters of a linear layer that takes it; per-element binary points in the weight."""
    inputs, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    weight = draw(st.lists(CODES, min_size=inputs * outputs, max_size=inputs * outputs))
    fraction = draw(st.lists(st.integers(-2, 4), min_size=inputs * outputs, max_size=inputs * outputs))
    shape = (outputs, inputs)
    parameters = {"weight": Codes(np.reshape(weight, shape), np.reshape(fraction, shape))}
    if draw(st.booleans()):
        bias = draw(st.lists(CODES, min_size=outputs, max_size=outputs))
        parameters["bias"] = Codes(np.array(bias), draw(st.integers(-4, 9)))
    return draw(intervals((inputs,))), parameters


def corners(interval: Interval) -> Codes:
    """Every combination of ends, ``[2**features, ...]``."""
    pairs = zip(interval.low.flat, interval.high.flat, strict=True)
    rows = np.array(list(product(*pairs)), np.int64)
    return Codes(rows.reshape(-1, *interval.low.shape), interval.fraction)


def assert_hull(found: Interval, results: Codes) -> None:
    """The interval is the smallest around the results."""
    aligned = results.align(found.fraction)
    assert np.array_equal(aligned.values.min(0), found.low)
    assert np.array_equal(aligned.values.max(0), found.high)


@given(element_formats((2, 2)))
def test_range_of_a_format_per_element(fixed: Fixed) -> None:
    found = Interval.of(fixed, (2, 2))
    assert found.fraction == np.max(fixed.fraction)
    for end, codes in ((fixed.low, found.low), (fixed.high, found.high)):
        assert np.array_equal(Codes(end, fixed.fraction).real(), Codes(codes, found.fraction).real())


@given(formats(), st.sampled_from([(1,), (3,), (2, 2)]))
def test_range_of_a_format_per_tensor(fixed: Fixed, shape: tuple[int, ...]) -> None:
    found = Interval.of(fixed, shape)
    assert (found.low == fixed.low).all()
    assert (found.high == fixed.high).all()
    assert found.low.shape == found.high.shape == shape
    assert found.fraction == fixed.fraction


@given(linears())
def test_linear_is_attained_at_corners(drawn: tuple[Interval, dict[str, Codes]]) -> None:
    interval, parameters = drawn
    linear = Linear("w", "b" if "bias" in parameters else None)
    assert_hull(linear.interval([interval], parameters), linear.integer([corners(interval)], parameters))


@given(linears(), st.randoms(use_true_random=False))
def test_magnitude_bounds_every_partial_sum(drawn: tuple[Interval, dict[str, Codes]], random: object) -> None:
    interval, parameters = drawn
    linear = Linear("w", "b" if "bias" in parameters else None)
    bound = linear.magnitude([interval], parameters)
    fraction = linear.interval([interval], parameters).fraction
    weight = parameters["weight"].align()
    shift = fraction - interval.fraction - int(weight.fraction)
    for row, neuron in product(corners(interval).values, range(len(weight.values))):
        terms = [int(w) * int(x) << shift for w, x in zip(weight.values[neuron], row, strict=True)]
        if "bias" in parameters:
            terms.append(int(parameters["bias"].align(fraction).values[neuron]))
        random.shuffle(terms)
        partial = np.cumsum(terms)
        assert np.abs(partial).max() <= bound
    assert bound >= max(abs(int(end)) for end in linear.interval([interval], parameters).low)


@given(intervals((3,)), formats())
def test_relu_and_requantize_are_attained(interval: Interval, fixed: Fixed) -> None:
    rectified = Relu().interval([interval], {})
    assert_hull(rectified, Relu().integer([corners(interval)], {}))
    codes = np.arange(interval.low[0], interval.high[0] + 1)
    first = Interval(interval.low[:1], interval.high[:1], interval.fraction)
    assert_hull(first.requantize(fixed), requantize(Codes(codes[:, None], interval.fraction), fixed))


@given(intervals((2, 2)))
def test_flatten_moves_the_ends(interval: Interval) -> None:
    assert_hull(Flatten().interval([interval], {}), Flatten().integer([corners(interval)], {}))


@given(intervals((2, 2)), element_formats((2, 2)))
def test_requantize_per_element_holds_the_results(interval: Interval, fixed: Fixed) -> None:
    found = interval.requantize(fixed)
    assert_hull(found, requantize(corners(interval), fixed))


@given(intervals((3,)), st.integers(0, 8))
def test_align_changes_no_value(interval: Interval, finer: int) -> None:
    moved = interval.align(interval.fraction + finer)
    assert np.array_equal(moved.low, interval.low * 2**finer)
    assert np.array_equal(moved.high, interval.high * 2**finer)


@given(intervals((3,)))
def test_smallest_format_holds_the_interval(interval: Interval) -> None:
    fixed = interval.smallest_format()
    assert fixed.fraction == interval.fraction
    assert fixed.low <= interval.low.min()
    assert interval.high.max() <= fixed.high


@settings(deadline=None, max_examples=40)
@given(plans(activation_widths=(2, 5)))
def test_accumulators_hold_every_result_and_the_first_is_attained(plan: Plan) -> None:
    network = build_network(plan)
    quantized, samples = network.quantized, network.inputs(200)
    ranges = quantized.accumulators()
    seen = unquantized(quantized, samples)
    assert set(ranges) == {node.output for node in network.graph.nodes}
    for node in network.graph.nodes:
        found, codes = ranges[node.output], seen[node.output].align(ranges[node.output].fraction)
        assert (codes.values.min(0) >= found.low).all()
        assert (codes.values.max(0) <= found.high).all()
    first = network.graph.nodes[0].output
    assert_hull(ranges[first], seen[first])  # the samples hold every corner of the input range
    assert quantized.mantissa_bits() <= 53


def test_accumulators_by_hand() -> None:
    """Three inputs of -4..3 with weights 3, -2, 0 and bias 1: from -4*3 - 3*2 + 1 to 3*3 + 4*2 + 1."""
    graph = Graph(
        {"x": (3,)},
        ("y",),
        (Node("fc", Linear("w", "b"), ("x",), "h"), Node("relu", Relu(), ("h",), "y")),
        {"w": np.zeros((1, 3)), "b": np.zeros(1)},
    )
    formats = {"x": Fixed(True, 3, 3), "w": Fixed(True, 3, 3), "b": Fixed(True, 2, 2), "y": Fixed(False, 3, 3)}
    quantized = Quantized(graph, formats, {"w": np.array([[3, -2, 0]]), "b": np.array([1])})
    ranges = quantized.accumulators()
    assert (ranges["h"].low.tolist(), ranges["h"].high.tolist()) == ([-17], [18])
    assert ranges["h"].smallest_format() == Fixed(True, 6, 6)
    assert (ranges["y"].low.tolist(), ranges["y"].high.tolist()) == ([0], [18])
    assert quantized.mantissa_bits() == 5  # 4*3 + 4*2 + 1 = 21, and 2**5 holds it


def unquantized(quantized: Quantized, samples: np.ndarray) -> dict[str, Codes]:
    """Every node's result before its activation quantizer."""
    raw: dict[str, Codes] = {}

    def step(node: Node, values: list[Codes]) -> Codes:
        raw[node.output] = node.op.integer(values, quantized.parameters(node))
        fixed = quantized.formats.get(node.output)
        return raw[node.output] if fixed is None else requantize(raw[node.output], fixed)

    quantized.graph.run(quantized.encode([samples]), step)
    return raw
