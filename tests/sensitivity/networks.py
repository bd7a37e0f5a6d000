"""Small random networks with data, and their second derivatives taken the long way."""

import tempfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from codesign.design import Dataset, Design, Sensitivity
from codesign.graph import Graph, Node
from codesign.load._fx import graph_from_module
from codesign.ops.linear import Linear
from codesign.ops.relu import Relu
from codesign.passes import Context
from codesign.sensitivity._metric import Metric
from codesign.store import Store

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class Residual(nn.Module):
    """A branch and the way around it, added."""

    def __init__(self, body: nn.Module, skip: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.skip = body, skip

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + (x if self.skip is None else self.skip(x))


def fused(module: nn.Module) -> nn.Module:
    """A copy with batch norms taken into the layers before them by torch, and nothing renamed."""
    copy = deepcopy(module).eval()
    for parent in [part for part in copy.modules() if isinstance(part, nn.Sequential)]:
        for (name, layer), (after, norm) in pairwise(list(parent.named_children())):
            if isinstance(norm, NORMS):
                fuse = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
                setattr(parent, name, fuse(layer, norm))
                setattr(parent, after, nn.Identity())
    return copy


class Shifted(fx.Interpreter):
    """A module with one of its tensors shifted or changed on the way."""

    def __init__(self, module: nn.Module, tensor: str, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__(fx.symbolic_trace(module))
        self.tensor, self.change = tensor, change

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        return self.change(value) if self.tensor == (str(n.target) if n.op == "call_module" else n.name) else value


@dataclass(frozen=True)
class Case:
    """A graph with data, and the torch module with the same numbers in float64."""

    graph: Graph
    module: nn.Module
    x: np.ndarray
    y: np.ndarray
    loss: str = "cross_entropy"

    @property
    def design(self) -> Design:
        return design_of(self.graph, self.x, self.y)

    @property
    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self.module.named_parameters()}

    def sample(self, index: int) -> "Case":
        return Case(self.graph, self.module, self.x[index : index + 1], self.y[index : index + 1], self.loss)

    def mean_loss(self, outputs: Tensor) -> Tensor:
        labels = torch.as_tensor(self.y)
        if self.loss == "cross_entropy":
            return functional.cross_entropy(outputs, labels)
        if outputs.shape[1] > 1 and labels.dim() == 1:
            labels = functional.one_hot(labels, outputs.shape[1])
        return functional.mse_loss(outputs, labels.reshape(outputs.shape).double())

    def loss_at(self, changed: dict[str, Tensor]) -> Tensor:
        """Mean loss as a function of some parameters."""
        given = torch.as_tensor(self.x).double()
        return self.mean_loss(functional_call(self.module, {**self.weights, **changed}, (given,)))

    def loss_with(self, tensor: str, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Mean loss with an activation changed."""
        return self.mean_loss(Shifted(self.module, tensor, change).run(torch.as_tensor(self.x).double()))

    def block(self, tensor: str) -> np.ndarray:
        """A parameter's block of the Hessian, or an activation's in a shift of it, ``[size, size]``."""
        if tensor in self.weights:
            start = self.weights[tensor].clone().requires_grad_()
            loss = self.loss_at({tensor: start})
        else:
            start = torch.zeros(self.graph.shapes()[tensor], dtype=torch.float64, requires_grad=True)
            loss = self.loss_with(tensor, lambda value: value + start)
        (gradient,) = torch.autograd.grad(loss, start, create_graph=True)
        unit = torch.eye(start.numel(), dtype=torch.float64).reshape(-1, *start.shape)
        (rows,) = torch.autograd.grad(gradient, start, unit, is_grads_batched=True)
        return rows.numpy().reshape(start.numel(), start.numel())

    def diagonal(self, tensor: str) -> np.ndarray:
        """Of the block, in the tensor's shape."""
        shape = self.weights[tensor].shape if tensor in self.weights else self.graph.shapes()[tensor]
        return np.diag(self.block(tensor)).reshape(shape)


def case_of(module: nn.Module, x: np.ndarray, y: np.ndarray, loss: str = "cross_entropy") -> Case:
    """The graph of a module, and torch's own fused module with the graph's numbers."""
    graph, _ = graph_from_module(module, [x.shape[1:]])
    reference = fused(module)
    own = {name: value.detach().numpy() for name, value in reference.named_parameters()}
    assert set(own) == set(graph.parameters)
    for name, value in own.items():
        np.testing.assert_allclose(graph.parameters[name], value, rtol=1e-4, atol=1e-5)
    reference = reference.double()
    reference.load_state_dict({name: torch.tensor(value) for name, value in graph.parameters.items()}, strict=True)
    return Case(graph, reference, x, y, loss)


def alive(case: Case) -> bool:
    """Whether the outputs depend on every parameter."""
    leaves = {name: value.clone().requires_grad_() for name, value in case.weights.items()}
    outputs = functional_call(case.module, leaves, (torch.as_tensor(case.x).double(),))
    reach = torch.autograd.grad(outputs.square().sum(), list(leaves.values()), materialize_grads=True)
    return all(bool(gradient.any()) for gradient in reach)


def design_of(graph: Graph, x: np.ndarray, y: np.ndarray) -> Design:
    return Design({"graph": graph, "dataset": Dataset((x,), y, {"train": (0, len(y))})})


def found(step: Metric, design: Design, seed: int = 0) -> Sensitivity:
    """What a pass finds."""
    return run(step, design, seed).sensitivity[step.key()]


def run(step: Metric, design: Design, seed: int = 0) -> Design:
    """A pass by itself, with a seed."""
    with tempfile.TemporaryDirectory() as folder:
        return step(design, Context(Store(Path(folder)), Path(folder), seed))


def identical(one: Sensitivity, other: Sensitivity) -> bool:
    """Every number the same."""

    def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
        return set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)

    arrays = ("channels", "channel_errors", "elements")
    rest = [{k: v for k, v in vars(each).items() if k not in arrays} for each in (one, other)]
    return rest[0] == rest[1] and all(same(getattr(one, name), getattr(other, name)) for name in arrays)


def notices(step: Metric, design: Design) -> list[str]:
    design = run(step, design)
    return list(design.notices.values()) if design.has("notices") else []


def randomized(module: nn.Module) -> nn.Module:
    """With batch norms that do something."""
    for part in module.modules():
        if isinstance(part, NORMS):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0.3)
            nn.init.normal_(part.running_mean, 0.0, 0.3)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return module.eval()


def perceptron(sizes: list[int], seed: int = 0, bias: bool = True, norm: bool = False) -> nn.Sequential:
    """Linear layers with ReLUs between them."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, bias), *([nn.BatchNorm1d(outputs)] if norm else []), nn.ReLU()]
    return randomized(nn.Sequential(*layers[: -2 if norm else -1]))


def small(sizes: tuple[int, ...] = (3, 4, 3), samples: int = 6, seed: int = 0, loss: str = "cross_entropy") -> Case:
    """A perceptron with data, always the same."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((samples, sizes[0])).astype(np.float32)
    return case_of(perceptron(list(sizes), seed), x, generator.integers(0, sizes[-1], samples), loss)


@st.composite
def cases(draw: st.DrawFn, kind: str) -> Case:
    """Networks of a kind with few weights, a loss, and data."""
    seed = draw(st.integers(0, 2**20))
    torch.manual_seed(seed)
    outputs = draw(st.integers(1, 4))
    loss = draw(st.sampled_from(["cross_entropy", "squared_error"])) if outputs > 1 else "squared_error"
    shape, body = {"linear": _linear, "tokens": _tokens, "conv": _conv, "residual": _residual}[kind](draw)
    width = body(torch.zeros(2, *shape)).shape[1]
    module = randomized(nn.Sequential(*body, nn.Linear(width, outputs, draw(st.booleans()))))
    generator = np.random.default_rng(seed)
    samples = draw(st.integers(2, 6))
    x = generator.standard_normal((samples, *shape)).astype(np.float32)
    y: np.ndarray = generator.integers(0, outputs, samples)
    if loss == "squared_error" and (outputs == 1 or draw(st.booleans())):
        y = generator.standard_normal((samples, outputs)).astype(np.float32)
        y = y[:, 0] if outputs == 1 and draw(st.booleans()) else y
    case = case_of(module, x, y, loss)
    assume(alive(case))
    return case


def _linear(draw: st.DrawFn) -> tuple[tuple[int, ...], nn.Sequential]:
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    bias, norm = draw(st.booleans()), draw(st.booleans())
    return (sizes[0],), nn.Sequential(
        *(part for part in perceptron([*sizes, 3], torch.initial_seed(), bias, norm)), nn.ReLU()
    ).eval()


def _tokens(draw: st.DrawFn) -> tuple[tuple[int, ...], nn.Sequential]:
    positions, features, hidden = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    first = nn.Linear(features, hidden, draw(st.booleans()))
    return (positions, features), nn.Sequential(first, nn.ReLU(), nn.Flatten())


def _conv(draw: st.DrawFn) -> tuple[tuple[int, ...], nn.Sequential]:
    rank, channels, side = draw(st.integers(1, 2)), draw(st.sampled_from([1, 2, 4])), draw(st.integers(4, 6))
    one_axis, layers, given = rank == 1, list[nn.Module](), channels
    for _ in range(draw(st.integers(1, 2))):
        wide = draw(st.sampled_from([1, 2, 4]))
        groups = draw(st.sampled_from([n for n in (1, 2, 4) if gcd(given, wide) % n == 0]))
        kernel, stride, padding = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(0, 1))
        options = {"groups": groups, "bias": draw(st.booleans()), "dilation": draw(st.integers(1, 2))}
        layers.append((nn.Conv1d if one_axis else nn.Conv2d)(given, wide, kernel, stride, padding, **options))
        if draw(st.booleans()):
            layers.append((nn.BatchNorm1d if one_axis else nn.BatchNorm2d)(wide))
        layers += [nn.ReLU(), *_pooling(draw, one_axis)]
        given = wide
    shape, body = (channels, *[side] * rank), nn.Sequential(*layers, nn.Flatten()).eval()
    try:
        positions = body(torch.zeros(2, *shape)).shape[1] // given
    except RuntimeError:  # a window that fits nowhere
        assume(False)
    # Means over other numbers of positions are taken by a rounded reciprocal, which torch does not do.
    if positions & (positions - 1) == 0 and draw(st.booleans()):
        layers.append(nn.AdaptiveAvgPool1d(1) if one_axis else nn.AdaptiveAvgPool2d(1))
        body = nn.Sequential(*layers, nn.Flatten()).eval()
    return shape, body


def _pooling(draw: st.DrawFn, one_axis: bool) -> list[nn.Module]:
    pools = {None: [], "max": [nn.MaxPool1d, nn.MaxPool2d], "average": [nn.AvgPool1d, nn.AvgPool2d]}
    chosen = pools[draw(st.sampled_from([None, "max", "average"]))]
    return [chosen[0 if one_axis else 1](2, draw(st.integers(1, 2)))] if chosen else []


def _residual(draw: st.DrawFn) -> tuple[tuple[int, ...], nn.Sequential]:
    if draw(st.booleans()):
        width = draw(st.integers(1, 4))
        blocks: list[nn.Module] = []
        for _ in range(draw(st.integers(1, 2))):
            norm = [nn.BatchNorm1d(width)] if draw(st.booleans()) else []
            body = nn.Sequential(nn.Linear(width, 3), nn.ReLU(), nn.Linear(3, width), *norm)
            skip = nn.Sequential(nn.Linear(width, width)) if draw(st.booleans()) else None
            blocks += [Residual(body, skip), nn.ReLU()]
        return (width,), nn.Sequential(*blocks).eval()
    channels, norm = draw(st.integers(1, 3)), [nn.BatchNorm2d(2)] if draw(st.booleans()) else []
    body = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1), *norm)
    skip = nn.Sequential(nn.Conv2d(2, 2, 1)) if draw(st.booleans()) else None
    pool = draw(st.sampled_from([nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1)]))
    first = nn.Conv2d(channels, 2, 3, padding=1)
    return (channels, 4, 4), nn.Sequential(first, nn.ReLU(), Residual(body, skip), nn.ReLU(), pool, nn.Flatten()).eval()


class Tanh(Relu):
    """An operation that bends, for tests only."""

    kind: ClassVar[str] = "test_tanh"
    torch_targets: ClassVar[tuple[str, ...]] = ()
    piecewise_linear: ClassVar[bool] = False

    def forward(self, inputs: list[Tensor], parameters: Any) -> Tensor:
        return inputs[0].tanh()

    def pull_back(self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Any) -> list[Tensor]:
        return [gradients * (1 - output.square()).unsqueeze(1)]


def bent(sizes: tuple[int, int, int] = (2, 3, 2), samples: int = 6, seed: int = 1) -> Case:
    """Two linear layers with a tanh between them, whose Hessian is not its Gauss-Newton matrix."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(*sizes[:2]), nn.Tanh(), nn.Linear(*sizes[1:])).double()
    parameters = {name: value.detach().float().numpy() for name, value in module.named_parameters()}
    module.load_state_dict({name: torch.tensor(value) for name, value in parameters.items()})
    nodes = (
        Node("0", Linear("0.weight", "0.bias"), ("input_1",), "0"),
        Node("1", Tanh(), ("0",), "1"),
        Node("2", Linear("2.weight", "2.bias"), ("1",), "2"),
    )
    graph = Graph({"input_1": sizes[:1]}, ("2",), nodes, parameters)
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((samples, sizes[0])).astype(np.float32)
    return Case(graph, module, x, generator.integers(0, sizes[-1], samples))
