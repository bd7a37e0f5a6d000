"""ONNX files for the tests: exported by torch, or put together node by node."""

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from codesign.design import Dataset
from codesign.load._onnx import network_from_file
from codesign.load.onnx_files.file import OnnxFile
from codesign.load.onnx_files.settle import Settled
from codesign.ops.op import Shape
from codesign.ops.softmax import Tables

QONNX = "qonnx.custom_op.general"


def dataset(*inputs: np.ndarray) -> Dataset:
    """Inputs ``[samples, ...]`` as data, all of one class."""
    count = len(inputs[0])
    rows = {"train": (0, count), "validation": (0, count), "test": (0, count)}
    return Dataset(tuple(np.asarray(x, np.float32) for x in inputs), np.zeros(count, np.int64), rows)  # type: ignore[arg-type]


def samples(shape: Shape, count: int = 32, seed: int = 1) -> np.ndarray:
    """Normal numbers ``[count, *shape]``."""
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def exported(module: nn.Module, shape: Shape, path: Path, dynamo: bool = False, **options: Any) -> Path:
    """A module's file, its batch fixed to 1 unless options say otherwise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (torch.zeros(1, *shape),), str(path), dynamo=dynamo, verbose=False, **options)
    return path


def read(path: Path, x: np.ndarray, output: str = "", softmax: Tables = "none") -> Settled:
    """The network of a file for data ``[samples, ...]``."""
    return network_from_file(OnnxFile.read(path), dataset(x), output, softmax)


def model(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray],
    shape: Sequence[int | str | None] = ("batch", 4),
    output: str = "y",
    opset: int = 17,
    **options: Any,
) -> onnx.ModelProto:
    """A model with input ``x`` and one output."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(QONNX, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, **options)


def node(op_type: str, inputs: str, output: str, name: str = "", domain: str = "", **attributes: Any) -> onnx.NodeProto:
    """A node; names of its inputs parted by blanks, ``-`` for one that is not given."""
    names = ["" if item == "-" else item for item in inputs.split()]
    return helper.make_node(op_type, names, [output], name=name, domain=domain, **attributes)


def quant(source: str, output: str, scale: str, width: str, **attributes: Any) -> onnx.NodeProto:
    """A QONNX quantizer; its scale and width are constants of these names, its zero point is ``zero``."""
    options = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
    return node("Quant", f"{source} {scale} zero {width}", output, f"{output}.quant", QONNX, **options)


def saved(built: onnx.ModelProto, path: Path) -> Path:
    """Write a model."""
    path.write_bytes(built.SerializeToString())
    return path


def dense(seed: int = 0, sizes: Sequence[int] = (4, 6, 3)) -> dict[str, np.ndarray]:
    """Weights ``[inputs, outputs]`` and biases of dense layers: ``w1``, ``b1``, ``w2``, and so on."""
    random, found = np.random.default_rng(seed), {}
    for index, (inputs, outputs) in enumerate(pairwise(sizes), 1):
        found[f"w{index}"] = random.normal(size=(inputs, outputs)).astype(np.float32)
        found[f"b{index}"] = random.normal(size=outputs).astype(np.float32)
    return found


def plain_mlp(**options: Any) -> onnx.ModelProto:
    """Two dense layers, as tf2onnx writes them."""
    nodes = [
        node("MatMul", "x w1", "p1", "dense/MatMul"),
        node("Add", "p1 b1", "s1", "dense/BiasAdd"),
        node("Relu", "s1", "h", "dense/Relu"),
        node("MatMul", "h w2", "p2", "dense_1/MatMul"),
        node("Add", "p2 b2", "y", "dense_1/BiasAdd"),
    ]
    return model(nodes, dense(), **options)


def quantized_mlp(scales: Mapping[str, Any] | None = None, rounding: str = "ROUND", **options: Any) -> onnx.ModelProto:
    """Two dense layers with quantizers on everything; scales are powers of two unless given by name."""
    known: dict[str, Any] = {"sx": 2**-4, "sw1": 2**-3, "sb1": 2**-7, "sh": 2**-2, "sw2": 2**-2, "sb2": 2**-4}
    bits = {"nx": 8, "nw1": 5, "nb1": 12, "nh": 5, "nw2": 4, "nb2": 12}
    constants = {**known, **(scales or {}), **bits, "zero": 0}
    numbers = {name: np.asarray(value, np.float32) for name, value in constants.items()}
    nodes = [
        quant("x", "xq", "sx", "nx", rounding_mode=rounding),
        quant("w1", "w1q", "sw1", "nw1"),
        quant("b1", "b1q", "sb1", "nb1"),
        node("MatMul", "xq w1q", "p1", "fc1"),
        node("Add", "p1 b1q", "s1", "fc1_add"),
        node("Relu", "s1", "h", "relu"),
        quant("h", "hq", "sh", "nh", signed=0, rounding_mode=rounding),
        quant("w2", "w2q", "sw2", "nw2"),
        quant("b2", "b2q", "sb2", "nb2"),
        node("MatMul", "hq w2q", "p2", "fc2"),
        node("Add", "p2 b2q", "y", "fc2_add"),
    ]
    return model(nodes, {**dense(), **numbers}, **options)
