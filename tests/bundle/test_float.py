"""The float network as plain ONNX gives what torch gives."""

import numpy as np
import onnx
import pytest
import torch

from codesign.export.writers.float_network import FloatWriter
from codesign.fixed import Fixed
from codesign.graph import Graph
from codesign.torch_forward import float_forward, to_tensors
from codesign.verify.hops.float64 import in_float64
from tests.networks import STAGES, Plan, build_network

#: Operations that round to a table in torch, where the file has the function itself: half a step of the output.
ROUNDED = ("sigmoid", "tanh", "softmax", "gated")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage(stage: str) -> None:
    network = build_network(Plan(2, (stage, "conv"), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4))
    graph: Graph = network.graph
    samples = network.inputs(20)
    with torch.no_grad():
        wanted = float_forward(graph, to_tensors(graph.parameters), [torch.tensor(samples, dtype=torch.float32)])
    model = FloatWriter(graph).write()
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert all(node.op_type != "Quant" for node in model.graph.node)
    found = in_float64(model)({next(iter(graph.inputs)): samples})
    for name in graph.outputs:
        right = wanted[name].double().numpy()
        scale = np.abs(right).max() + 1
        assert np.abs(found[name] - right).max() <= (0.02 if stage in ROUNDED else 1e-4) * scale
