"""Fine-tuning with a width per output channel and of no bits: codes stay within, zeros stay, the chain is exact."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from codesign.design import Allocation, Dataset, Design, Front, Point
from codesign.engine import decode, encode
from codesign.export.qonnx import Qonnx
from codesign.finetune.qat import Qat
from codesign.fixed import Fixed, quantize
from codesign.load._fx import graph_from_module
from codesign.network import QuantizedNetwork
from codesign.passes import Context
from codesign.starting import Starting
from codesign.store import Store
from codesign.straight_through import Grid, round_weights, truncate
from codesign.target import load_target
from codesign.transpile.hls4ml import Hls4ml
from codesign.verify.exact import Exact
from tests.strategies import channel_format, channel_points, element_formats, spread_values

WIDTHS = {"0.weight": (4, 0, 2, 6, 0, 8), "2.weight": (3, 5, 0, 7)}


def design_of(module: nn.Module, bits: dict[str, int | tuple[int, ...]], *shape: int) -> Design:
    """A random task of three classes, and an allocation; activations have 7 bits."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    graph, _ = graph_from_module(module.eval(), [shape])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, *shape)).astype(np.float32)
    labels = np.digitize(x.reshape(600, -1)[:, :3].sum(1), [-1, 1]).astype(np.int64)
    point = Point(0.0, {}, {**dict.fromkeys(graph.activations(), 7), **bits})
    dataset = Dataset((x,), labels, {"train": (0, 400), "validation": (400, 500), "test": (500, 600)})
    return Design({"graph": graph, "dataset": dataset, "allocation": Allocation(point, 0)})


def perceptron(last: int | tuple[int, ...] = 5) -> Design:
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    return design_of(module, {**WIDTHS, "4.weight": last}, 4)


def convolutional() -> Design:
    module = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3))
    return design_of(module, {**WIDTHS, "5.weight": (0, 4, 6)}, 2, 4, 4)


def tuned(design: Design, folder: Path, epochs: int = 4) -> tuple[Design, Context]:
    """Fine-tuned, read back from the files that the engine keeps."""
    store = Store(folder / "store")
    context = Context(store, folder)
    done = Qat(epochs=epochs, batch=32, learning_rate=0.05)(design, context)
    return decode(encode(done, store), store), context


@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_codes_stay_within_each_channels_width_and_zeros_stay_zero(make, tmp_path: Path) -> None:
    design = make()
    done, context = tuned(design, tmp_path)
    assert done.trained.best_epoch > 0
    assert min(done.trained.epochs) < done.trained.epochs[0]
    start = Starting.of(design, 4096)
    done.quantized.verify()
    for name, widths in WIDTHS.items():
        codes = done.quantized.codes[name]
        fixed, _ = start.format(name, widths)
        before = quantize(design.graph.parameters[name], fixed, "nearest_even").values
        assert done.quantized.formats[name] == fixed
        assert (codes[before == 0] == 0).all()
        assert (codes != before).any()
        for channel, width in enumerate(widths):
            assert codes[channel].min() >= (-(2 ** (width - 1)) if width else 0)
            assert codes[channel].max() <= (2 ** (width - 1) - 1 if width else 0)
            assert width or not done.trained.parameters[name][channel].any()
    done = Exact()(Qonnx()(done, context), context)
    assert [check.status for check in done.checks.values()] == ["exact", "exact", "not_checked"]
    assert done.checks["numpy->qonnx"].inputs == 100


@pytest.mark.parametrize("last", [(0, 4, 6), 0])
def test_exact_as_far_as_cpp(last: int | tuple[int, ...], tmp_path: Path) -> None:
    done, context = tuned(perceptron(last), tmp_path)
    done = done.updated({"target": load_target("vu13p-l1t", tmp_path)})
    done = Exact()(Hls4ml()(Qonnx()(done, context), context), context)
    assert [(check.status, check.mismatches) for check in done.checks.values()] == [("exact", 0)] * 3


def test_a_pruned_channel_gives_its_bias(tmp_path: Path) -> None:
    done, _ = tuned(perceptron(0), tmp_path)
    quantized = done.quantized
    values = quantized.run(quantized.encode(done.dataset.split("test").inputs))
    assert quantized.formats["4.weight"] == Fixed(True, 0, 0)
    assert not quantized.codes["4.weight"].any()
    for tensor, bias, pruned in (("0", "0.bias", [1, 4]), ("2", "2.bias", [2]), ("4", "4.bias", [0, 1, 2])):
        node = next(node for node in quantized.graph.nodes if node.name == tensor)
        inputs = [values[name] for name in node.inputs]
        result = node.op.integer(inputs, quantized.parameters(node)).real()
        fraction = int(quantized.formats[bias].fraction)
        assert (result[:, pruned] == (quantized.codes[bias] * 2.0**-fraction)[pruned]).all()
        assert quantized.codes[bias][pruned].any()


@pytest.mark.parametrize("bits", [0, (0, 0, 0, 0)])
def test_the_bias_of_a_pruned_tensor_is_as_fine_as_what_reads_it(bits: int | tuple[int, ...]) -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    design = design_of(module, {"0.weight": bits, "2.weight": bits if bits == 0 else bits[:3]}, 4)
    start = Starting.of(design, 100)
    formats = {name: start.format(name, width)[0] for name, width in design.allocation.point.bits.items()}
    network = QuantizedNetwork(design.graph, formats)
    read, rounded = (int(formats[name].fraction) for name in design.graph.activations())
    half = rounded + 1
    assert network.bias_rules["0.bias"].fraction == max(half, read)
    assert network.bias_rules["0.bias"].offset == 2.0**-half
    assert network.bias_rules["2.bias"].fraction == rounded
    assert network.freeze(design.graph.parameters).mantissa_bits() <= 24


@given(
    element_formats((3, 2, 2)) | channel_points().filter(bool).map(lambda p: channel_format(p, (3, 2, 2))), st.data()
)
def test_quantizers_agree_with_the_integer_reference(fixed: Fixed, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    values = spread_values(np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))), fixed, (5, 3, 2, 2))
    x = torch.tensor(values, dtype=dtype, requires_grad=True)
    low, high = (
        torch.tensor(np.asarray(end) * np.ldexp(1.0, -np.asarray(fixed.fraction)))
        for end in (fixed.low, np.asarray(fixed.high) + 1)
    )
    for function, rounding in ((round_weights, "nearest_even"), (truncate, "floor")):
        y = function(x, Grid.of(fixed))
        assert y.dtype == dtype
        assert np.array_equal(y.detach().double().numpy(), quantize(values, fixed, rounding).real())
        (gradient,) = torch.autograd.grad(y.sum(), x)
        used = torch.tensor(np.broadcast_to(np.asarray(fixed.width) > 0, (3, 2, 2)).copy())
        inside = (x > low) & (x < high) if function is truncate else torch.ones_like(x, dtype=torch.bool)
        assert torch.equal(gradient[:, used], inside[:, used].to(dtype))


def test_bits_are_kept_in_files(tmp_path: Path) -> None:
    store = Store(tmp_path)
    bits: dict[str, int | tuple[int, ...]] = {"a": (4, 0, 3), "b": 0, "x": 16, "c": (5,)}
    point = Point(0.5, {"bops_campos": 10.0}, bits)
    front = Front("bops_campos", (point,), {4: point}, "t", "milp", False, {})
    design = Design({"front": front, "allocation": Allocation(point, 0)})
    again = decode(encode(design, store), store)
    assert again.allocation.point.bits == again.front.points[0].bits == bits
    assert all(type(again.allocation.point.bits[name]) is type(width) for name, width in bits.items())
