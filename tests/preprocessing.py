"""Random steps before the network: functions of words, and the networks that read what they give."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import reject
from hypothesis import strategies as st
from torch import nn

from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.graph import Graph
from codesign.load._numpy import Table
from codesign.load.data.dataset import make_dataset
from codesign.load.torch import graph_for
from codesign.network import QuantizedNetwork
from codesign.quantized import Quantized
from tests.strategies import spread_values

Words = npt.NDArray[Any]
#: Logarithms in sixteenths, and reciprocals in units of 2**-8.
LOGARITHM = (np.round(np.log2(1 + np.arange(32)) * 16) / 16).view(Table)
RECIPROCAL = (np.round(256 / np.maximum(np.arange(16), 1)) / 256).view(Table)
SQUARES = (np.arange(16) ** 2).view(Table)

#: Steps from words ``[samples, features]`` to words, by name.
STEPS: dict[str, Callable[[Words], Words]] = {
    "offset": lambda w: w + 3,
    "minus": lambda w: 5 - w,
    "scale": lambda w: w * 3,
    "right": lambda w: w >> 2,
    "left": lambda w: w << 1,
    "halved": lambda w: w // 2,
    "clipped": lambda w: np.clip(w, -5, 9),
    "limited": lambda w: np.minimum(np.maximum(w, -7), 6),
    "magnitude": lambda w: np.maximum(w, -w),
    "nearer": lambda w: np.minimum(w, 4 - w),
    "first_twice": lambda w: np.concatenate([w, w[:, :1] * 2], axis=1),
    "stacked": lambda w: np.stack([w[:, 0], w[:, -1] + 1, w[:, 0] - w[:, -1]], axis=-1),
    "reversed_pair": lambda w: np.concatenate([w[..., -1:], w[..., 0][:, None]], -1),
    "squares": lambda w: np.take(SQUARES, w.clip(0, 15)),
    "summed": lambda w: w + w.sum(1, keepdims=True),
}
#: Last steps, to numbers that need not be whole.
ENDS: dict[str, Callable[[Words], Words]] = {
    "words": lambda w: w,
    "quarters": lambda w: w / 4 - 0.5,
    "logarithm": lambda w: LOGARITHM[np.clip(w, 0, 31)],
    "both": lambda w: np.concatenate([np.take(LOGARITHM, np.clip(w[:, :1], 0, 31)), w * 0.75], 1),
    "ratio": lambda w: w * np.take(RECIPROCAL, np.clip(w[:, :1], 0, 15)),
}


@dataclass(frozen=True)
class Plan:
    """A random step and what stands around it.

    Args:
        formats: Of the input's features.
        steps, end: Names of steps.
        activation: Width and integer bits of what the first layer reads, and of other activations.
        weight: Of the weights.
        seed: For all numbers.
    """

    formats: tuple[str, ...]
    steps: tuple[str, ...]
    end: str
    activation: tuple[tuple[int, int], ...]
    weight: tuple[int, int]
    seed: int

    def function(self, words: Words) -> Words:
        """The step; offsets that differ from feature to feature come first."""
        words = words + np.arange(len(self.formats)) * (self.seed % 3 - 1)
        for name in self.steps:
            words = STEPS[name](words)
        return ENDS[self.end](words)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Steps on one to four features."""
    pair = st.tuples(st.integers(2, 12), st.integers(-2, 8))
    features = draw(st.lists(st.tuples(st.booleans(), pair), min_size=1, max_size=4))
    return Plan(
        tuple(f"{'u' * sign}fixed<{width},{integer}>" for sign, (width, integer) in features),
        tuple(draw(st.lists(st.sampled_from(sorted(STEPS)), max_size=4))),
        draw(st.sampled_from(sorted(ENDS))),
        tuple(draw(st.lists(pair, min_size=1, max_size=3))),
        draw(st.tuples(st.integers(2, 8), st.integers(-2, 3))),
        draw(st.integers(0, 2**32)),
    )


@dataclass(frozen=True)
class Network:
    """A step and a network made real."""

    graph: Graph
    torch: QuantizedNetwork
    quantized: Quantized
    samples: npt.NDArray[np.float32]

    @property
    def parameters(self) -> dict[str, Any]:
        """The float parameters."""
        return dict(self.graph.parameters)

    def inputs(self, count: int) -> npt.NDArray[np.float32]:
        """Random words and all corners, as real numbers."""
        return self.samples[-count:]


def corners(fixed: Fixed, features: int) -> Words:
    """Every combination of the features' least and largest words."""
    low, high = (np.broadcast_to(end, features) for end in (fixed.low, fixed.high))
    return np.array(list(product(*zip(low.tolist(), high.tolist(), strict=True))), np.int64)


def words_of(formats: tuple[str, ...], count: int, seed: int) -> Words:
    """Random words, and the corners."""
    from codesign.load.data.formats import input_formats

    features = len(formats)
    (fixed,) = input_formats("test", formats, {"x": np.zeros((1, features))})
    low, high = (np.broadcast_to(end, features) for end in (fixed.low, fixed.high))
    random = np.random.default_rng(seed).integers(low, high + 1, (count, features))
    return np.concatenate([random, corners(fixed, features)])


def build_network(formats: tuple[str, ...], step: Any, plan: Plan, words: Words) -> Network:
    """The integer network of a step and a small linear network after it."""
    count = len(words)
    torch.manual_seed(plan.seed % 2**31)
    rows = {"train": (0, count - 2), "validation": (count - 2, count - 1), "test": (count - 1, count)}
    dataset = make_dataset({"x": words}, np.zeros(count, np.int64), rows, formats=formats)  # type: ignore[arg-type]
    with torch.no_grad():
        given = step(words) if not isinstance(step, nn.Module) else step(torch.tensor(dataset.inputs[0]))
    network = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(given.shape[1:])), 4), nn.ReLU(), nn.Linear(4, 3))
    graph, _ = graph_for(network, dataset, step)
    signs, generator = graph.signed(), np.random.default_rng(plan.seed)
    found: dict[str, Fixed] = {}
    for index, name in enumerate(graph.activations()):
        found[name] = Fixed(signs[name], *plan.activation[index % len(plan.activation)])
    assert dataset.formats is not None
    found |= dict(zip(graph.inputs, dataset.formats, strict=True))
    parameters = dict(graph.parameters)
    for node in graph.weighted():
        name = node.op.parameters()["weight"]
        found[name] = Fixed(True, *plan.weight)
        parameters[name] = spread_values(generator, found[name], parameters[name].shape)
    graph = Graph(graph.inputs, graph.outputs, graph.nodes, parameters)
    quantized = QuantizedNetwork(graph, found)
    try:
        frozen = quantized.freeze(parameters)
        frozen.mantissa_bits()
    except InputError as error:
        if "bits" not in str(error):
            raise
        reject()
    return Network(graph, quantized, frozen, dataset.inputs[0])
