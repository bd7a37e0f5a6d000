"""Convolutions: float, integers, ranges, gradients, costs, and what is refused."""

from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.load._fx import graph_from_module
from codesign.ops.conv import Conv
from codesign.ops.linear import Linear
from codesign.ops.op import Work
from tests.load.test_fx import assert_converts
from tests.ops.cases import (
    Layer,
    assert_pulls_back,
    assert_same_values,
    assert_squares,
    assert_tight,
    convolutions,
    random_codes,
    random_interval,
    read,
    squares_by_autograd,
)


def parameter_codes(layer: Layer, generator: np.random.Generator, per_channel: bool = False) -> dict[str, Codes]:
    """Random codes of the parameters, one fraction each or one per output channel."""
    found: dict[str, Codes] = {}
    for role, value in layer.parameters().items():
        shape = (len(value), *[1] * (value.dim() - 1))
        fraction = generator.integers(-2, 7, shape) if per_channel else None
        found[role] = random_codes(generator, tuple(value.shape), fraction, 40)
    return found


def by_torch(layer: Layer, x: torch.Tensor, parameters: dict[str, Codes]) -> torch.Tensor:
    """Torch's own convolution in float64, exact on small integers, with the module's options."""
    module, values = layer.module, {role: torch.from_numpy(codes.real()) for role, codes in parameters.items()}
    function = functional.conv1d if x.dim() == 3 else functional.conv2d
    options = (module.stride, module.padding, module.dilation, module.groups)
    return function(x, values["weight"], values.get("bias"), *options)


@given(convolutions())
def test_forward_is_the_modules(layer: Layer) -> None:
    x = layer.inputs()
    found = layer.op.forward([x], layer.parameters())
    torch.testing.assert_close(found, layer.module(x))
    parameters = {
        name: value.numpy()
        for name, value in zip(layer.op.parameters().values(), layer.parameters().values(), strict=True)
    }
    assert layer.op.shape("conv", [layer.shape], parameters) == tuple(found.shape[1:])


@given(convolutions())
def test_integers_are_exact(layer: Layer) -> None:
    generator = np.random.default_rng(layer.seed)
    for per_channel in (False, True):
        x, parameters = random_codes(generator, (3, *layer.shape)), parameter_codes(layer, generator, per_channel)
        found = layer.op.integer([x], parameters)
        assert found.values.dtype == np.int64
        assert_same_values(found, by_torch(layer, torch.from_numpy(x.real()), parameters))


def test_integers_are_exact_where_floats_are_not() -> None:
    layer = read(nn.Conv1d(2, 1, 2), (2, 3))
    x = Codes(np.full((1, 2, 3), 2**30 + 1), 0)
    weight = Codes(np.array([[[2**29 + 1, 1], [1, 1]]]), 4)
    found = layer.op.integer([x], {"weight": weight})
    wanted = (2**30 + 1) * (2**29 + 4)
    assert float(wanted) != wanted
    assert found.values.tolist() == [[[wanted, wanted]]]
    assert found.fraction == 4


@given(convolutions())
def test_intervals_enclose_what_comes_out(layer: Layer) -> None:
    generator = np.random.default_rng(layer.seed)
    x, parameters = random_interval(generator, layer.shape), parameter_codes(layer, generator)
    found = layer.op.interval([x], parameters)
    drawn = Codes(generator.integers(x.low, x.high + 1, (50, *layer.shape)), x.fraction)
    values = layer.op.integer([drawn], parameters).real()
    assert (values >= Codes(found.low, found.fraction).real()).all()
    assert (values <= Codes(found.high, found.fraction).real()).all()


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv1d(2, 3, 2), (2, 4)),
        (nn.Conv1d(1, 2, 3, stride=2, padding=2, dilation=2), (1, 8)),
        (nn.Conv2d(1, 2, (2, 3), padding=1), (1, 3, 3)),
        (nn.Conv2d(2, 4, 2, groups=2, bias=False), (2, 2, 2)),
    ],
)
def test_intervals_are_tight(module: nn.Module, shape: tuple[int, ...]) -> None:
    layer = read(module, shape)
    for seed in range(5):
        generator = np.random.default_rng(seed)
        assert_tight(layer.op, [random_interval(generator, shape)], parameter_codes(layer, generator, seed > 2))


@given(convolutions())
def test_magnitude_bounds_sums_in_any_order(layer: Layer) -> None:
    generator = np.random.default_rng(layer.seed)
    x, parameters = random_interval(generator, layer.shape), parameter_codes(layer, generator)
    largest = torch.from_numpy(Codes(np.maximum(abs(x.low), abs(x.high)), x.fraction).real())
    absolute = {role: Codes(abs(codes.values), codes.fraction) for role, codes in parameters.items()}
    wanted = by_torch(layer, largest[None], absolute).max()
    fraction = layer.op.interval([x], parameters).fraction
    assert layer.op.magnitude([x], parameters) == float(wanted) * 2.0**fraction


def test_magnitude_of_huge_numbers_does_not_wrap() -> None:
    layer = read(nn.Conv1d(1, 1, 1), (1, 1))
    x = Interval(np.full((1, 1), -(2**45)), np.full((1, 1), 2**45), 0)
    parameters = {"weight": Codes(np.full((1, 1, 1), 2**30), 0), "bias": Codes(np.ones(1, np.int64), 40)}
    assert layer.op.magnitude([x], parameters) == pytest.approx(2.0**115)


@given(convolutions())
def test_gradients_are_autograds(layer: Layer) -> None:
    x, parameters = layer.inputs(), layer.parameters()
    assert_pulls_back(layer.op, [x], parameters)
    output = layer.module(x)
    shape = (len(output), 2, *output.shape[1:])
    g = torch.randn(shape, generator=torch.Generator().manual_seed(3)).double()
    wanted = squares_by_autograd(lambda x, leaves: layer.op.forward([x], leaves), x, parameters, g)
    for detail in ("tensor", "channel", "element"):
        assert_squares(layer.op.squared_gradients([x], g, detail), wanted, detail)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.integers(1, 3), st.booleans())
def test_gradients_of_linear_layers_are_autograds(sizes: list[int], outputs: int, bias: bool) -> None:
    module = nn.Linear(sizes[-1], outputs, bias=bias).double()
    layer = Layer(module, Linear("weight", "bias" if bias else None), tuple(sizes[1:]), seed=0)
    x, parameters = layer.inputs(), layer.parameters()
    assert_pulls_back(layer.op, [x], parameters)
    g = torch.randn((len(x), 2, *layer.module(x).shape[1:]), generator=torch.Generator().manual_seed(3)).double()
    wanted = squares_by_autograd(lambda x, leaves: layer.op.forward([x], leaves), x, parameters, g)
    for detail in ("tensor", "channel", "element"):
        assert_squares(layer.op.squared_gradients([x], g, detail), wanted, detail)


def test_work_is_one_product_per_weight_and_position() -> None:
    layer = read(nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2), (4, 7, 8))
    output = tuple(layer.module(torch.zeros(1, *layer.shape)).shape[1:])
    assert layer.op.work([layer.shape], output) == Work(prod(output) * 12, 12)


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv1d(2, 3, 5, padding="same"),
        nn.Conv2d(2, 3, (3, 2), dilation=(1, 2), padding="same"),
        nn.Conv1d(2, 3, 4, padding="valid"),
    ],
)
def test_padding_in_words(module: nn.Module) -> None:
    shape = (2, 9) if isinstance(module, nn.Conv1d) else (2, 9, 8)
    layer = read(module.double(), shape)
    x = layer.inputs()
    torch.testing.assert_close(layer.op.forward([x], layer.parameters()), layer.module(x))


def test_padding_as_much_before_as_after_only() -> None:
    with pytest.raises(InputError, match=r"layer '1': padding 'same' with a kernel of \[4\].*odd kernel"):
        read(nn.Conv1d(2, 3, 4, padding="same"), (2, 9))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_with_zeros_only(mode: str) -> None:
    with pytest.raises(InputError, match=rf"layer '1': padding_mode '{mode}'; wanted: 'zeros'"):
        read(nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode), (2, 5, 5))
    assert isinstance(read(nn.Conv2d(2, 3, 3, padding_mode=mode), (2, 5, 5)).op, Conv)  # there is nothing to pad


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (
            nn.Conv2d(1, 2, 3),
            (28, 28),
            r"shape \[28, 28\]; wanted: \[1, height, width\], channels first; give the data",
        ),
        (nn.Conv1d(3, 2, 3), (9,), r"shape \[9\]; wanted: \[3, positions\], channels first"),
        (nn.Conv2d(3, 2, 3), (28, 28, 3), r"shape \[28, 28, 3\]; wanted: \[3, height, width\], channels first"),
        (nn.Conv1d(3, 2, 5), (3, 4), r"shape \[3, 4\]; wanted: room for a window of \[5\]"),
        (nn.Conv2d(3, 2, 2, dilation=4), (3, 5, 4), r"shape \[3, 5, 4\]; wanted: room for a window of \[2, 2\]"),
    ],
)
def test_shapes_that_do_not_fit(module: nn.Module, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=f"layer '0': input of {message}"):
        graph_from_module(module, [shape])


def test_a_shared_convolution_has_one_weight() -> None:
    shared = nn.Conv1d(2, 2, 3)
    graph, _ = assert_converts(nn.Sequential(shared, nn.ReLU(), shared), (2, 9))
    assert graph.weights() == ["0.weight"]


@pytest.mark.parametrize("module", [nn.Conv3d(1, 1, 2), nn.ConvTranspose1d(1, 1, 2)])
def test_other_convolutions_are_named(module: nn.Module) -> None:
    with pytest.raises(InputError, match=f"unsupported operation nn.{type(module).__name__}"):
        graph_from_module(module, [(1, 4, 4, 4)])
