"""Random small convolutional and residual networks, with formats and weights that meet the quantizers' edges."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from hypothesis import reject
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.graph import Graph
from codesign.load._fx import graph_from_module
from codesign.network import QuantizedNetwork
from codesign.ops.op import Shape
from tests import strategies
from tests.strategies import channel_format, channel_points, spread_values

#: Layers by number of position axes.
CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d}
NORM: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
MAXPOOL: dict[int, type[nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}
AVGPOOL: dict[int, type[nn.Module]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d}
GLOBAL: dict[int, type[nn.Module]] = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d}

TABLE = torch.tensor([0.5, -1.0, 2.0, 0.25, 3.0, 3.0, -0.75, 1.0])
CHANNELS = torch.tensor([0.5, -1.0, 1.5, 2.0])

STAGES = (
    *("conv", "strided", "dilated", "depthwise", "pointwise", "relu", "maxpool", "avgpool", "residual", "projected"),
    *("leaky", "clamp", "relu6", "sigmoid", "tanh", "difference", "gated", "concat", "padded", "upsample", "affine"),
    *("last_axis", "averaged", "shared", "reshape", "weighted_sum", "halved"),
    *("selected", "widened", "whole", "nothing", "looked_up", "per_channel", "limited", "softmax"),
)


class Apply(nn.Module):
    """A function of a tensor and of layers."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.layers)


def last_axis(x: Tensor, linear: nn.Module) -> Tensor:
    """A linear layer on the channels of every position."""
    return linear(x.transpose(1, -1)).transpose(-1, 1)


def spread(x: Tensor) -> Tensor:
    """A number for each channel of a tensor."""
    return CHANNELS.view(4, *[1] * (x.ndim - 2))


#: Stages that are functions of a tensor alone.
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "leaky": lambda x: functional.leaky_relu(x, 0.25),
    "clamp": lambda x: x.clamp(-1.25, 3),
    "relu6": functional.relu6,
    "sigmoid": torch.sigmoid,
    "tanh": lambda x: x.tanh(),
    "affine": lambda x: 0.75 - x * 1.5,
    "reshape": lambda x: x.flatten(1, 2).unflatten(1, (4, -1)),
    "selected": lambda x: torch.cat([x[:, 1::2], x[:, 0:1], x[:, 3, None]], 1),
    "whole": lambda x: TABLE[(x.relu() * 4).long().clamp(0, 3)] + (x.relu().long() - 0.5).sigmoid() - x.relu().long(),
    "nothing": lambda x: x.sigmoid().floor() + x,
    "widened": lambda x: x.flatten(1, 2)[..., None].squeeze(-1).view(x.shape),
    "looked_up": lambda x: TABLE[torch.floor(x * 4).clamp(0, 7).long()] + x.floor(),
    "per_channel": lambda x: torch.maximum(spread(x) - (x * spread(x) - 0.5).clamp(-2, 3.5), spread(x)),
    "softmax": lambda x: x * x.softmax(1) + x.softmax(-1),
    "limited": lambda x: x.clamp(-abs(spread(x)), abs(spread(x))),
}


class Residual(nn.Module):
    """``relu(body(x) + shortcut(x))``."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, relu: bool, in_place: bool) -> None:
        super().__init__()
        self.body, self.shortcut, self.in_place = body, shortcut, in_place
        self.last = nn.ReLU(inplace=in_place) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.in_place:
            y += self.shortcut(x)
            return self.last(y)
        return self.last(self.shortcut(x) + y)


@dataclass(frozen=True)
class Plan:
    """A random network.

    Args:
        rank: Position axes of its input.
        stages: Names of ``STAGES``.
        end: How the positions go: "flatten", "mean" or "sum", the latter over one axis.
        flags: Choices of the stages and the head, read one after another: bias, norm, ReLU.
        weight, activation: Widths and integer bits, read one after another.
        input_format: Of the input.
        seed: For all numbers.
        channels: Widths and integer bits of output channels, read one after another, of every other weight.
    """

    rank: int
    stages: tuple[str, ...]
    end: str
    flags: tuple[bool, ...]
    weight: tuple[tuple[int, int], ...]
    activation: tuple[tuple[int, int], ...]
    input_format: Fixed
    seed: int
    channels: tuple[tuple[int, int], ...] = ()


@st.composite
def plans(
    draw: st.DrawFn,
    weights: tuple[int, int] = (2, 8),
    activations: tuple[int, int] = (2, 10),
) -> Plan:
    """Networks of one to four stages and a linear head, some with pruned weights or a width per channel."""

    def several(*widths: int) -> tuple[tuple[int, int], ...]:
        return tuple(draw(st.lists(st.tuples(st.sampled_from(widths), st.integers(-2, 4)), min_size=1, max_size=4)))

    width, integer = draw(st.tuples(st.integers(*activations), st.integers(-2, 4)))
    return Plan(
        draw(st.integers(1, 2)),
        tuple(draw(st.lists(st.sampled_from(STAGES), min_size=1, max_size=4))),
        draw(st.sampled_from(["flatten", "mean", "sum"])),
        tuple(draw(st.lists(st.booleans(), min_size=3, max_size=3))),
        several(0, *range(weights[0], weights[1] + 1)),
        several(*range(activations[0], activations[1] + 1)),
        Fixed(draw(st.booleans()), width, integer),
        draw(st.integers(0, 2**32)),
        draw(channel_points()),
    )


def module_of(plan: Plan) -> tuple[nn.Module, Shape]:
    """The torch module and its input's shape; 2 to 4 channels, powers of two of positions."""
    rank, (bias, norm, relu) = plan.rank, plan.flags
    shape = (2, *((16,) if rank == 1 else (8, 4)))
    layers: list[nn.Module] = [CONV[rank](2, 4, 1, bias=bias)]

    def conv(kernel: int | tuple[int, int], **options: object) -> nn.Module:
        made = [CONV[rank](4, 4, kernel, bias=bias, **options)]  # type: ignore[arg-type]
        return nn.Sequential(*made, *([NORM[rank](4)] if norm else []), *([nn.ReLU()] if relu else []))

    halved = 0
    for stage in plan.stages:
        match stage:
            case "conv":
                layers.append(conv(3, padding=1))
            case "strided" if halved < 2:
                layers.append(conv(3, stride=2, padding=1))
                halved += 1
            case "dilated":
                layers.append(conv(3, dilation=2, padding=2))
            case "depthwise":
                layers.append(conv(3, padding="same", groups=4))
            case "pointwise":
                layers.append(conv(1, groups=2))
            case "difference":
                layers.append(Apply(lambda x, own: x - own(x), conv(1)))
            case "gated":
                layers.append(Apply(lambda x, own: x * torch.sigmoid(own(x)), conv(1)))
            case "concat":
                back = CONV[rank](12, 4, 1, bias=bias)
                layers.append(Apply(lambda x, own, back: back(torch.cat([x, own(x), x.relu()], 1)), conv(1), back))
            case "padded":
                layers.append(nn.ZeroPad1d((0, 1)) if rank == 1 else nn.ZeroPad2d((1, 0, 2, 0)))
                layers.append(conv(2 if rank == 1 else (3, 2)))
            case "upsample":
                layers += [nn.Upsample(scale_factor=2), conv(3, stride=2, padding=1)]
            case "last_axis":
                layers.append(Apply(last_axis, nn.Linear(4, 4, bias=bias)))
            case "averaged" if halved < 2:
                layers.append(AVGPOOL[rank](3, 2, 1))
                halved += 1
            case "shared":
                layers.append(Apply(lambda x, own: own(own(x).relu()), CONV[rank](4, 4, 1, bias=bias)))
            case "weighted_sum":
                layers.append(Apply(lambda x: x + x.sum(1, keepdim=True) - 0.5 * x.mean(-1, keepdim=True)))
            case name if name in FUNCTIONS:
                layers.append(Apply(FUNCTIONS[name]))
            case "maxpool" if halved < 2:
                layers.append(MAXPOOL[rank](3, 2, 1))
                halved += 1
            case "halved" if halved < 2:
                layers.append(MAXPOOL[rank](2))
                halved += 1
            case "avgpool" if halved < 2:
                layers.append(AVGPOOL[rank](2) if relu else AVGPOOL[rank](4, 2, 1))
                halved += 1
            case "residual":
                body = nn.Sequential(conv(3, padding=1), CONV[rank](4, 4, 3, padding=1, bias=bias))
                layers.append(Residual(body, nn.Identity(), relu, norm))
            case "projected":
                body = nn.Sequential(CONV[rank](4, 4, 1, bias=bias), *([NORM[rank](4)] if norm else []))
                layers.append(Residual(body, CONV[rank](4, 4, 3, padding=1), relu, norm))
            case _:
                pass  # positions are used up
    layers += {"mean": [GLOBAL[rank](1)], "sum": [Apply(lambda x: x.sum(-1))], "flatten": []}[plan.end]
    body = nn.Sequential(*layers, nn.Flatten())
    features = body.eval()(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(body, nn.Linear(features, 3, bias=bias)).eval(), shape


def corners(fixed: Fixed, shape: Shape) -> np.ndarray:
    """Inputs at the ends of a format, float32: all lowest, all highest, alternating, and one unlike all others."""
    size = prod(shape)
    rows = [np.zeros((1, size), bool), np.arange(size)[None] % 2 == 1, np.eye(size, dtype=bool)]
    high = np.concatenate([*rows, *(~each for each in rows)])
    ends = np.array([int(fixed.low), int(fixed.high)]) * 2.0 ** -int(fixed.fraction)
    return ends[high.astype(int)].reshape(-1, *shape).astype(np.float32)


@dataclass(frozen=True)
class Network(strategies.Network):
    """A plan of convolutions and branches made real."""

    plan: Plan

    def inputs(self, count: int) -> np.ndarray:
        """Random inputs, and corners of the input range."""
        fixed, (shape,) = self.plan.input_format, self.graph.inputs.values()
        random = spread_values(np.random.default_rng(self.plan.seed + 1), fixed, (count, *shape))
        return np.concatenate([random, corners(fixed, shape)])


def build_network(plan: Plan) -> Network:
    """The integer network of a plan."""
    torch.manual_seed(plan.seed % 2**31)
    module, shape = module_of(plan)
    graph, _ = graph_from_module(module, [shape], "inside")
    generator, signs = np.random.default_rng(plan.seed), graph.signed()
    formats: dict[str, Fixed] = {}
    for index, name in enumerate(graph.activations()):
        formats[name] = Fixed(signs[name], *plan.activation[index % len(plan.activation)])
    formats |= dict.fromkeys(graph.inputs, plan.input_format)
    parameters: dict[str, np.ndarray] = {}
    nodes = {node.op.parameters()["weight"]: node for node in graph.weighted()}
    for index, node in enumerate(nodes.values()):
        roles = node.op.parameters()
        shape = graph.parameters[roles["weight"]].shape
        fixed = Fixed(True, *plan.weight[index % len(plan.weight)])
        if plan.channels and index % 2 == plan.seed % 2:
            fixed = channel_format(plan.channels, shape)
        formats[roles["weight"]] = fixed
        parameters[roles["weight"]] = spread_values(generator, fixed, shape)
        if "bias" in roles:
            size = graph.parameters[roles["bias"]].shape
            parameters[roles["bias"]] = (generator.normal(size=size) * generator.choice([0, 1, 16], size)).astype("f4")
    graph = Graph(graph.inputs, graph.outputs, graph.nodes, parameters)
    network = QuantizedNetwork(graph, formats)
    try:
        quantized = network.freeze(parameters)
        quantized.mantissa_bits()
    except InputError as error:
        if "bits" not in str(error):
            raise
        reject()  # a sum too wide to be exact, or a table with too many entries
    return Network(plan, graph, network, quantized)


def drawn(seed: int) -> Plan:
    """A plan from a seed: every operation that there is, bits per tensor and per channel."""
    random = np.random.default_rng(seed)

    def points(low: int, high: int, count: int) -> tuple[tuple[int, int], ...]:
        return tuple((int(random.integers(low, high)), int(random.integers(-2, 5))) for _ in range(count))

    return Plan(
        int(random.integers(1, 3)),
        tuple(str(stage) for stage in random.choice(STAGES, random.integers(1, 4))),
        str(random.choice(["flatten", "mean", "sum"])),
        tuple(bool(random.integers(2)) for _ in range(3)),
        points(2, 9, 3),
        points(2, 11, 3),
        Fixed(bool(random.integers(2)), *points(2, 11, 1)[0]),
        seed,
        points(2, 9, 3) if seed % 2 else (),
    )
