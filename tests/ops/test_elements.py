"""Operations element by element, on axes and on shapes: forms, integers, ranges, gradients, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.interval import Interval
from codesign.load._fx import graph_from_module
from codesign.ops.add import Add, Sub
from codesign.ops.affine import Affine
from codesign.ops.clip import Clip
from codesign.ops.concat import Concat
from codesign.ops.flatten import Flatten, Reshape
from codesign.ops.leakyrelu import LeakyRelu
from codesign.ops.mul import Mul
from codesign.ops.op import Op
from codesign.ops.pad import Pad
from codesign.ops.reduce import Max, Mean, Sum
from codesign.ops.relu import Relu
from codesign.ops.table import FRACTION, Table, thresholds
from codesign.ops.transpose import Transpose
from codesign.ops.upsample import Upsample
from tests.load.test_fx import assert_converts
from tests.networks import STAGES, Plan, build_network
from tests.ops.cases import assert_pulls_back, assert_same_values, assert_tight, random_codes, random_interval

Function = Callable[..., Tensor]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("rank", [1, 2])
def test_no_samples_at_all(stage: str, rank: int) -> None:
    """A batch of none is one like any other."""
    plan = Plan(rank, (stage,), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    quantized = build_network(plan).quantized
    shapes = quantized.graph.shapes()
    values = quantized.run(quantized.encode([np.zeros((0, *shape)) for shape in quantized.graph.inputs.values()]))
    assert {name: codes.values.shape for name, codes in values.items()} == {name: (0, *shapes[name]) for name in values}


class After(nn.Module):
    """A convolution over 2 channels and 4 x 6 positions, then a function."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(2, 2, 1), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


SHAPE = (2, 4, 6)
#: Calls in all their forms, and the operation that they are read as.
FORMS: list[tuple[Function, type[Op]]] = [
    (nn.LeakyReLU(0.25), LeakyRelu),
    (lambda x: functional.leaky_relu(x, 0.5), LeakyRelu),
    (lambda x: functional.leaky_relu(x, negative_slope=0.125, inplace=True), LeakyRelu),
    (nn.LeakyReLU(0.0), Relu),
    (nn.ReLU6(), Clip),
    (functional.relu6, Clip),
    (nn.Hardtanh(), Clip),
    (nn.Hardtanh(-0.5, 2), Clip),
    (functional.hardtanh, Clip),
    (lambda x: functional.hardtanh(x, -2, 2.5), Clip),
    (lambda x: x.clamp(-1, 1), Clip),
    (lambda x: x.clamp(min=0.25), Clip),
    (lambda x: x.clip(max=3), Clip),
    (lambda x: torch.clamp(x, 0, 0.5), Clip),
    (lambda x: x.clamp_(max=0.5), Clip),
    (lambda x: torch.clamp_min(x, -0.75), Clip),
    (lambda x: -x, Affine),
    (torch.neg, Affine),
    (lambda x: x / 4, Affine),
    (lambda x: torch.div(x, 2), Affine),
    (lambda x: x * 0.75, Affine),
    (lambda x: 3 * x, Affine),
    (lambda x: x + 1.5, Affine),
    (lambda x: x - 1, Affine),
    (lambda x: 1 - x, Affine),
    (lambda x: torch.rsub(x, 2), Affine),
    (lambda x: x - x, Sub),
    (lambda x: x.sub(x.relu()), Sub),
    (lambda x: x * x, Mul),
    (lambda x: torch.mul(x, x.relu()), Mul),
    (lambda x: x + x.mean(-1, keepdim=True), Add),
    (lambda x: torch.cat([x, x], 1), Concat),
    (lambda x: torch.cat((x, -x), dim=-1), Concat),
    (lambda x: torch.concat([x, x.relu(), x], 2), Concat),
    (lambda x: x.sum(1), Sum),
    (lambda x: torch.sum(x, (-1, 2), keepdim=True), Sum),
    (lambda x: x.mean((1, 2)), Mean),
    (nn.Sigmoid(), Table),
    (torch.sigmoid, Table),
    (functional.sigmoid, Table),
    (lambda x: x.sigmoid(), Table),
    (nn.Tanh(), Table),
    (torch.tanh, Table),
    (lambda x: x.tanh(), Table),
    (lambda x: x.flatten(1), Flatten),
    (lambda x: x.flatten(2), Reshape),
    (nn.Flatten(1, 2), Reshape),
    (lambda x: x.view(x.shape[0], 4, 12), Reshape),
    (lambda x: x.reshape(-1, 3, 16), Reshape),
    (lambda x: x.view(x.size(0), x.size(2), -1), Reshape),
    (nn.Unflatten(1, (1, 2)), Reshape),
    (lambda x: x.unflatten(-1, (2, 3)), Reshape),
    (lambda x: x.unsqueeze(1), Reshape),
    (lambda x: x.sum(1, keepdim=True).squeeze(1), Sum),
    (lambda x: x.transpose(1, 2), Transpose),
    (lambda x: torch.swapaxes(x, -1, 1), Transpose),
    (lambda x: x.permute(0, 3, 1, 2), Transpose),
    (lambda x: torch.permute(x, (0, 2, 3, 1)), Transpose),
    (lambda x: x.mT, Transpose),
    (nn.ZeroPad2d((1, 2, 0, 3)), Pad),
    (nn.ConstantPad2d(1, 0.0), Pad),
    (lambda x: functional.pad(x, (0, 1)), Pad),
    (lambda x: functional.pad(x, (1, 0, 2, 0, 0, 1)), Pad),
    (nn.Upsample(scale_factor=2), Upsample),
    (nn.UpsamplingNearest2d(size=(8, 12)), Upsample),
    (lambda x: functional.interpolate(x, scale_factor=(1, 3), mode="nearest"), Upsample),
]


@pytest.mark.parametrize(("function", "kind"), FORMS)
def test_forms(function: Function, kind: type[Op]) -> None:
    graph, _ = assert_converts(After(function), SHAPE, atol=2.0**-12)
    assert kind in {type(node.op) for node in graph.nodes}
    for node in graph.nodes[1:]:
        check(node.op, [graph.shapes()[name] for name in node.inputs])


def check(op: Op, shapes: list[tuple[int, ...]]) -> None:
    """Integers are what torch computes, ranges hold them and their ends, gradients are autograd's."""
    generator = np.random.default_rng(len(shapes))
    codes = [random_codes(generator, (3, *shape), largest=60) for shape in shapes]
    found = op.integer(codes, {})
    assert_same_values(found, op.forward([torch.from_numpy(x.real()) for x in codes], {}))
    assert found.values.shape[1:] == op.shape("it", shapes, {})
    ranges = [Interval(x.values.min(0), x.values.max(0), int(np.max(x.fraction))) for x in codes]
    out = op.interval(ranges, {})
    assert (out.low <= found.align(out.fraction).values).all()
    assert (out.high >= found.align(out.fraction).values).all()
    assert op.magnitude(ranges, {}) >= max(-out.low.min(), out.high.max())
    if not op.signed([bool(x.values.min() < 0) for x in codes]):
        assert found.values.min() >= 0
    random = torch.Generator().manual_seed(3)
    assert_pulls_back(op, [torch.randn(2, *shape, generator=random).double() for shape in shapes], {})


TABLES = [Table(function) for function in FRACTION]
MONOTONE = [LeakyRelu(2), *TABLES, Relu(), Sum((0,)), Mean((1,)), Max((0,)), Max((1,), keepdim=True)]


@given(st.sampled_from(MONOTONE), st.integers(0, 2**32))
def test_intervals_are_tight(op: Op, seed: int) -> None:
    assert_tight(op, [random_interval(np.random.default_rng(seed), (2, 2))], {})


SMOOTH: list[tuple[Any, Function]] = [
    ("sigmoid", torch.sigmoid),
    ("tanh", torch.tanh),
    ("decay", lambda x: (-x).exp().clamp(max=1)),
    ("reciprocal", lambda x: 1 / x.clamp(min=0.5)),
]


@pytest.mark.parametrize(("function", "smooth"), SMOOTH)
def test_tables_are_the_functions_rounded(function: Any, smooth: Function) -> None:
    """By half a step; inputs that are no code of few bits are rounded by up to 2**-20 first."""
    x, bits = torch.linspace(-12, 12, 4001, dtype=torch.float64), FRACTION[function]
    for kind in (torch.float32, torch.float64):
        found = Table(function).forward([x.to(kind)], {})
        assert (found.double() - smooth(x)).abs().max() <= 2.0 ** -(bits + 1) * 1.001 + 2.0**-18
        assert (found * 2**bits == (found * 2**bits).round()).all()


@pytest.mark.parametrize("function", FRACTION)
def test_float32_has_the_inputs_at_which_tables_change(function: Any) -> None:
    """Comparing in float32, in float64 and in numpy gives the same: right at an edge, and one float below."""
    edges = thresholds(function)
    assert (np.diff(edges) > 0).all()
    np.testing.assert_array_equal(edges.astype(np.float32), edges)
    around = np.stack([edges, np.nextafter(edges.astype(np.float32), np.float32(-np.inf))])
    table = Table(function)
    wanted = table._look_up(around).real()
    for kind in (torch.float32, torch.float64):
        np.testing.assert_array_equal(table.forward([torch.tensor(around).to(kind)], {}).double().numpy(), wanted)


def test_a_table_has_limits() -> None:
    wide = Interval(np.array([-(2**17)]), np.array([2**17]), 10)
    with pytest.raises(InputError, match="table of tanh: an input of 19 bits; wanted: at most 16"):
        Table("tanh").interval([wide], {})


REFUSED: list[tuple[Function, str]] = [
    (nn.LeakyReLU(0.01), r"layer 'function': negative_slope 0.01; wanted: .* such as 0.0078125"),
    (nn.LeakyReLU(-0.5), "negative_slope -0.5"),
    (nn.Hardtanh(-0.1, 1), "a limit at -0.1; wanted: a number of at most 12 bits, such as -0.1"),
    (lambda x: x.clamp(2, 1), "limits 2.0 to 1.0"),
    (lambda x: x / 3, "a tensor divided by 3, that is times 0.333"),
    (lambda x: x / x, "a division by a tensor"),
    (lambda x: x.sum(), r"a sum over axes \[\]"),
    (lambda x: x.sum(0), "axis 0, the batch"),
    (lambda x: torch.cat([x, x]), "axis 0, the batch"),
    (lambda x: torch.cat([x, x.flatten(2)], 1), r"tensors of shapes \[2, 4, 6\], \[2, 24\]"),
    (lambda x: x * x.cumsum(1), "unsupported operation Tensor.cumsum"),
    (lambda x: x.permute(1, 0, 2, 3), r"axes in the order \[1, 0, 2, 3\]"),
    (lambda x: x.transpose(0, 1), "axis 0, the batch"),
    (lambda x: x.squeeze(), "squeeze of all axes"),
    (lambda x: x.unsqueeze(0), "a new axis 0"),
    (lambda x: functional.pad(x, (1, 1), "reflect"), "padding with mode 'reflect'"),
    (lambda x: functional.pad(x, (1, 1), value=2.0), "value 2.0; wanted: zeros"),
    (lambda x: functional.pad(x, (-1, 0)), r"padding of \[-1, 0\]"),
    (nn.Upsample(scale_factor=1.5), "upsampling by"),
    (nn.Upsample(scale_factor=2, mode="bilinear"), "mode 'bilinear'; wanted: 'nearest'"),
]


@pytest.mark.parametrize(("function", "message"), REFUSED)
def test_what_is_refused(function: Function, message: str) -> None:
    with pytest.raises(InputError, match=message):
        graph_from_module(After(function), [SHAPE])
