"""Random layers and pairs of layers, as fine-tuning leaves them: integer weights, biases, ReLU, fewer bits after it."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from codesign.fixed import Fixed
from codesign.graph import Graph, Node
from codesign.interval import Interval
from codesign.ops.linear import Linear
from codesign.ops.relu import Relu
from codesign.quantized import Quantized

#: Share of networks with two layers, and of those whose last layer's sums leave without ReLU and rounding.
PAIRS, RAW = 0.25, 0.25
#: Bits of weights times bits of inputs, summed over a network's products that are not zero: at least, and the bound on
#: the most, which is drawn for each network.
LEAST, MOST = 800, (2_500, 40_000)


@dataclass(frozen=True)
class Drawn:
    """A network, and how it is cut into a pipeline.

    Args:
        quantized: The network.
        stage_levels: Levels of adders in a pipeline stage.
    """

    quantized: Quantized
    stage_levels: int


def draw(index: int) -> Drawn:
    """The network of a number, always the same one."""
    generator = np.random.default_rng([0, index])
    most = _between(generator, *MOST)
    while not LEAST <= (drawn := _draw(generator))[0] <= most or not _sensible(drawn[1]):
        pass
    return Drawn(drawn[1], int(generator.integers(1, 9)))


def _sensible(quantized: Quantized) -> bool:
    """Whether every layer has a fan-in of at least 4, and an output that varies."""
    ranges = quantized.ranges()
    varies = all((ranges[node.output].low < ranges[node.output].high).any() for node in quantized.graph.nodes)
    return varies and all(quantized.codes[name].shape[1] >= 4 for name in quantized.graph.weights())


def _between(generator: Generator, low: int, high: int) -> int:
    """As often in each octave."""
    return int(np.exp(generator.uniform(np.log(low), np.log(high + 1))))


def _draw(generator: Generator) -> tuple[float, Quantized]:
    """The work of a network, bits times bits over its products, and the network."""
    sizes = [_between(generator, 4, 64), _between(generator, 1, 64)]
    if generator.random() < PAIRS:
        sizes.append(_between(generator, 1, 64))
    formats = {"x": _format(generator, bool(generator.integers(2)), 16)}
    nodes, parameters, codes = list[Node](), dict[str, np.ndarray](), dict[str, np.ndarray]()
    work, given, values = 0.0, "x", Interval.of(formats["x"], (sizes[0],))
    for layer, (fan_in, outputs) in enumerate(pairwise(sizes)):
        name, bits, last = f"fc{layer}", int(generator.integers(2, 9)), layer == len(sizes) - 2
        op = Linear(f"{name}.weight", f"{name}.bias")
        formats[op.weight] = weight = Fixed(True, bits, 1)
        codes[op.weight] = _weights(generator, weight, (outputs, fan_in))
        spread = np.sqrt((codes[op.weight].astype(float) ** 2).sum(1).mean() * float(values.high.max()) ** 2 / 3)
        codes[f"{name}.bias"] = np.rint(generator.normal(size=outputs) * spread / 2).astype(np.int64)
        fraction = values.fraction + int(weight.fraction)
        width = int(np.abs(codes[f"{name}.bias"]).max()).bit_length() + 2
        formats[f"{name}.bias"] = Fixed(True, width, width - fraction)
        parameters |= {each: codes[each].astype(np.float32) for each in (op.weight, f"{name}.bias")}
        nodes.append(Node(name, op, (given,), given := name))
        work += np.count_nonzero(codes[op.weight]) * bits * float(np.max(formats[_read(nodes)].width))
        if not last or generator.random() > RAW:
            nodes.append(Node(f"relu{layer}", Relu(), (given,), given := f"relu{layer}"))
            found = Quantized(Graph({"x": (sizes[0],)}, (given,), tuple(nodes), parameters), formats, codes)
            top = int(np.max(found.accumulators()[given].high)).bit_length() - fraction
            formats[given] = _format(generator, False, 12, top - int(generator.integers(0, 4)), fraction)
            values = found.ranges()[given]
    return work, Quantized(Graph({"x": (sizes[0],)}, (given,), tuple(nodes), parameters), formats, codes)


def _read(nodes: list[Node]) -> str:
    return nodes[-1].inputs[0]


def _format(generator: Generator, signed: bool, widest: int, integer: int = 2, finest: int = 64) -> Fixed:
    """A format of 2 to ``widest`` bits, no finer than ``finest`` bits of fraction."""
    width = max(min(int(generator.integers(2, widest + 1)), integer + finest), 2)
    return Fixed(signed, width, integer)


def _weights(generator: Generator, fixed: Fixed, shape: tuple[int, int]) -> np.ndarray:
    """Normal or uniform codes, a share of them pruned."""
    high = int(fixed.high)
    if generator.random() < 0.25:
        codes = generator.integers(-high, high + 1, shape)
    else:
        codes = np.clip(np.rint(generator.normal(size=shape) * generator.uniform(0.2, 0.8) * high), -high, high)
    kept = generator.random(shape) >= generator.uniform(0, 0.8)
    codes = (codes * kept).astype(np.int64)
    codes.flat[0] = codes.flat[0] or 1
    return codes
