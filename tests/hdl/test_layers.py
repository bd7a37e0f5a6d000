"""Every layer alone is the network's own, and what halves its bits halves its cells."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.fixed import Fixed
from codesign.hdl.circuit import trace_network
from codesign.hdl.families import FAMILIES, resources
from codesign.hdl.unrolled import write_unrolled
from codesign.hdl.yosys import count_cells, find_yosys
from codesign.quantized import Quantized
from codesign.synthesize.layers import layers
from tests.networks import Plan, build_network

PLAN = Plan(1, ("conv", "residual", "selected"), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)


def test_layers_alone_give_what_they_give_in_the_network() -> None:
    network = build_network(PLAN)
    quantized = network.quantized
    values, alone = quantized.run(quantized.encode([network.inputs(50)])), dict(layers(quantized))
    for node in quantized.graph.nodes:
        if node.name not in alone:
            assert node.op.moves_data or not node.op.arithmetic
            continue
        own = alone[node.name]
        own.verify()
        given = {name: values[name].align(int(np.max(own.formats[name].fraction))) for name in own.graph.inputs}
        made, wanted = own.run(given)[node.output].align(), values[node.output].align()
        finest = max(int(made.fraction), int(wanted.fraction))
        assert (made.align(finest).values == wanted.align(finest).values).all()
    assert set(quantized.graph.weighted()) <= {node for node in quantized.graph.nodes if node.name in alone}


def linear(bits: int) -> Quantized:
    """A layer of 16 inputs and 16 outputs with weights of so many bits."""
    quantized = build_network(
        Plan(1, ("pointwise",), "flatten", (False,) * 3, ((bits, 0),), ((6, 2),), Fixed(True, 6, 2), 4)
    ).quantized
    codes, weights, random = dict(quantized.codes), quantized.graph.weights(), np.random.default_rng(0)
    for name in weights:
        low, high = int(np.min(quantized.formats[name].low)), int(np.max(quantized.formats[name].high))
        codes[name] = random.integers(low, high + 1, codes[name].shape)
    return replace(quantized, codes=codes)


@pytest.mark.slow
def test_half_the_bits_take_half_the_cells(tmp_path: Path) -> None:
    """Of weights, that is, within a quarter."""
    counts: dict[int, int] = {}
    for bits in (8, 4):
        quantized, project = linear(bits), tmp_path / str(bits)
        written = write_unrolled(trace_network(quantized), quantized.graph, "network", 5.0, 5, project)
        cells, _ = count_cells(find_yosys(), written, project, [FAMILIES["xcup"].command], tmp_path / "log", 600)
        counts[bits] = resources(FAMILIES["xcup"], cells)["lut"]
    assert 0.375 <= counts[4] / counts[8] <= 0.625
