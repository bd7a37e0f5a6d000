"""A network with a softmax in its middle, from torch to C++."""

from pathlib import Path

import onnx
import pytest

from tests.builds import MODEL, make

GATED = MODEL.replace("self.relu1(self.fc1(x))", "self.relu1(self.fc1(x)).softmax(-1)")


def test_a_softmax_inside(tmp_path: Path) -> None:
    made = make(tmp_path / "p")
    made.write_model(GATED)
    refused = made.build()
    assert refused.code == 2
    assert "layer 'softmax': a softmax inside the network" in refused.err
    built = made.build("--set", "load.torch.softmax=inside")
    assert built.code == 0, built.err
    assert {check["status"] for check in made.report()["checks"] if check["to"] != "hls4ml"} == {"exact"}
    content = (made.out / "network.qonnx.onnx").read_bytes()
    assert {node.op_type for node in onnx.load_from_string(content).graph.node} >= {"ReduceMax", "ReduceSum", "Gather"}


@pytest.mark.slow
def test_a_softmax_inside_in_cpp(tmp_path: Path) -> None:
    made = make(tmp_path / "p")
    made.write_model(GATED)
    compiled = made.build("--set", "load.torch.softmax=inside", "--flow", "hls4ml")
    assert compiled.code == 0, compiled.err
    assert {check["status"] for check in made.report()["checks"]} == {"exact"}
