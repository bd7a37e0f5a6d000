"""From ONNX files of floats to graphs: the outputs of the tool that wrote them, and its names."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from onnx import TensorProto
from torch import nn

from codesign.errors import InputError
from codesign.graph import Graph
from codesign.load._fx import graph_from_module
from codesign.load.onnx_files.settle import Settled
from codesign.ops.affine import Affine
from codesign.ops.clip import Clip
from codesign.ops.dyadic import Dyadic, Dyadics
from codesign.ops.flatten import Reshape
from codesign.ops.floor import Floor
from codesign.ops.leakyrelu import LeakyRelu
from codesign.ops.lookup import Lookup
from codesign.ops.op import Op
from codesign.ops.pad import Pad
from codesign.ops.reduce import Mean, Sum
from codesign.ops.select import Select
from codesign.ops.table import Table
from codesign.ops.transpose import Transpose
from codesign.ops.upsample import Upsample
from codesign.torch_forward import float_forward, to_tensors
from tests.load.onnx_nets import dense, exported, model, node, plain_mlp, read, samples, saved
from tests.load.test_fx import MODULES, moving_statistics
from tests.networks import Plan, module_of, plans

FILES = Path(__file__).parent / "onnx_files"


def logits(network: Settled, x: np.ndarray) -> np.ndarray:
    """Outputs of the network ``[samples, classes]``."""
    return outputs_of(network.graph, x)


def outputs_of(graph: Graph, x: np.ndarray) -> np.ndarray:
    """Outputs of a graph ``[samples, classes]``."""
    with torch.no_grad():
        values = float_forward(graph, to_tensors(graph.parameters), [torch.tensor(x)])
    return values[graph.outputs[0]].numpy()


def assert_same(network: Settled, module: nn.Module, x: np.ndarray) -> None:
    """The graph computes what the module does."""
    with torch.no_grad():
        wanted = module.eval()(torch.tensor(x)).numpy()
    np.testing.assert_allclose(logits(network, x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODULES)
def test_torchscript_exporter(name: str, tmp_path: Path) -> None:
    module, x = moving_statistics(MODULES[name]()), samples((6,))
    network = read(exported(module, (6,), tmp_path / "net.onnx"), x)
    assert_same(network, module, x)
    traced, _ = graph_from_module(module, [(6,)])
    assert [n.name for n in network.graph.nodes] == [n.name for n in traced.nodes], "names are the modules' paths"


@pytest.mark.parametrize("name", ["relu between", "norm after", "norm before", "nested"])
def test_dynamo_exporter(name: str, tmp_path: Path) -> None:
    module, x = moving_statistics(MODULES[name]()), samples((6,))
    network = read(exported(module, (6,), tmp_path / "net.onnx", dynamo=True), x)
    assert_same(network, module, x)
    traced, _ = graph_from_module(module, [(6,)])
    assert [n.name for n in network.graph.nodes] == [n.name for n in traced.nodes]
    assert set(network.graph.parameters) == set(traced.parameters)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans())
def test_random_convolutional_networks(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> None:
    torch.manual_seed(plan.seed % 2**31)
    module, shape = module_of(plan)
    x = samples(shape, 8)
    path = exported(moving_statistics(module), shape, tmp_path_factory.mktemp("net") / "net.onnx")
    network = read(path, x, softmax="inside")
    traced, _ = graph_from_module(module, [shape], "inside")
    wanted = outputs_of(traced, x)
    tables = any(node.op.kind == "table" for node in traced.nodes)  # the other side of an edge is 2**-12 away
    np.testing.assert_allclose(outputs_of(network.graph, x), wanted, rtol=1e-4, atol=1e-2 if tables else 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["strided", "depthwise", "maxpool", "avgpool", "residual"])
def test_dynamo_exporter_of_convolutions(stage: str, tmp_path: Path) -> None:
    from codesign.fixed import Fixed

    module, shape = module_of(Plan(2, (stage, "conv"), "flatten", (True,) * 3, (), (), Fixed(True, 8, 1), 0))
    x = samples(shape, 8)
    assert_same(read(exported(module, shape, tmp_path / "net.onnx", dynamo=True), x), module, x)


def test_a_batch_axis_with_a_name(tmp_path: Path) -> None:
    module, x = nn.Sequential(nn.Linear(6, 3)), samples((6,))
    path = exported(module, (6,), tmp_path / "net.onnx", input_names=["x"], dynamic_axes={"x": {0: "n"}})
    assert_same(read(path, x), module, x)


def test_scikit_learn() -> None:
    """By skl2onnx: the class is another output; Softmax goes."""
    numbers = np.load(FILES / "sklearn_mlp.npz")
    network = read(FILES / "sklearn_mlp.onnx", numbers["x"], "probabilities")
    found = torch.tensor(logits(network, numbers["x"])).softmax(-1).numpy()
    np.testing.assert_allclose(found, numbers["y"], atol=1e-6)
    assert [n.name for n in network.graph.nodes] == ["MatMul", "Relu", "MatMul1", "Relu1", "MatMul2"]
    assert list(network.graph.parameters)[:2] == ["coefficient", "intercepts"]
    assert any("softmax taken off" in notice for notice in network.notices)


def test_probabilities_of_tables() -> None:
    """The softmax at the end too, where it is wanted: by skl2onnx, from scikit-learn's own numbers."""
    numbers = np.load(FILES / "sklearn_mlp.npz")
    network = read(FILES / "sklearn_mlp.onnx", numbers["x"], "probabilities", softmax="all")
    np.testing.assert_allclose(logits(network, numbers["x"]), numbers["y"], atol=1e-4)


def test_keras() -> None:
    """By tf2onnx from Keras itself: transposes around what is channels first, uneven padding."""
    numbers = np.load(FILES / "keras_cnn.npz")
    network = read(FILES / "keras_cnn.onnx", numbers["x"])
    found = torch.tensor(logits(network, numbers["x"])).softmax(-1).numpy()
    np.testing.assert_allclose(found, numbers["y"], atol=1e-5)
    assert any("softmax taken off" in notice for notice in network.notices)


def test_keras_dense(tmp_path: Path) -> None:
    """By tf2onnx: products and sums, named after layers."""
    x, numbers = samples((4,)), dense()
    network = read(saved(plain_mlp(), tmp_path / "net.onnx"), x)
    wanted = np.maximum(x @ numbers["w1"] + numbers["b1"], 0) @ numbers["w2"] + numbers["b2"]
    np.testing.assert_allclose(logits(network, x), wanted, rtol=1e-5)
    assert [n.name for n in network.graph.nodes] == ["dense/MatMul", "dense/Relu", "dense_1/MatMul"]
    assert list(network.graph.parameters) == ["w1", "b1", "w2", "b2"]


def test_keras_convolution(tmp_path: Path) -> None:
    """By tf2onnx --inputs-as-nchw: batch norm is a product and a sum."""
    random = np.random.default_rng(0)
    constants = {
        "w": random.normal(size=(2, 1, 3, 3)).astype("f4"),
        "scale": random.normal(size=(1, 2, 1, 1)).astype("f4"),
        "shift": random.normal(size=(1, 2, 1, 1)).astype("f4"),
        "mean_axes": np.array([2, 3]),
        "w2": random.normal(size=(2, 3)).astype("f4"),
    }
    nodes = [
        node("Conv", "x w", "c", "conv", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Mul", "c scale", "m", "norm/mul"),
        node("Add", "m shift", "a", "norm/add"),
        node("Relu", "a", "r", "relu"),
        node("ReduceMean", "r mean_axes", "g", "mean", keepdims=0),
        node("MatMul", "g w2", "y", "dense"),
    ]
    x = samples((1, 6, 6))
    network = read(saved(model(nodes, constants, ("n", 1, 6, 6), opset=18), tmp_path / "net.onnx"), x)
    assert [n.name for n in network.graph.nodes] == ["conv", "relu", "mean", "dense"]


def test_keras_convolution_with_channels_last(tmp_path: Path) -> None:
    """By tf2onnx as it comes: transposed to channels first and back around each layer that needs it."""
    random = np.random.default_rng(0)
    constants = {
        "w": random.normal(size=(2, 3, 3, 3)).astype("f4"),
        "b": random.normal(size=2).astype("f4"),
        "w2": random.normal(size=(18, 3)).astype("f4"),
        "b2": random.normal(size=3).astype("f4"),
        "shape": np.array([-1, 18]),
    }
    nodes = [
        node("Transpose", "x", "first", "conv/to_first", perm=[0, 3, 1, 2]),
        node("Conv", "first w b", "c", "conv", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("Relu", "c", "r", "relu"),
        node("MaxPool", "r", "p", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", "p", "last", "conv/to_last", perm=[0, 2, 3, 1]),
        node("Reshape", "last shape", "f", "flatten"),
        node("MatMul", "f w2", "m", "dense"),
        node("Add", "m b2", "y", "dense/bias"),
    ]
    path, x = saved(model(nodes, constants, ("n", 6, 6, 3)), tmp_path / "net.onnx"), samples((6, 6, 3))
    network = read(path, x)
    with torch.no_grad():
        weights = {name: torch.tensor(value) for name, value in constants.items()}
        found = nn.functional.conv2d(torch.tensor(x).permute(0, 3, 1, 2), weights["w"], weights["b"], padding=1).relu()
        flat = nn.functional.max_pool2d(found, 2).permute(0, 2, 3, 1).flatten(1)
        wanted = (flat @ weights["w2"] + weights["b2"]).numpy()
    np.testing.assert_allclose(logits(network, x), wanted, rtol=1e-4, atol=1e-5)
    kinds = [each.op.kind for each in network.graph.nodes]
    assert kinds == ["transpose", "conv", "relu", "maxpool", "transpose", "flatten", "linear"]


@pytest.mark.parametrize("options", [{"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}, {"pads": [0, 1, 1, 0]}])
def test_padding_on_one_side(options: dict[str, Any], tmp_path: Path) -> None:
    """As Keras pads where it strides: zeros before the convolution; reading compares with onnxruntime."""
    random = np.random.default_rng(0)
    constants = {"w": random.normal(size=(2, 2, 3, 3)).astype("f4"), "w2": random.normal(size=(18, 3)).astype("f4")}
    nodes = [
        node("Conv", "x w", "c", "conv", strides=[2, 2], **options),
        node("Flatten", "c", "f", "flat"),
        node("MatMul", "f w2", "y", "dense"),
    ]
    x = samples((2, 6, 6))
    network = read(saved(model(nodes, constants, ("n", 2, 6, 6)), tmp_path / "net.onnx"), x)
    assert [each.name for each in network.graph.nodes] == ["conv.pad", "conv", "flat", "dense"]


#: Pooling, and what it becomes; every way of padding that Keras and others have.
POOLING: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "count": (
        "AveragePool",
        {"pads": [0, 1, 1, 0], "kernel_shape": [2, 3], "count_include_pad": 1},
        ["pad", "avgpool"],
    ),
    "same": ("AveragePool", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}, ["pad", "avgpool", "affine"]),
    "same, lower": ("AveragePool", {"kernel_shape": [3, 2], "auto_pad": "SAME_LOWER"}, ["pad", "avgpool", "affine"]),
    "thirds": ("AveragePool", {"kernel_shape": [3, 3], "pads": [1] * 4, "strides": [2, 2]}, ["avgpool", "affine"]),
    "strides": (
        "AveragePool",
        {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER", "strides": [2, 3]},
        ["pad", "avgpool", "affine"],
    ),
    "no padding": ("AveragePool", {"kernel_shape": [2, 2], "auto_pad": "VALID"}, ["avgpool"]),
    "largest": ("MaxPool", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}, ["pad", "maxpool"]),
}


@pytest.mark.parametrize("name", POOLING)
def test_padding_of_pooling(name: str, tmp_path: Path) -> None:
    """Zeros before it, and a factor for each position where they don't count; reading compares with onnxruntime."""
    kind, options, wanted = POOLING[name]
    constants = {"w": np.ones((2, 2, 1, 1), "f4") * 0.7}
    nodes = [
        node("Conv", "x w", "c", "conv"),
        node("Relu", "c", "r", "relu"),
        node(kind, "r", "p", "pool", **options),
        node("ReduceMean", "p", "y", "mean", axes=[2, 3], keepdims=0),
    ]
    network = read(saved(model(nodes, constants, ("n", 2, 5, 7), opset=13), tmp_path / "net.onnx"), samples((2, 5, 7)))
    assert [each.op.kind for each in network.graph.nodes][2:-1] == wanted


#: What the padding of pooling can't be made of: the message.
NO_POOLING: list[tuple[str, dict[str, Any], str]] = [
    (
        "AveragePool",
        {"kernel_shape": [5, 1], "pads": [2, 0, 2, 0]},
        "pooling over 5 elements with padding that",
    ),
    ("MaxPool", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}, "padding of .* wanted: both the same"),
]


@pytest.mark.parametrize(("kind", "options", "words"), NO_POOLING)
def test_padding_of_pooling_that_is_refused(kind: str, options: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Fifths take too many bits; a maximum of negative numbers is none of zeros."""
    nodes = [
        node("Conv", "x w", "c", "conv"),
        node(kind, "c", "p", "pool", **options),
        node("ReduceMean", "p", "y", "mean", axes=[2, 3], keepdims=0),
    ]
    path = saved(model(nodes, {"w": np.ones((2, 2, 1, 1), "f4")}, ("n", 2, 5, 7), opset=13), tmp_path / "net.onnx")
    with pytest.raises(InputError, match=words):
        read(path, samples((2, 5, 7)))


#: One operator between a convolution to [4, 8] and a dense layer: its options, its constants, what it is here.
OPERATORS: dict[str, tuple[str, dict[str, Any], dict[str, Any], Op]] = {
    "clip": ("Clip", {}, {"low": -0.5, "high": 1.25}, Clip(Dyadic(-1, 1), Dyadic(5, 2))),
    "no lower limit": ("Clip", {}, {"low": -np.inf, "high": 1.25}, Clip(None, Dyadic(5, 2))),
    "max": ("Max", {}, {"low": -0.5}, Clip(Dyadic(-1, 1), None)),
    "min": ("Min", {}, {"high": [[0.5]]}, Clip(None, Dyadic(1, 1))),
    "leaky": ("LeakyRelu", {"alpha": 0.125}, {}, LeakyRelu(3)),
    "sigmoid": ("Sigmoid", {}, {}, Table("sigmoid")),
    "tanh": ("Tanh", {}, {}, Table("tanh")),
    "negative": ("Neg", {}, {}, Affine(Dyadic(-1, 0))),
    "quotient": ("Div", {}, {"by": 4.0}, Affine(Dyadic(1, 2))),
    "product": ("Mul", {}, {"by": 0.75}, Affine(Dyadic(3, 2))),
    "difference": ("Sub", {}, {"by": 0.75}, Affine(offset=Dyadic(-3, 2))),
    "pads": ("Pad", {}, {"pads": [0, 0, 1, 0, 0, 2]}, Pad((0, 1), (0, 2))),
    "sum": ("ReduceSum", {"keepdims": 1}, {"axes": [-1]}, Sum((1,), keepdim=True)),
    "mean": ("ReduceMean", {"keepdims": 0, "axes": [1]}, {}, Mean((0,))),
    "pooled": ("GlobalAveragePool", {}, {}, Mean((1,), keepdim=True)),
    "transposed": ("Transpose", {"perm": [0, 2, 1]}, {}, Transpose((1, 0))),
    "reshaped": ("Reshape", {}, {"shape": [0, 2, -1]}, Reshape((2, 16))),
    "part": ("Slice", {}, {"s": [-3], "e": [2**62], "a": [-1], "by": [2]}, Select(((0, 4, 1), (5, 8, 2)), (4, 2))),
    "parts": ("Slice", {}, {"s": [0, 1], "e": [2**63 - 1, 3]}, Select(((1, 3, 1), (0, 8, 1)), (2, 8))),
    "element": ("Gather", {"axis": 2}, {"at": -1}, Select(((0, 4, 1), (7, 8, 1)), (4,))),
    "elements": ("Gather", {"axis": 1}, {"at": [1, -1]}, Select(((1, 4, 2), (0, 8, 1)), (2, 8))),
    "floor": ("Floor", {}, {}, Floor()),
    "whole": ("Cast", {"to": TensorProto.INT64}, {}, Floor(towards_zero=True)),
    "limits": ("Min", {}, {"high": [[0.5], [1], [2], [0.25]]}, Clip(None, Dyadics((2, 4, 8, 1), 2, (4, 1)))),
    "new axis": ("Unsqueeze", {}, {"axes": [1, -1]}, Reshape((1, 4, 8, 1))),
    "repeated": (
        "Resize",
        {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"},
        {"-": None, "scales": [1.0, 1.0, 3.0]},
        Upsample((3,)),
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator(name: str, tmp_path: Path) -> None:
    """What it becomes; reading compares what it computes with onnxruntime."""
    kind, options, constants, wanted = OPERATORS[name]
    x, size = samples((2, 8)), prod(wanted.shape("it", [(4, 8)], {}))
    first, last = np.linspace(-1, 1, 8, dtype="f4"), np.linspace(-1, 1, size * 3, dtype="f4")
    ends = {"w": first.reshape(4, 2, 1), "w2": last.reshape(size, 3)}
    numbers = {key: np.asarray(value) for key, value in constants.items() if value is not None}
    numbers = {key: value.astype("f4") if value.dtype.kind == "f" else value for key, value in numbers.items()}
    nodes = [
        node("Conv", "x w", "c", "conv"),
        node(kind, " ".join(["c", *constants]), "it", "it", **options),
        node("Cast", "it", "real", "real", to=TensorProto.FLOAT),
        node("Flatten", "real", "f", "flat"),
        node("MatMul", "f w2", "y", "dense"),
    ]
    network = read(saved(model(nodes, {**ends, **numbers}, ("n", 2, 8)), tmp_path / "net.onnx"), x)
    assert next(each.op for each in network.graph.nodes if each.name == "it") == wanted


@pytest.mark.parametrize("beside_a_layer", [True, False])
def test_factors_per_channel(beside_a_layer: bool, tmp_path: Path) -> None:
    """Folded into a layer beside them; where none is, and few bits hold them, they are an operation."""
    numbers = {"w": np.ones((4, 2, 1), "f4") / 2, "by": np.array([[0.5], [1], [2], [-3]], "f4")}
    numbers["v"] = dense()["w1"][:, :3]
    nodes = [
        node("Conv", "x w", "c", "conv"),
        node("Relu", "c", "r", "relu"),
        node("Mul", "c by" if beside_a_layer else "r by", "m", "factors"),
        node("GlobalAveragePool", "m", "g", "mean"),
        node("Flatten", "g", "f", "flat"),
        node("MatMul", "f v", "y", "dense"),
    ]
    x = samples((2, 8))
    network = read(saved(model(nodes, numbers, ("n", 2, 8)), tmp_path / "net.onnx"), x)
    found = {each.name: each.op for each in network.graph.nodes}
    if beside_a_layer:
        assert "factors" not in found
    else:
        assert found["factors"] == Affine(Dyadics((1, 2, 4, -6), 1, (4, 1)))
    assert set(network.graph.parameters) == {"w", "v", *(["conv.bias"] if beside_a_layer else [])}


def test_a_table_of_the_file(tmp_path: Path) -> None:
    """Whole numbers look up; the conversion before it is an operation of its own."""
    numbers = {"w": np.ones((4, 2), "f4"), "table": np.array([0.5, -1, 2, 0.25], "f4"), "v": np.ones((2, 3), "f4")}
    numbers |= {"low": np.array(0, "f4"), "high": np.array(3, "f4")}
    nodes = [
        node("MatMul", "x w", "p", "fc"),
        node("Clip", "p low high", "c", "clip"),
        node("Cast", "c", "i", "whole", to=TensorProto.INT64),
        node("Gather", "table i", "t", "look"),
        node("MatMul", "t v", "y", "dense"),
    ]
    network = read(saved(model(nodes, numbers), tmp_path / "net.onnx"), samples((4,)))
    found = {each.name: each.op for each in network.graph.nodes}
    assert (found["whole"], found["look"]) == (Floor(towards_zero=True), Lookup((2, -4, 8, 1), 2))


def test_weights_in_a_file_beside_it(tmp_path: Path) -> None:
    path, x = tmp_path / "net.onnx", samples((4,))
    onnx.save(plain_mlp(), str(path), save_as_external_data=True, location="net.data", size_threshold=0)
    assert (tmp_path / "net.data").is_file()
    numbers = dense()
    wanted = np.maximum(x @ numbers["w1"] + numbers["b1"], 0) @ numbers["w2"] + numbers["b2"]
    np.testing.assert_allclose(logits(read(path, x), x), wanted, rtol=1e-5)


def test_nodes_in_another_order(tmp_path: Path) -> None:
    built, x = plain_mlp(), samples((4,))
    nodes = list(built.graph.node)
    del built.graph.node[:]
    built.graph.node.extend(reversed(nodes))
    network = read(saved(built, tmp_path / "net.onnx"), x)
    assert [n.name for n in network.graph.nodes] == ["dense/MatMul", "dense/Relu", "dense_1/MatMul"]


def test_parts_that_nothing_needs_are_left_out(tmp_path: Path) -> None:
    built = plain_mlp()
    built.graph.node.append(node("Erf", "h", "other", "unknown"))
    x = samples((4,))
    assert len(read(saved(built, tmp_path / "net.onnx"), x).graph.nodes) == 3
