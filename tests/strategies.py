"""What several tests draw: number formats, values that meet the quantizers' edges, small random networks."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
from hypothesis import reject, settings
from hypothesis import strategies as st
from torch import nn

from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.graph import Graph
from codesign.load._fx import graph_from_module
from codesign.network import QuantizedNetwork
from codesign.quantized import Quantized

# A busy machine must not make a test fail.
settings.register_profile("codesign", deadline=None)
settings.load_profile("codesign")


@st.composite
def formats(draw: st.DrawFn, widest: int = 16, signed: bool | None = None) -> Fixed:
    """Per-tensor formats, with integer bits that are negative, beyond the width, or in between."""
    sign = draw(st.booleans()) if signed is None else signed
    widths = st.integers(0, widest).filter(lambda width: width != 1 or not sign)
    return Fixed(sign, draw(widths), draw(st.integers(-6, 20)))


@st.composite
def element_formats(draw: st.DrawFn, shape: tuple[int, ...], widest: int = 16) -> Fixed:
    """Formats with a width and integer bits for each element."""
    sign, count = draw(st.booleans()), int(np.prod(shape))
    widths = st.sampled_from([width for width in range(widest + 1) if width != 1 or not sign])
    width = draw(st.lists(widths, min_size=count, max_size=count))
    integer = draw(st.lists(st.integers(-6, 12), min_size=count, max_size=count))
    return Fixed(sign, np.reshape(width, shape), np.reshape(integer, shape))


def quantized_code(value: Fraction, signed: bool, width: int, integer: int, rounding: str) -> int:
    """The code of an exact value, in python's own integers and fractions."""
    scaled = value * Fraction(2) ** (width - integer)
    code = floor(scaled) if rounding == "floor" else round(scaled)  # python rounds a Fraction half to even
    low = -(2 ** (width - 1)) if signed and width else 0
    high = (2 ** (width - 1) if signed and width else 2**width) - 1
    return min(max(code, low), high)


def channel_format(points: Sequence[tuple[int, int]], shape: tuple[int, ...]) -> Fixed:
    """The format of a weight whose output channels have these widths and integer bits, read one after another."""
    chosen = np.array([points[channel % len(points)] for channel in range(shape[0])])
    width, integer = chosen.T.reshape(2, shape[0], *[1] * (len(shape) - 1))
    return Fixed(True, width, integer)


def channel_points(widest: int = 8) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    """Widths and integer bits for channels, some of no bits; none at all for a format per tensor."""
    point = st.tuples(st.sampled_from([0, *range(2, widest + 1)]), st.integers(-3, 4))
    return st.just(()) | st.lists(point, min_size=1, max_size=4).map(tuple)


def spread_values(generator: np.random.Generator, fixed: Fixed, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 values for a format: on the grid, between its points, at ties, at the ends and outside."""
    lsb = np.ldexp(1.0, -np.asarray(fixed.fraction))
    low, high = np.asarray(fixed.low), np.asarray(fixed.high)
    codes = generator.integers(low, high + 1, shape).astype(np.float64)
    ends = [low - 1, low, low + 1, high - 1, high, high + 0.5, high + 1, high + 1.5]
    kinds = [
        codes,
        codes + 0.5,
        codes + generator.uniform(-1, 1, shape),
        np.choose(generator.integers(len(ends), size=shape), ends),
        codes * 3,
        generator.normal(size=shape) * (high - low + 1) * 1e3,
    ]
    choice = generator.choice(len(kinds), shape, p=[0.3, 0.15, 0.3, 0.15, 0.05, 0.05])
    return (np.choose(choice, kinds) * lsb).astype(np.float32)


@dataclass(frozen=True)
class Layer:
    """One linear layer of a random network, and what stands around it.

    Args:
        name: Path of the linear layer; dots make nested modules.
        size: Outputs.
        bias: Whether it has one.
        norm: Whether a batch norm follows.
        relu: Whether a ReLU follows.
        weight: Width and integer bits of the weight.
        activation: Width and integer bits of what leaves the layer, where another one multiplies it.
        signed: Whether that has a sign even if it can't be negative.
        channels: Width and integer bits of output channels, read one after another, in place of ``weight``.
    """

    name: str
    size: int
    bias: bool
    norm: bool
    relu: bool
    weight: tuple[int, int]
    activation: tuple[int, int]
    signed: bool = False
    channels: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Plan:
    """A random network: its input's size and format, its layers, and a seed for all numbers."""

    inputs: int
    input_format: Fixed
    layers: tuple[Layer, ...]
    seed: int


@dataclass(frozen=True)
class Network:
    """A plan made real: the float graph, its formats, the torch network, the integer network."""

    plan: Plan
    graph: Graph
    torch: QuantizedNetwork
    quantized: Quantized

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The float parameters."""
        return dict(self.graph.parameters)

    def inputs(self, count: int) -> np.ndarray:
        """``count`` random inputs, and every corner of the input range, ``[samples, features]`` float32."""
        fixed, size = self.plan.input_format, self.plan.inputs
        lsb = 2.0 ** -int(fixed.fraction)
        corners = np.array(list(product([int(fixed.low), int(fixed.high)], repeat=size)), np.float64) * lsb
        random = spread_values(np.random.default_rng(self.plan.seed + 1), fixed, (count, size))
        return np.concatenate([random, corners.astype(np.float32)])


@st.composite
def plans(
    draw: st.DrawFn,
    weight_widths: tuple[int, int] = (2, 10),
    activation_widths: tuple[int, int] = (2, 12),
    names: Sequence[str] = ("first", "block.fc", "switch", "a.b", "a_b", "fc_0", "Head"),
) -> Plan:
    """Random networks of one to three linear layers, some with pruned weights or a width per channel."""
    low, high = weight_widths
    weights = st.tuples(st.sampled_from([0, *range(low, high + 1)]), st.integers(-3, 4))
    activations = st.tuples(st.integers(*activation_widths), st.integers(-3, 6))
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    layers = tuple(
        Layer(
            name,
            draw(st.integers(1, 8)),
            *(draw(st.booleans()) for _ in range(3)),
            weight=draw(weights),
            activation=draw(activations),
            signed=draw(st.booleans()),
            channels=draw(channel_points()),
        )
        for name in chosen
    )
    width, integer = draw(activations)
    return Plan(
        draw(st.integers(1, 8)), Fixed(draw(st.booleans()), width, integer), layers, draw(st.integers(0, 2**32))
    )


def module_of(plan: Plan) -> nn.Module:
    """The torch module of a plan, with torch's default weights."""
    root, size = OrderedDict[str, nn.Module](), plan.inputs
    for index, layer in enumerate(plan.layers):
        made: nn.Module = nn.Linear(size, layer.size, bias=layer.bias)
        outer, *inner = layer.name.split(".")
        for name in reversed(inner):
            made = nn.Sequential(OrderedDict([(name, made)]))
        root[outer] = made
        if layer.norm:
            root[f"norm{index}"] = nn.BatchNorm1d(layer.size)
        if layer.relu:
            root[f"relu{index}"] = nn.ReLU()
        size = layer.size
    return nn.Sequential(root)


def build_network(plan: Plan) -> Network:
    """The integer network of a plan, with weights that meet the edges of their formats."""
    graph, _ = graph_from_module(module_of(plan), [(plan.inputs,)])
    generator = np.random.default_rng(plan.seed)
    signs = graph.signed()
    activations = graph.activations()
    chosen = dict.fromkeys(graph.inputs, plan.input_format)
    parameters: dict[str, np.ndarray] = {}
    for layer, node in zip(plan.layers, graph.weighted(), strict=True):
        roles = node.op.parameters()
        shape = graph.parameters[roles["weight"]].shape
        fixed = channel_format(layer.channels, shape) if layer.channels else Fixed(True, *layer.weight)
        chosen[roles["weight"]] = fixed
        parameters[roles["weight"]] = spread_values(generator, fixed, shape)
        tensor = (
            node.output if node.output in activations else next((n.output for n in graph.consumers(node.output)), "")
        )
        after = Fixed(signs.get(tensor, True) or layer.signed, *layer.activation)
        if tensor in activations:
            chosen[tensor] = after
        if "bias" in roles:
            # ties for the bias's own rounding, and values up to the size of what follows
            coarse = spread_values(
                generator, Fixed(True, after.width, after.integer), graph.parameters[roles["bias"]].shape
            )
            parameters[roles["bias"]] = (coarse * generator.choice([1.0, 0.25, 2.0**-9], coarse.shape)).astype(
                np.float32
            )
    graph = Graph(graph.inputs, graph.outputs, graph.nodes, parameters)
    network = QuantizedNetwork(graph, chosen)
    try:
        return Network(plan, graph, network, network.freeze(parameters))
    except InputError:  # a bias too large for its layer's fraction
        reject()


def exact_values(quantized: Quantized, sample: Sequence[Sequence[float]]) -> dict[str, list[Fraction]]:
    """Every tensor of a linear-and-ReLU network for one sample, by definition, in python's fractions.

    Args:
        quantized: The network; only its codes and formats are used.
        sample: Values per graph input.
    """

    def parameter(name: str) -> list[Fraction]:
        codes = quantized.codes[name]
        fractions = np.broadcast_to(quantized.formats[name].fraction, codes.shape)
        pairs = zip(codes.reshape(-1).tolist(), fractions.reshape(-1).tolist(), strict=True)
        return [code * Fraction(2) ** -fraction for code, fraction in pairs]

    def on_grid(name: str, values: list[Fraction]) -> list[Fraction]:
        fixed = quantized.formats.get(name)
        if fixed is None:
            return values
        signed, width, integer = fixed.signed, int(fixed.width), int(fixed.integer)
        lsb = Fraction(2) ** (integer - width)
        return [quantized_code(value, signed, width, integer, "floor") * lsb for value in values]

    graph = quantized.graph
    tensors = {
        name: on_grid(name, [Fraction(float(value)) for value in values])
        for name, values in zip(graph.inputs, sample, strict=True)
    }
    for node in graph.nodes:
        x = tensors[node.inputs[0]]
        if node.op.kind == "linear":
            roles = node.op.parameters()
            weight = parameter(roles["weight"])
            rows = [weight[start : start + len(x)] for start in range(0, len(weight), len(x))]
            bias = parameter(roles["bias"]) if "bias" in roles else [Fraction(0)] * len(rows)
            result = [sum((w * v for w, v in zip(row, x, strict=True)), b) for row, b in zip(rows, bias, strict=True)]
        else:
            assert node.op.kind == "relu"
            result = [max(value, Fraction(0)) for value in x]
        tensors[node.output] = on_grid(node.output, result)
    return tensors
