"""Quantizers of ONNX files: read as they are there, moved to powers of two, and back and forth without a change."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codesign.allocate._given import formats_given
from codesign.design import Design
from codesign.errors import InputError
from codesign.export.writers.qonnx import Writer
from codesign.fixed import Fixed
from codesign.given import ROUNDINGS, Quantizer
from codesign.load.onnx_files.file import OnnxFile
from codesign.load.onnx_files.reference import reference_outputs
from codesign.load.onnx_files.settle import Settled
from codesign.network import QuantizedNetwork
from codesign.ops.affine import Affine
from codesign.ops.dyadic import Dyadic
from codesign.quantized import Quantized
from codesign.torch_forward import float_forward, to_tensors
from tests.load.onnx_nets import QONNX, dense, model, node, quant, quantized_mlp, read, samples, saved
from tests.networks import STAGES, Plan, build_network, plans

FILES = Path(__file__).parent / "onnx_files"
BREVITAS = ("brevitas_qonnx", "brevitas_fixed_point", "brevitas_qcdq", "brevitas_conv", "brevitas_binary")


def formats_of(network: Settled, **bits: int) -> dict[str, Fixed]:
    """Of all weights and activations."""
    return formats_given(Design({"graph": network.graph, "given": network.quantizers}), bits).known


def frozen(network: Settled) -> Quantized:
    """The integers, without training."""
    return QuantizedNetwork(network.graph, formats_of(network)).freeze(network.graph.parameters)


@given(
    values=st.lists(st.floats(-40, 40, width=32), min_size=1, max_size=8),
    scale=st.sampled_from([0.25, 0.3, 1.0, 2.0]),
    width=st.integers(2, 8),
    signed=st.booleans(),
    narrow=st.booleans(),
    rounding=st.sampled_from(sorted(ROUNDINGS)),
)
def test_a_quantizer_does_what_qonnx_does(
    values: list[float], scale: float, width: int, signed: bool, narrow: bool, rounding: str
) -> None:
    from qonnx.custom_op.general.intquant import int_quant

    own = Quantizer("", np.array(scale), np.array(width), signed, narrow, rounding)
    x, zero = np.array(values), np.zeros(())
    wanted = int_quant(x, np.array(scale), zero, np.array(width), signed, narrow, rounding)
    np.testing.assert_array_equal(own.applied(x), wanted)


@pytest.mark.parametrize("name", BREVITAS)
def test_brevitas(name: str) -> None:
    """With the file's own quantizers, the tool's outputs to the last bit; names are the modules' paths."""
    numbers = np.load(FILES / f"{name}.npz")
    network = read(FILES / f"{name}.onnx", numbers["x"])
    with torch.no_grad():
        values = float_forward(network.marked, to_tensors(network.marked.parameters), [torch.tensor(numbers["x"])])
    np.testing.assert_array_equal(values[network.marked.outputs[0]].numpy(), numbers["y"])
    wanted = ["conv", "relu", "pool", "view", "fc"] if name == "brevitas_conv" else ["fc1", "relu1", "fc2"]
    assert [n.name for n in network.graph.nodes] == wanted
    formats = formats_of(network)
    assert int(np.max(formats["x"].width)) == 8
    assert {name: int(np.max(formats[name].width)) for name in formats if name.endswith(".weight")} == {
        "brevitas_conv": {"conv.weight": 4, "fc.weight": 4},
        "brevitas_binary": {"fc1.weight": 2, "fc2.weight": 4},
    }.get(name, {"fc1.weight": 4, "fc2.weight": 5})


def test_folding_batch_norm_scales_the_steps_of_weights() -> None:
    """Each channel's codes stay as they were: the width of 4 bits is kept."""
    numbers = np.load(FILES / "brevitas_conv.npz")
    network = read(FILES / "brevitas_conv.onnx", numbers["x"])
    quantizer, weight = network.quantizers["conv.weight"], network.graph.parameters["conv.weight"]
    assert quantizer.scale.shape == (4, 1, 1, 1)
    np.testing.assert_allclose(weight / quantizer.scale, np.rint(weight / quantizer.scale), atol=1e-4)


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR"])
def test_power_of_two_scales_give_the_integers_of_the_file(rounding: str, tmp_path: Path) -> None:
    """Off ties: the file rounds those to even, hardware up. The input is on its grid already."""
    x = np.round(samples((4,), 200) * 16) / 16
    network = read(saved(quantized_mlp(rounding=rounding), tmp_path / "net.onnx"), x)
    assert network.notices == ()
    quantized = frozen(network)
    with torch.no_grad():
        values = float_forward(network.marked, to_tensors(network.marked.parameters), [torch.tensor(x)])
    wanted = values[network.marked.outputs[0]].double().numpy()
    differs = (quantized.outputs([x])[0].real() != wanted).any(1)
    assert differs.mean() <= (0.1 if rounding == "ROUND" else 0)


def test_scales_are_moved_to_the_nearest_power_of_two(tmp_path: Path) -> None:
    x = samples((4,))
    network = read(saved(quantized_mlp({"sw1": 0.11, "sh": 0.3}), tmp_path / "net.onnx"), x)
    found = formats_given(Design({"graph": network.graph, "given": network.quantizers}), {})
    assert found.known["w1"] == Fixed(True, 5, 2)
    assert found.known["relu"] == Fixed(False, 5, 3)
    assert found.notices == (
        "relu: a scale 0.3 moved to the power of two 0.25",
        "w1: a scale 0.11 moved to the power of two 0.125",
    )


def test_scales_per_channel(tmp_path: Path) -> None:
    scales = np.array([[0.5, 0.25, 0.25, 0.125, 0.5, 0.25]])
    network = read(saved(quantized_mlp({"sw1": scales}), tmp_path / "net.onnx"), samples((4,)))
    fixed = formats_of(network)["w1"]
    np.testing.assert_array_equal(fixed.fraction, [[1], [2], [2], [3], [1], [2]])
    assert fixed.width == 5


def test_an_activation_with_scales_per_channel_gets_one_format(tmp_path: Path) -> None:
    scales = np.array([[0.5, 0.25, 0.25, 0.125, 0.5, 0.25]])
    network = read(saved(quantized_mlp({"sh": scales}), tmp_path / "net.onnx"), samples((4,)))
    found = formats_given(Design({"graph": network.graph, "given": network.quantizers}), {})
    assert found.known["relu"] == Fixed(False, 7, 4)
    assert any("one format for all channels" in notice for notice in found.notices)


def test_tensors_without_a_quantizer_need_bits(tmp_path: Path) -> None:
    built = quantized_mlp()
    for item in built.graph.node:
        item.input[:] = ["h" if name == "hq" else name for name in item.input]
    network = read(saved(built, tmp_path / "net.onnx"), samples((4,)))
    with pytest.raises(InputError, match=r"no quantizer for 'relu' in the file.*allocate\.given\.bits"):
        formats_of(network)
    design = Design({"graph": network.graph, "given": network.quantizers})
    assert formats_given(design, {"relu": 6}).missing == {"relu": 6}
    with pytest.raises(InputError, match="no weight or activation 'rleu'"):
        formats_given(design, {"relu": 6, "rleu": 6})


def test_max_pooling_and_relu_keep_the_grid(tmp_path: Path) -> None:
    """What is behind them holds values of the quantized tensor before them; without a sign behind ReLU."""
    constants = {"w": np.ones((2, 1, 3, 3), "f4") / 4, "v": np.ones((8, 3), "f4"), "zero": np.zeros((), "f4")}
    constants |= {"s": np.array(0.25, "f4"), "n": np.array(6, "f4")}
    nodes = [
        quant("x", "xq", "s", "n"),
        quant("w", "wq", "s", "n"),
        node("Conv", "xq wq", "c", "conv", kernel_shape=[3, 3]),
        quant("c", "cq", "s", "n"),
        node("Relu", "cq", "r", "relu"),
        node("MaxPool", "r", "m", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "m", "f", "flatten"),
        quant("v", "vq", "s", "n"),
        node("MatMul", "f vq", "y", "fc"),
    ]
    network = read(saved(model(nodes, constants, ("n", 1, 6, 6)), tmp_path / "net.onnx"), samples((1, 6, 6)))
    assert formats_of(network)["conv"] == Fixed(True, 6, 4)
    assert formats_of(network)["pool"] == Fixed(False, 5, 3)


def linear(source: str, output: str, scale: str, zero: str, clip: bool = False, **options: Any) -> list[Any]:
    """QuantizeLinear, maybe Clip, DequantizeLinear."""
    middle = [node("Clip", f"{output}.i low high", f"{output}.c")] if clip else []
    return [
        node("QuantizeLinear", f"{source} {scale} {zero}", f"{output}.i", **options),
        *middle,
        node("DequantizeLinear", f"{output}.{'c' if clip else 'i'} {scale} {zero}", output, **options),
    ]


def test_quantize_and_dequantize(tmp_path: Path) -> None:
    """QDQ with 8 bits, QCDQ with fewer, weights as integers, a scale per channel."""
    numbers = dense()
    constants = {
        "s": np.array(0.0625, "f4"), "i8": np.zeros((), np.int8), "u8": np.zeros((), np.uint8),
        "low": np.array(-8, np.int8), "high": np.array(7, np.int8), "w1": numbers["w1"],
        "w2": np.clip(np.rint(numbers["w2"] * 8), -128, 127).astype(np.int8),
        "scales": np.array([0.125, 0.25, 0.125], "f4"), "zeros": np.zeros(3, np.int8),
    }  # fmt: skip
    nodes = [
        *linear("x", "xq", "s", "i8"),
        *linear("w1", "w1q", "s", "i8", clip=True),
        node("MatMul", "xq w1q", "p1", "fc1"),
        node("Relu", "p1", "h", "relu"),
        *linear("h", "hq", "s", "u8"),
        node("DequantizeLinear", "w2 scales zeros", "w2q", axis=1),
        node("MatMul", "hq w2q", "y", "fc2"),
    ]
    formats = formats_of(read(saved(model(nodes, constants), tmp_path / "net.onnx"), samples((4,))))
    assert formats["x"] == Fixed(True, 8, 4)
    assert formats["w1"] == Fixed(True, 4, 0)
    assert formats["relu"] == Fixed(False, 8, 4)
    np.testing.assert_array_equal(formats["w2"].integer, [[5], [6], [5]])


def truncating(inputs: str, rounding: str = "ROUND", **extra: float) -> onnx.ModelProto:
    """The network with a Trunc behind the quantizer of ``h``."""
    built = quantized_mlp(rounding=rounding)
    numbers = {name: np.array(value, "f4") for name, value in extra.items()}
    built.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in numbers.items())
    place = next(
        index for index, item in enumerate(built.graph.node) if item.op_type == "MatMul" and "hq" in item.input
    )
    built.graph.node[place].input[0] = "ht"
    options = {"signed": 0, "narrow": 0} if "out_scale" in extra else {}
    built.graph.node.insert(place, node("Trunc", inputs, "ht", "trunc", QONNX, rounding_mode="FLOOR", **options))
    return built


def test_truncation_with_an_output_scale_rounds_down(tmp_path: Path) -> None:
    built = truncating("hq sh zero nh out_scale out_bits", out_scale=0.5, out_bits=4)
    network = read(saved(built, tmp_path / "net.onnx"), samples((4,)))
    assert formats_of(network)["relu"] == Fixed(False, 4, 3)
    assert network.quantizers["relu"].rounding == "FLOOR"
    assert network.notices == ("relu: quantized twice; node 'hq.quant' (Quant) is left out",)


@pytest.mark.parametrize("bits", [3, 4, 5, 6])
def test_truncation_without_an_output_scale_divides(bits: int, tmp_path: Path) -> None:
    """As qonnx's older Trunc: the numbers get smaller by the bits that are cut, the scale stays; the same integers."""
    built = truncating("hq sh zero nh out_bits", "FLOOR", out_bits=bits)
    x = np.round(samples((4,), 200) * 16) / 16
    file = OnnxFile(tmp_path / "net.onnx", built)
    network = read(saved(built, file.path), x)
    formats = formats_of(network)
    assert formats["relu"] == Fixed(False, 5, 3)
    if bits != 5:
        assert next(node.op for node in network.graph.nodes if node.name == "trunc") == Affine(Dyadic(1, 5 - bits))
        assert formats["trunc"] == Fixed(False, bits, bits - 2)
    np.testing.assert_array_equal(frozen(network).outputs([x])[0].real(), reference_outputs(file, "y", [x]))


@pytest.mark.parametrize(
    ("change", "words"), [({"before": 99}, "99.* bits cut to .*4"), ({"out_bits": 77}, "bit_width")]
)
def test_truncation_of_odd_widths(change: dict[str, int], words: str, tmp_path: Path) -> None:
    built = truncating("hq sh zero before out_bits", **{"before": 5, "out_bits": 4, **change})
    with pytest.raises(InputError, match=rf"'trunc' \(Trunc\).*{words}"):
        read(saved(built, tmp_path / "net.onnx"), samples((4,)))


def test_a_tensor_that_is_also_read_before_its_quantizer(tmp_path: Path) -> None:
    built = quantized_mlp()
    last = built.graph.node[-1]
    last.input[1] = "skip"
    numbers = {"w3": np.ones((6, 3), "f4")}
    built.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in numbers.items())
    built.graph.node.insert(len(built.graph.node) - 1, quant("w3", "w3q", "sw2", "nw2"))
    built.graph.node.insert(len(built.graph.node) - 1, node("MatMul", "h w3q", "skip", "skip"))
    network = read(saved(built, tmp_path / "net.onnx"), samples((4,)))
    assert "relu: read by skip before its quantizer in the file, here after it" in network.notices


def test_a_quantizer_behind_what_only_moves(tmp_path: Path) -> None:
    """The format is that of the tensor whose elements are moved."""
    built = quantized_mlp()
    index = next(index for index, each in enumerate(built.graph.node) if each.name == "relu")
    built.graph.node[index].output[0] = "plain"
    built.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 2, 3]), "sizes"))
    built.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 6]), "flat"))
    built.graph.node.insert(index + 1, node("Reshape", "plain sizes", "h", "reshape"))
    built.graph.node.insert(index + 3, node("Reshape", "hq flat", "hf", "flatten"))
    next(each for each in built.graph.node if each.name == "fc2").input[0] = "hf"
    network = read(saved(built, tmp_path / "net.onnx"), samples((4,)))
    assert formats_of(network)["relu"] == Fixed(False, 5, 3)
    assert "reshape" not in network.quantizers
    assert network.notices == ()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans())
def test_our_own_files_come_back_the_same(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert_comes_back(plan, tmp_path_factory.mktemp("net"))


@pytest.mark.parametrize("end", ["flatten", "mean", "sum"])
@pytest.mark.parametrize("stage", STAGES)
def test_our_own_files_with_every_operation_come_back_the_same(stage: str, end: str, tmp_path: Path) -> None:
    """The stages have every operation: the page of operations is made of them."""
    bits = ((5, 1),), ((6, 2),)
    assert_comes_back(
        Plan(1 + (end == "mean"), (stage,), end, (end != "mean",) * 3, *bits, Fixed(True, 6, 2), 4), tmp_path
    )


def assert_comes_back(plan: Plan, folder: Path) -> None:
    """Graph, bits, integers of a network, by way of its file."""
    network = build_network(plan)
    before, x = network.quantized, network.inputs(20)
    found = read(saved(Writer(before).write(), folder / "net.onnx"), x)
    after = frozen(found)
    assert (after.graph.inputs, after.graph.nodes, after.graph.outputs) == (
        before.graph.inputs,
        before.graph.nodes,
        before.graph.outputs,
    )
    assert after.formats.keys() == before.formats.keys()
    for name, fixed in before.formats.items():
        assert_same_format(after.formats[name], fixed, before.codes[name].shape if name in before.codes else ())
    for name, codes in before.codes.items():
        np.testing.assert_array_equal(after.codes[name], codes)
    for one, other in zip(after.outputs([x]), before.outputs([x]), strict=True):
        np.testing.assert_array_equal(one.real(), other.real())


def assert_same_format(one: Fixed, other: Fixed, shape: tuple[int, ...]) -> None:
    """The same for every element; where there are no bits, there is no binary point."""
    widths = [np.broadcast_to(fixed.width, shape) for fixed in (one, other)]
    integers = [
        np.broadcast_to(fixed.integer, shape)[width > 0] for fixed, width in zip((one, other), widths, strict=True)
    ]
    assert one.signed == other.signed
    np.testing.assert_array_equal(*widths)
    np.testing.assert_array_equal(*integers)
