"""Networks of every operation, with random bits of their own for each weight and each unit."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import reject

from codesign.errors import InputError
from codesign.finetune._costs import CostName
from codesign.finetune._exact import Integers, integers, quantized
from codesign.finetune._layout import Granularity, Layout, Parts
from codesign.finetune._learned import Network
from codesign.finetune._picking import values_of
from codesign.graph import Graph, Node
from codesign.network import QuantizedNetwork
from codesign.ops.linear import Linear
from codesign.ops.relu import Relu
from tests import networks
from tests.networks import Plan


@dataclass(frozen=True)
class Random(networks.Network):
    """A random vector of a plan's graph, and its integers."""

    learned: Network
    vector: torch.Tensor
    integers: Integers

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        return values_of(self.quantized)


def mlp(inputs: int, hidden: int, outputs: int, seed: int = 0) -> Graph:
    """Two layers with random weights, ``w0``, ``b0``, ``w1``, ``b1``."""
    random = np.random.default_rng(seed)
    shapes = {"w0": (hidden, inputs), "b0": (hidden,), "w1": (outputs, hidden), "b1": (outputs,)}
    parameters = {name: (random.normal(0, 0.7, shape)).astype(np.float32) for name, shape in shapes.items()}
    nodes = (
        Node("first", Linear("w0", "b0"), ("x",), "z"),
        Node("relu", Relu(), ("z",), "a"),
        Node("last", Linear("w1", "b1"), ("a",), "y"),
    )
    return Graph({"x": (inputs,)}, ("y",), nodes, parameters)


def network_of(graph: Graph, granularity: Granularity = "weight", cost: CostName = "counted_ebops") -> Network:
    """A graph with learned bits; inputs signed."""
    signs = graph.signed()
    return Network(Layout(graph, {name: signs[name] for name in graph.activations()}, granularity), cost)


def vector_of(network: Network, seed: int, weight_bits: tuple[int, int] = (-2, 5)) -> torch.Tensor:
    """Values as the graph has them, brought near to one; random bits, none for some."""
    random, layout = np.random.default_rng(seed), network.layout
    values, fraction, integer = layout.shapes

    def drawn(shape: tuple[int, ...], low: int, high: int) -> torch.Tensor:
        return torch.tensor(random.uniform(low, high, shape)).float()

    fractions = {name: drawn(shape, *weight_bits) for name, shape in fraction.items()}
    return layout.join(
        Parts(
            {name: torch.tensor(random.normal(0, 1, shape)).float() for name, shape in values.items()},
            fractions | {name: drawn(shape, -1, 4) for name, shape in integer.items()},
            {name: drawn(shape, -2, 4) for name, shape in integer.items()},
        )
    )


def random_network(plan: Plan, granularity: Granularity = "weight") -> Random:
    """Of a plan's graph, whatever its formats are."""
    given = networks.build_network(plan)
    learned = network_of(given.graph, granularity)
    vector = vector_of(learned, plan.seed)
    try:
        made, exact = quantized(learned, integers(learned, vector))
        made.mantissa_bits()
    except InputError as error:
        if "bits" not in str(error):
            raise
        reject()
    return Random(plan, given.graph, QuantizedNetwork(given.graph, made.formats), made, learned, vector, exact)
