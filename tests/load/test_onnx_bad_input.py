# ruff: noqa: E501  (the cases are a table, one line each)
"""Bad ONNX files: one clear error each, that says where, what was found and what is wanted."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from codesign.errors import InputError
from codesign.load.onnx_files import file
from tests.builds import Outcome, Project, make, run
from tests.load.onnx_nets import QONNX, dense, model, node, plain_mlp, quantized_mlp, read, samples, saved

Make = Callable[[], onnx.ModelProto]


@dataclass(frozen=True)
class Case:
    """One kind of bad file, and regular expressions that the message must match."""

    name: str
    make: Make
    words: tuple[str, ...]


def changed(change: Callable[[onnx.ModelProto], Any], make: Make = plain_mlp) -> Make:
    """A good file with something changed."""

    def made() -> onnx.ModelProto:
        built = make()
        change(built)
        return built

    return made


def changed_bytes(change: Callable[[onnx.ModelProto], Any]) -> Callable[[], bytes]:
    """The content of such a file."""
    return lambda: changed(change)().SerializeToString()


def attribute(index: int, **values: Any) -> Callable[[onnx.ModelProto], None]:
    """A node gets attributes."""
    return lambda built: built.graph.node[index].attribute.extend(
        helper.make_attribute(k, v) for k, v in values.items()
    )


def weight(value: Any, name: str = "w1") -> Callable[[onnx.ModelProto], None]:
    """Another constant."""

    def change(built: onnx.ModelProto) -> None:
        next(item for item in built.graph.initializer if item.name == name).CopyFrom(
            numpy_helper.from_array(np.asarray(value), name)
        )

    return change


def outside(location: str) -> Callable[[onnx.ModelProto], None]:
    """A constant's data is said to be in another file."""

    def change(built: onnx.ModelProto) -> None:
        item = built.graph.initializer[0]
        item.ClearField("raw_data")
        item.data_location = TensorProto.EXTERNAL
        item.external_data.add(key="location", value=location)

    return change


def infinite() -> np.ndarray:
    values = dense()["w1"]
    values[1, 2], values[0, 0] = np.inf, np.nan
    return values


def one(
    op_type: str,
    inputs: str = "x",
    constants: dict[str, np.ndarray] | None = None,
    shape: tuple[Any, ...] = ("n", 4),
    **attributes: Any,
) -> Make:
    """One node alone."""
    return lambda: model([node(op_type, inputs, "y", "it", **attributes)], constants or {}, shape)


def convolution(
    shape: tuple[int, ...] = (2, 1, 3, 3), inputs: tuple[Any, ...] = ("n", 1, 6, 6), **attributes: Any
) -> Make:
    return one("Conv", "x w", {"w": np.ones(shape, "f4")}, inputs, **attributes)


CASES = [
    Case("no nodes", changed(lambda b: b.graph.ClearField("node")), ("no network in it",)),
    Case("no outputs", changed(lambda b: b.graph.ClearField("output")), ("no network in it",)),
    Case("an old opset", lambda: plain_mlp(opset=9), ("opset 9", "13 to", r"version_converter")),
    Case("an opset to come", lambda: plain_mlp(opset=99), ("opset 99", "13 to")),
    Case("functions", changed(lambda b: b.functions.add(name="f", domain="mine")), ("1 functions", "inline")),
    Case("sparse weights", changed(lambda b: b.graph.sparse_initializer.add()), ("sparse", "dense")),
    Case("an unknown operator", changed(lambda b: setattr(b.graph.node[2], "op_type", "Erf")), (r"'dense/Relu' \(Erf\): an unsupported operator", "Conv.*Gemm")),
    Case("a misspelt operator", changed(lambda b: setattr(b.graph.node[2], "op_type", "Rellu")), ("Rellu", "did you mean 'Relu'")),
    Case("an unknown domain", changed(lambda b: setattr(b.graph.node[2], "domain", "com.example")), ("'dense/Relu' \\(Relu\\)", "'com.example'", "standard operators")),
    Case("a control flow", one("If", "x", then_branch=helper.make_graph([], "t", [], [])), ("'it' \\(If\\)", "unsupported")),
    Case("a tensor that is written twice", changed(lambda b: b.graph.node[0].output.__setitem__(0, "h")), ("tensor 'h'", "written twice", "unique")),
    Case("a constant that is written twice", changed(lambda b: b.graph.initializer.add().CopyFrom(b.graph.initializer[0])), ("'w1'", "written twice")),
    Case("a cycle", changed(lambda b: b.graph.node[0].input.__setitem__(0, "h")), ("cycle", "'dense/MatMul'", "'dense/Relu'")),
    Case("a tensor that nothing writes", changed(lambda b: b.graph.node[2].input.__setitem__(0, "ghost")), ("'dense/Relu'", "'ghost'", "nothing writes")),
    Case("an output that nothing writes", changed(lambda b: setattr(b.graph.output[0], "name", "ghost")), ("'ghost'",)),
    Case("an output without inputs", changed(lambda b: b.graph.node[0].input.__setitem__(0, "w3"), lambda: (b := plain_mlp(), b.graph.initializer.append(numpy_helper.from_array(np.ones((1, 4), "f4"), "w3")))[0]), ("MatMul of constants",)),
    Case("two outputs", changed(lambda b: b.graph.output.add(name="h")), ("2 outputs \\(y, h\\)", r"load\.onnx\.output")),
    Case("two inputs", changed(lambda b: b.graph.input.add().CopyFrom(helper.make_tensor_value_info("z", 1, [1, 4]))), ("2 inputs \\(x, z\\)", "wanted: 1")),
    Case("integers in", changed(lambda b: setattr(b.graph.input[0].type.tensor_type, "elem_type", 7)), ("input 'x'", "float")),
    Case("a dynamic shape", lambda: plain_mlp(shape=("batch", "features")), ("input 'x'", r"dynamic shape \[batch, features\]", "only the batch")),
    Case("an open shape", lambda: plain_mlp(shape=("batch", None)), ("input 'x'", r"dynamic shape \[batch, \?\]")),
    Case("no shape", changed(lambda b: b.graph.input[0].type.tensor_type.ClearField("shape")), ("input 'x'", "no shape")),
    Case("another shape than the data's", lambda: plain_mlp(shape=("batch", 5)), (r"\['batch', 4\]", r"\['batch', 5\], by the file")),
    Case("weights that are not finite", changed(weight(infinite())), ("weights 'w1'", "2 of 24 values are NaN or infinite")),
    Case("weights too large for float32", changed(weight(np.full((4, 6), 1e300))), ("weights 'w1'", "24 of 24")),
    Case("weights of zero size", changed(weight(np.zeros((4, 0), "f4"))), ("'w1'", r"shape \[0, 4\]", "at least one element")),
    Case("weights of another shape", changed(weight(np.zeros((5, 6), "f4"))), ("dense/MatMul", "4 features", "5 features, by w1")),
    Case("weights of three axes", changed(weight(np.zeros((2, 4, 6), "f4"))), ("dense/MatMul", r"\[2, 4, 6\]", "2-D")),
    Case("weights cut short", changed(lambda b: setattr(b.graph.initializer[0], "raw_data", b"abc")), ("tensor 'w1'", "damaged", "fit its shape")),
    Case("weights of a size below zero", changed(lambda b: b.graph.initializer[0].dims.__setitem__(0, -4)), ("tensor 'w1'", r"\[-4, 6\]")),
    Case("weights that no memory holds", changed(lambda b: b.graph.initializer[0].dims.__setitem__(0, 2**60)), ("tensor 'w1'", "at most")),
    Case("text for weights", changed(lambda b: b.graph.initializer[0].CopyFrom(helper.make_tensor("w1", TensorProto.STRING, [1], [b"a"]))), ("tensor 'w1'", "damaged")),
    Case("data outside the folder", changed(outside("../other.data")), ("tensor 'w1'", r"'\.\./other\.data'", "in the model's folder")),
    Case("data at an absolute place", changed(outside("/etc/passwd")), ("tensor 'w1'", "'/etc/passwd'", "in the model's folder")),
    Case("data that is not there", changed(outside("gone.data")), ("tensor 'w1'", "'gone.data', which is not there")),
    Case("data without a place", changed(outside("")), ("tensor 'w1'", "''")),
    Case("data in a file that cannot be", changed(outside("a" * 5000)), ("tensor 'w1'", "not there|cannot be read")),
    Case("a matrix on the left", one("MatMul", "w x", {"w": np.ones((3, 4), "f4")}), ("'it' \\(MatMul\\)", "matrix on the right")),
    Case("a window that does not fit", convolution((2, 1, 9, 9)), ("'it'", "room for a window")),
    Case("a stride of zero", convolution(strides=[0, 0]), ("'it' \\(Conv\\)", "strides", "sizes in range")),
    Case("strides of another rank", convolution(strides=[1]), ("'it' \\(Conv\\)", "strides", "2 numbers")),
    Case("groups that don't divide", convolution(group=5), ("'it' \\(Conv\\)", "5 groups")),
    Case("text for an attribute", convolution(group="two"), ("'it' \\(Conv\\)", "damaged|two")),
    Case("pooling that hangs over", one("MaxPool", "x", None, ("n", 1, 6, 6), kernel_shape=[2, 2], ceil_mode=1), ("ceil_mode",)),
    Case("a name of two lines", changed(lambda m: setattr(m.graph.node[0], "name", "fc\nmodule evil;")), (r"'fc\\nmodule evil;'", "one line")),
    Case("a reshape over the batch", one("Reshape", "x s", {"s": np.array([2, 2])}), ("'it' \\(Reshape\\)", r"\[2, 2\]", "batch")),
    Case("a softmax over other axes", one("Softmax", "x", axis=0), ("'it' \\(Softmax\\)", "axis 0")),
    Case("no weights at all", one("Relu"), ("no layer with weights",)),
    # Quantizers.
    Case("a zero point", changed(weight(np.array(3, "f4"), "zero"), quantized_mlp), (r"'w1q\.quant' \(Quant\)", "zero point", "symmetrically")),
    Case("a scale of zero", lambda: quantized_mlp({"sw1": 0}), (r"'w1q\.quant'", "scale", "positive")),
    Case("a scale that is not finite", lambda: quantized_mlp({"sw1": np.nan}), (r"'w1q\.quant'", "scale", "positive")),
    Case("half a bit", changed(weight(np.array(3.5, "f4"), "nw1"), quantized_mlp), (r"'w1q\.quant'", "bit_width", "whole numbers")),
    Case("too many bits", changed(weight(np.array(80, "f4"), "nw1"), quantized_mlp), (r"'w1q\.quant'", "bit_width", "1 to 53")),
    Case("scales that don't fit", lambda: quantized_mlp({"sw1": np.ones(5) / 8}), (r"'w1q\.quant'", r"shape \[5\]", r"\[4, 6\]")),
    Case("an unknown rounding", lambda: quantized_mlp(rounding="STOCHASTIC"), ("rounding_mode 'STOCHASTIC'", "FLOOR")),
    Case("a scale that is computed", changed(lambda b: b.graph.node[6].input.__setitem__(1, "x"), quantized_mlp), (r"'hq\.quant'", "scale, zero point or width that is computed")),
    Case("an activation of one bit", changed(lambda b: b.graph.node[0].CopyFrom(node("BipolarQuant", "x sx", "xq", "sign", QONNX)), quantized_mlp), ("'sign' \\(BipolarQuant\\)", "two levels", "2 bits")),
    Case("minifloats", changed(lambda b: b.graph.node[0].CopyFrom(node("FloatQuant", "x sx", "xq", "mini", QONNX)), quantized_mlp), ("'mini' \\(FloatQuant\\)", "no fixed-point", "use Quant")),
    Case("arithmetic on integers", lambda: model([node("QuantizeLinear", "x s z", "i", "q"), node("Relu", "i", "j", "r"), node("DequantizeLinear", "j s z", "y", "d")], {"s": np.array(1, "f4"), "z": np.array(0, np.int8)}), ("'r' \\(Relu\\)", "computes on integers", "QDQ or QCDQ")),
    Case("two scales for one tensor", lambda: model([node("QuantizeLinear", "x s z", "i", "q"), node("DequantizeLinear", "i t z", "y", "d")], {"s": np.array(1, "f4"), "t": np.array(2, "f4"), "z": np.array(0, np.int8)}), ("'d' \\(DequantizeLinear\\)", "another scale")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_message(case: Case, tmp_path: Path) -> None:
    path = saved(case.make(), tmp_path / "net.onnx")
    shape = tuple(dim.dim_value for dim in case.make().graph.input[0].type.tensor_type.shape.dim[1:])
    given = shape if len(shape) == 3 else (4,)
    with pytest.raises(InputError) as caught:
        read(path, samples(given))
    assert_says(str(caught.value), case.words)


def assert_says(message: str, words: tuple[str, ...]) -> None:
    import re

    for word in words:
        assert re.search(word, message), f"{word!r} is not in: {message}"
    assert "\n" not in message
    assert len(message) < 1500


def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(96))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "net.data").symlink_to("../secret")
    path = saved(changed(outside("net.data"))(), folder / "net.onnx")
    with pytest.raises(InputError, match="in the model's folder"):
        read(path, samples((4,)))


def test_over_two_gigabytes(tmp_path: Path) -> None:
    """The file is not read: it only seems to be that large."""
    path = tmp_path / "net.onnx"
    path.touch()
    os.truncate(path, file.MOST_BYTES + 1)
    with pytest.raises(InputError, match=r"2\.0 GiB; protobuf.*holds no more than 2.*save_as_external_data"):
        read(path, samples((4,)))


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"PK\x03\x04", b"<html>", b"\x08"])
def test_no_onnx_file(content: bytes, tmp_path: Path) -> None:
    """A pickle among them, which is not loaded."""
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"net\.onnx: (not a whole ONNX file|no network in it)"):
        read(path, samples((4,)))


def test_half_a_file(tmp_path: Path) -> None:
    path = saved(plain_mlp(), tmp_path / "net.onnx")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="not a whole ONNX file"):
        read(path, samples((4,)))


# On the command line.


def project(folder: Path, content: bytes | None) -> Project:
    """A build of an ONNX file."""
    made = make(folder)
    if content is not None:
        (folder / "net.onnx").write_bytes(content)
    text = made.file.read_text().partition("[load.torch]")
    made.file.write_text(
        text[0] + '[load.onnx]\nmodel = "net.onnx"\n\n[sensitivity]' + text[2].partition("[sensitivity]")[2]
    )
    return made


def assert_refused(outcome: Outcome, *words: str) -> None:
    assert outcome.code == 2, outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.err.startswith("error: ")
    assert_says(outcome.err.strip(), words)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    assert_refused(project(tmp_path / "p", None).build(), r"net\.onnx", "not there")


def test_a_damaged_file_stops_the_build_before_it_begins(tmp_path: Path) -> None:
    made = project(tmp_path / "p", b"\x80\x04K\x01.")
    before = {path for path in tmp_path.rglob("*") if "out" not in path.parts}
    assert_refused(made.build(), r"net\.onnx", "not a whole ONNX file")
    assert {path for path in tmp_path.rglob("*") if "out" not in path.parts} == before


def test_an_unsupported_operator_stops_the_build(tmp_path: Path) -> None:
    content = changed(lambda b: setattr(b.graph.node[2], "op_type", "Erf"))().SerializeToString()
    assert_refused(
        project(tmp_path / "p", content).build(), r"'dense/Relu' \(Erf\): an unsupported operator", r"load\.onnx"
    )


def test_an_output_that_is_not_there(tmp_path: Path) -> None:
    made = project(tmp_path / "p", plain_mlp().SerializeToString())
    assert_refused(made.build("--set", "load.onnx.output=z"), "no tensor 'z'", "y")


def cyclic(built: onnx.ModelProto) -> None:
    """The first product reads the last sum."""
    built.graph.node[0].input[0] = "y"


def twice(built: onnx.ModelProto) -> None:
    """A tensor is written by two nodes."""
    built.graph.node.append(built.graph.node[0])


#: What ``codesign build`` and ``codesign check`` both refuse: the file, what is said, and check's exit code: 2 where it
#: can't be read, 1 where it can and is found to stop a build.
REFUSED: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "truncated": (lambda: plain_mlp().SerializeToString()[:200], "not a whole ONNX file", 2),
    "malformed": (lambda: b"\x80\x04K\x01.", "not a whole ONNX file", 2),
    "outside": (changed_bytes(outside("../secret")), "a file in the model's folder", 1),
    "cyclic": (changed_bytes(cyclic), "a cycle through", 1),
    "duplicate": (changed_bytes(twice), "'p1': written twice", 2),
    "domain": (changed_bytes(lambda b: setattr(b.graph.node[2], "domain", "com.other")), "domain 'com.other'", 1),
    "zero-sized": (changed_bytes(weight(np.zeros((4, 0), "f4"))), "shape .*0", 1),
    "opset": (changed_bytes(lambda b: setattr(b.opset_import[0], "version", 9)), "opset 9; wanted: 13 to", 2),
}


@pytest.mark.parametrize("name", REFUSED)
def test_build_and_check_refuse(name: str, tmp_path: Path) -> None:
    """In one message, and nothing is written beside the build directory."""
    content, words, code = REFUSED[name]
    assert_refuses(project(tmp_path / "p", content()), words, code)


def test_build_and_check_refuse_what_is_too_large(tmp_path: Path) -> None:
    made = project(tmp_path / "p", b"")
    os.truncate(made.folder / "net.onnx", file.MOST_BYTES + 1)
    assert_refuses(made, "GiB; protobuf", 2)


def assert_refuses(made: Project, words: str, code: int) -> None:
    def beside() -> set[Path]:
        return {path for path in made.folder.parent.rglob("*") if made.out not in (path, *path.parents)}

    before = beside()
    assert_refused(made.build(), words)
    checked = run("check", str(made.folder / "net.onnx"), "--json")
    assert checked.code == code, checked.err
    if code == 2:
        assert_refused(checked, words)
    else:
        (stop,) = [item for item in json.loads(checked.out) if item["effect"] == "stops"]
        assert_says("; ".join(stop[key] for key in ("where", "found", "needed")), (words,))
    assert beside() == before


@pytest.mark.parametrize("size", [1, 7])
def test_a_batch_of_fixed_size(size: int, tmp_path: Path) -> None:
    """Stands for any: it is no bad input, and check says what is done."""
    made = project(tmp_path / "p", plain_mlp(shape=(size, 4)).SerializeToString())
    built = made.build("--until", "load")
    assert built.code == 0, built.err
    checked = run("check", str(made.folder / "net.onnx"), "--json")
    assert checked.code == 0
    assert any(item["found"] == f"batch size {size}" and item["effect"] == "note" for item in json.loads(checked.out))


def test_a_file_beside_a_torch_network(tmp_path: Path) -> None:
    """Which of the two is meant can't be known: what to do is said."""
    made = make(tmp_path / "p")
    words = (
        "load.onnx is not in flow 'qonnx'",
        r"options of load.torch.* out of .*build\.toml",
        "--flow: given, given-qonnx",
    )
    assert_refused(made.build("--set", "load.onnx.model=net.onnx"), *words)


def test_an_option_of_a_pass_that_is_not_there(tmp_path: Path) -> None:
    assert_refused(make(tmp_path / "p").build("--set", "verify.anomaly.bound=0"), "--also verify.anomaly")


def test_a_build_of_an_onnx_file(tmp_path: Path) -> None:
    """The file takes the place of the flow's torch network, as the build file names it."""
    made = project(tmp_path / "p", plain_mlp().SerializeToString())
    assert made.build().code == 0
    assert "load.onnx" in made.ran()
    assert "load.torch" not in made.ran()
    assert [layer["name"] for layer in made.report()["layers"]] == ["dense/MatMul", "dense_1/MatMul"]
    assert run("show", str(made.out)).code == 0
