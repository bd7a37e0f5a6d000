"""What the tests of operations draw and compare: layers, codes, gradients by autograd, ends by trying all corners."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.load._fx import graph_from_module
from codesign.ops.op import Op, Shape, SquaredGradients
from tests import strategies

strategies.settings.load_profile("codesign")


@dataclass(frozen=True)
class Layer:
    """A module, what it is read as, the shape of its input, and a seed for numbers."""

    module: nn.Module
    op: Op
    shape: Shape
    seed: int

    def parameters(self) -> dict[str, Tensor]:
        """By role, float64."""
        state = self.module.state_dict()
        return {role: state[name.rpartition(".")[2]].double() for role, name in self.op.parameters().items()}

    def inputs(self, count: int = 3) -> Tensor:
        """``[count, *shape]`` float64."""
        return torch.randn(count, *self.shape, generator=torch.Generator().manual_seed(self.seed)).double()


def read(module: nn.Module, shape: Shape, seed: int = 0) -> Layer:
    """A layer as the loader reads it; the convolution before it is there because a network needs weights."""
    rank = len(shape) - 1
    first = (nn.Conv1d if rank == 1 else nn.Conv2d)(shape[0], shape[0], 1)
    graph, _ = graph_from_module(nn.Sequential(first, module), [shape])
    return Layer(module, graph.nodes[1].op, shape, seed)


@st.composite
def windows(draw: st.DrawFn, rank: int, dilated: bool = True, half: bool = False) -> tuple[dict[str, Shape], Shape]:
    """Options of a sliding window, and axes that it fits on; ``half``: padding of at most half the kernel."""

    def sizes(low: int, high: int) -> Shape:
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    kernel, stride, dilation = sizes(1, 4), sizes(1, 3), sizes(1, 3) if dilated else (1,) * rank
    padding = tuple(draw(st.integers(0, size // 2 if half else 3)) for size in kernel)
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    axes = tuple(max(span - 2 * pad, 1) + extra for span, pad, extra in zip(spans, padding, sizes(0, 4), strict=True))
    options = {"kernel_size": kernel, "stride": stride, "padding": padding}
    return options | ({"dilation": dilation} if dilated else {}), axes


@st.composite
def convolutions(draw: st.DrawFn) -> Layer:
    """Random convolutions of one or two axes."""
    rank, groups, inputs, outputs = (draw(st.integers(1, high)) for high in (2, 3, 3, 3))
    options, axes = draw(windows(rank))
    seed = draw(st.integers(0, 2**32))
    torch.manual_seed(seed)
    make = nn.Conv1d if rank == 1 else nn.Conv2d
    module = make(groups * inputs, groups * outputs, groups=groups, bias=draw(st.booleans()), **options)
    return read(module.double(), (groups * inputs, *axes), seed)


def random_codes(generator: np.random.Generator, shape: Shape, fraction: object = None, largest: int = 200) -> Codes:
    """Codes around zero at a random or a given fraction."""
    chosen = int(generator.integers(-3, 9)) if fraction is None else fraction
    return Codes(generator.integers(-largest, largest + 1, shape), chosen)


def random_interval(generator: np.random.Generator, shape: Shape) -> Interval:
    """Ends around zero, on one side of it too."""
    ends = np.sort(generator.integers(-9, 10, (2, *shape)), axis=0)
    return Interval(ends[0], ends[1], int(generator.integers(-2, 6)))


def corner_ends(op: Op, x: list[Interval], parameters: Mapping[str, Codes]) -> tuple[Codes, Codes]:
    """The smallest and largest outputs over all corners of the inputs."""
    sizes = [item.low.size for item in x]
    picks = np.array(list(product([False, True], repeat=sum(sizes))))
    corners: list[Codes] = []
    for item, part in zip(x, np.split(picks, np.cumsum(sizes)[:-1], axis=1), strict=True):
        chosen = np.where(part.reshape(-1, *item.low.shape), item.high, item.low)
        corners.append(Codes(chosen, item.fraction))
    found = op.integer(corners, parameters).align()
    return Codes(found.values.min(0), found.fraction), Codes(found.values.max(0), found.fraction)


def assert_tight(op: Op, x: list[Interval], parameters: Mapping[str, Codes]) -> None:
    """The interval's ends are those that corners of the input reach; for operations that are monotone per element."""
    found = op.interval(x, parameters)
    low, high = corner_ends(op, x, parameters)
    np.testing.assert_array_equal(Codes(found.low, found.fraction).real(), low.real())
    np.testing.assert_array_equal(Codes(found.high, found.fraction).real(), high.real())


def assert_same_values(found: Codes, wanted: Tensor) -> None:
    """Codes stand for exactly these numbers."""
    np.testing.assert_array_equal(found.align().real(), wanted.numpy())


def assert_pulls_back(op: Op, inputs: list[Tensor], parameters: Mapping[str, Tensor], directions: int = 3) -> None:
    """Gradients at the inputs are autograd's."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    output = op.forward(leaves, parameters)
    shape = (len(output), directions, *output.shape[1:])
    gradients = torch.randn(shape, generator=torch.Generator().manual_seed(5)).double()
    found = op.pull_back(inputs, output.detach(), gradients, parameters)
    assert len(found) == len(inputs)
    for index, gradient in enumerate(gradients.unbind(1)):
        wanted = torch.autograd.grad(output, leaves, gradient, retain_graph=True)
        for stacked, one in zip(found, wanted, strict=True):
            torch.testing.assert_close(stacked[:, index], one, rtol=1e-10, atol=1e-12)


def squares_by_autograd(
    forward: Callable[[Tensor, dict[str, Tensor]], Tensor], x: Tensor, parameters: Mapping[str, Tensor], g: Tensor
) -> dict[str, SquaredGradients]:
    """One sample and direction at a time.

    Args:
        forward: Of one batch.
        x: ``[batch, ...]``.
        parameters: By role.
        g: At the output, ``[batch, directions, ...]``.
    """
    leaves = {role: value.clone().requires_grad_() for role, value in parameters.items()}
    squares = {role: torch.zeros(len(x), *value.shape).double() for role, value in parameters.items()}
    for sample, row in enumerate(x):
        output = forward(row[None], leaves)
        for direction in g[sample]:
            found = torch.autograd.grad(output, list(leaves.values()), direction[None], retain_graph=True)
            for role, gradient in zip(leaves, found, strict=True):
                squares[role][sample] += gradient.square()
    return {
        role: SquaredGradients(
            value.flatten(1).sum(1), value.flatten(2).sum(2) if value.dim() > 2 else value, value.sum(0)
        )
        for role, value in squares.items()
    }


def assert_squares(found: Mapping[str, SquaredGradients], wanted: Mapping[str, SquaredGradients], detail: str) -> None:
    """Squares as fine as wanted, and no finer."""
    assert found.keys() == wanted.keys()
    for role, squares in found.items():
        torch.testing.assert_close(squares.totals, wanted[role].totals, rtol=1e-10, atol=1e-14)
        assert (squares.channels is not None) == (detail != "tensor")
        assert (squares.elements is not None) == (detail == "element")
        if squares.channels is not None:
            torch.testing.assert_close(squares.channels, wanted[role].channels, rtol=1e-10, atol=1e-14)
        if squares.elements is not None:
            torch.testing.assert_close(squares.elements, wanted[role].elements, rtol=1e-10, atol=1e-14)
