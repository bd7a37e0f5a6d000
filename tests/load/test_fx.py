"""From torch modules to graphs: the same outputs as the module's own, or an error that says what and where."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.errors import InputError
from codesign.graph import Graph
from codesign.load._fx import graph_from_module
from codesign.ops.softmax import Tables
from codesign.torch_forward import float_forward, to_tensors


class Calls(nn.Module):
    """One layer, then what a function does with it."""

    def __init__(self, after: Callable[[Tensor], Tensor], features: int = 6) -> None:
        super().__init__()
        self.fc = nn.Linear(features, 4)
        self.out = nn.Linear(4, 3)
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.after(self.fc(x)))


class Before(Calls):
    """A function, then a layer: for what flattens."""

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.fc(self.after(x)).relu())


def moving_statistics(module: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms with statistics and factors that are not those of the start."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean = torch.randn(layer.num_features, generator=generator)
            layer.running_var = torch.rand(layer.num_features, generator=generator) + 0.25
            if layer.affine:
                nn.init.normal_(layer.weight, generator=generator)
                nn.init.normal_(layer.bias, generator=generator)
    return module


def outputs(graph: Graph, *inputs: Tensor) -> list[Tensor]:
    """The graph's outputs in float32."""
    with torch.no_grad():
        values = float_forward(graph, to_tensors(graph.parameters), inputs)
    return [values[name] for name in graph.outputs]


def assert_converts(
    module: nn.Module, *shapes: tuple[int, ...], rtol: float = 1e-4, atol: float = 1e-5
) -> tuple[Graph, list[str]]:
    """The module's graph, after a look that it gives the module's outputs."""
    graph, notices = graph_from_module(module, list(shapes))
    inputs = [torch.randn(64, *shape, generator=torch.Generator().manual_seed(1)) for shape in shapes]
    with torch.no_grad():
        wanted = module.eval()(*inputs)
    wanted = wanted if isinstance(wanted, tuple | list) else [wanted]
    for found, output in zip(outputs(graph, *inputs), wanted, strict=True):
        torch.testing.assert_close(found, output, rtol=rtol, atol=atol)
    return graph, notices


MODULES = {
    "linear": lambda: nn.Sequential(nn.Linear(6, 3)),
    "no bias": lambda: nn.Sequential(nn.Linear(6, 3, bias=False)),
    "relu between": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)),
    "relu in place": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 3)),
    "relu first and last": lambda: nn.Sequential(nn.ReLU(), nn.Linear(6, 8), nn.ReLU()),
    "dropout": lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 8), nn.Dropout(0.9), nn.AlphaDropout()),
    "identity": lambda: nn.Sequential(nn.Identity(), nn.Linear(6, 8), nn.Identity()),
    "norm after": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
    "norm after, no bias": lambda: nn.Sequential(nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8)),
    "norm without factors": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, affine=False)),
    "norm with another epsilon": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, eps=0.5)),
    "norm before": lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 8)),
    "norm before, no bias": lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 8, bias=False), nn.ReLU()),
    "norm after relu": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 3)),
    "norm twice": lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.BatchNorm1d(8)),
    "norm behind dropout": lambda: nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.BatchNorm1d(8)),
    "nested": lambda: nn.Sequential(OrderedDict(block=nn.Sequential(nn.Linear(6, 4), nn.ReLU()), head=nn.Linear(4, 2))),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_give_their_own_outputs(name: str) -> None:
    torch.manual_seed(len(name))
    graph, _ = assert_converts(moving_statistics(MODULES[name]()), (6,))
    assert {node.op.kind for node in graph.nodes} <= {"linear", "relu"}
    graph.verify()


def test_conversion_leaves_dropout_and_statistics_out() -> None:
    graph, _ = graph_from_module(moving_statistics(MODULES["norm after"]()), [(6,)])
    assert set(graph.parameters) == {"0.weight", "0.bias", "3.weight", "3.bias"}


def test_notices_say_where_a_norm_went() -> None:
    _, notices = graph_from_module(MODULES["norm twice"](), [(6,)])
    assert notices == ["0: folded into 1", "2: folded into 1", "3: folded into 1"]


@pytest.mark.parametrize(
    "after",
    [
        nn.ReLU(),
        functional.relu,
        torch.relu,
        lambda x: x.relu(),
        lambda x: functional.relu(x, inplace=True),
        lambda x: functional.dropout(x, 0.5, training=False).relu(),
        lambda x: functional.dropout(x.contiguous(), training=False),
        nn.Identity(),
        nn.Dropout(0.3),
    ],
)
def test_functional_and_method_forms(after: Callable[[Tensor], Tensor]) -> None:
    assert_converts(Calls(after), (6,))


@pytest.mark.parametrize(
    "flatten",
    [
        nn.Flatten(),
        lambda x: torch.flatten(x, 1),
        lambda x: torch.flatten(x, start_dim=1),
        lambda x: x.flatten(1),
        lambda x: x.flatten(start_dim=1, end_dim=-1),
        lambda x: torch.flatten(x, 1, -1).relu(),
        lambda x: x.view(x.size(0), -1),
        lambda x: x.view(x.shape[0], 6),
        lambda x: x.view((x.size()[0], -1)),
        lambda x: x.reshape(-1, 6),
        lambda x: x.reshape([x.size(dim=0), -1]),
        lambda x: torch.reshape(x, (-1, 6)),
        lambda x: torch.reshape(x, shape=(x.size(0), -1)),
    ],
)
def test_flatten_forms(flatten: Callable[[Tensor], Tensor]) -> None:
    graph, _ = assert_converts(Before(flatten), (2, 3))
    assert "flatten" in {node.op.kind for node in graph.nodes}


@pytest.mark.parametrize("flatten", [nn.Flatten(0), lambda x: x.flatten(), lambda x: x.flatten(0, 1)])
def test_flatten_of_other_axes_is_refused(flatten: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(InputError, match=r"flatten of axes .*wanted: axes 1 to -1"):
        graph_from_module(Before(flatten), [(2, 3)])


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (
            lambda x: x.view(-1),
            r"layer 'view': a view of sizes \[-1\]; wanted: \[-1, features, ...\]; use torch.flatten",
        ),
        (lambda x: x.view(64, 6), r"a view of sizes \[64, 6\]"),
        (lambda x: x.view(-1, 3), r"layer 'view': 3 features from a tensor of shape \[2, 3\]; wanted: 6"),
        (lambda x: x.view(x.size(1), -1), r"a view of sizes \[2, -1\]"),
        (lambda x: x.view(-1, x.shape[1], 2), r"\[2, 2\] from a tensor of shape \[2, 3\]; wanted: 6 elements"),
        (lambda x: x.T, "unsupported operation Tensor.T"),
    ],
)
def test_other_views_are_refused(view: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        graph_from_module(Before(view), [(2, 3)])


def test_a_size_is_no_output() -> None:
    class Sized(Calls):
        def forward(self, x: Tensor) -> tuple[Tensor, int]:
            return self.fc(x), x.size(0)

    with pytest.raises(InputError, match=r"network output: tuple; wanted: a tensor or a tuple of tensors"):
        graph_from_module(Sized(nn.ReLU()), [(6,)])


@pytest.mark.parametrize(
    ("dropout", "name"),
    [
        (lambda x: functional.dropout(x), "dropout"),
        (lambda x: functional.dropout(x, 0.1, True), "dropout"),
        (lambda x: functional.dropout2d(x, p=0.1, training=True), "dropout2d"),
        (lambda x: torch.dropout(x, 0.1, True), "dropout"),
        (lambda x: torch.dropout(x, p=0.1, train=True), "dropout"),
    ],
)
def test_dropout_that_is_left_on(dropout: Callable[[Tensor], Tensor], name: str) -> None:
    message = (
        rf"layer '{name}': dropout is left on \(train(ing)?=True\).*pass training=self.training, or use nn.Dropout"
    )
    with pytest.raises(InputError, match=message):
        graph_from_module(Calls(dropout), [(6,)])


@pytest.mark.parametrize(
    "off",
    [
        lambda x: torch.dropout(x, 0.5, False),
        lambda x: functional.dropout(x, 0.5, False, True),
        nn.Dropout(0.5, inplace=True),
    ],
)
def test_dropout_that_is_off(off: Callable[[Tensor], Tensor]) -> None:
    assert_converts(Calls(off), (6,))


@pytest.mark.parametrize(
    "softmax",
    [
        nn.Softmax(1),
        nn.Softmax(dim=-1),
        nn.LogSoftmax(1),
        lambda x: functional.softmax(x, 1),
        lambda x: functional.log_softmax(x, dim=1),
        lambda x: torch.softmax(x, dim=1),
        lambda x: x.softmax(1),
        lambda x: x.log_softmax(-1),
    ],
)
def test_a_final_softmax_is_taken_off_with_a_notice(softmax: Callable[[Tensor], Tensor]) -> None:
    class Final(Calls):
        def forward(self, x: Tensor) -> Tensor:
            return self.after(self.out(self.fc(x)))

    module = Final(softmax)
    graph, notices = graph_from_module(module, [(6,)])
    (notice,) = notices
    assert "softmax taken off" in notice
    x = torch.randn(64, 6, generator=torch.Generator().manual_seed(2))
    (logits,) = outputs(graph, x)
    with torch.no_grad():
        torch.testing.assert_close(logits, module.out(module.fc(x)))
        torch.testing.assert_close(softmax(logits), module(x))


def test_a_softmax_inside_is_refused() -> None:
    with pytest.raises(InputError, match=r"layer '1': a softmax inside the network.*last operation; .*softmax of load"):
        graph_from_module(nn.Sequential(nn.Linear(6, 4), nn.Softmax(1), nn.Linear(4, 2)), [(6,)])


class Gated(nn.Module):
    """One layer's softmax weighs another's outputs, over an axis of a tensor; a softmax at the end."""

    def __init__(self, axis: int, log: bool = False) -> None:
        super().__init__()
        self.gate, self.value, self.head = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 3)
        self.axis, self.inside = axis, functional.log_softmax if log else functional.softmax

    def forward(self, x: Tensor) -> Tensor:
        weights = self.inside(self.gate(x).unflatten(1, (2, 4)), self.axis)
        return self.head((weights * self.value(x).unflatten(1, (2, 4))).flatten(1)).softmax(1)


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("tables", ["inside", "all"])
def test_a_softmax_of_tables(axis: int, tables: Tables) -> None:
    torch.manual_seed(0)
    module, x = Gated(axis).eval(), 2 * torch.randn(300, 6)
    graph, notices = graph_from_module(module, [(6,)], tables)
    (found,) = outputs(graph, x)
    assert len(notices) == (tables == "inside")
    with torch.no_grad():
        torch.testing.assert_close(found if tables == "all" else found.softmax(1), module(x), atol=1e-4, rtol=0)
    kinds = [node.op.kind for node in graph.nodes]
    assert kinds.count("table") == (4 if tables == "all" else 2)
    assert {"softmax", "softmax.max", "softmax.reciprocal"} <= {node.name for node in graph.nodes}


def test_a_logarithm_is_no_table() -> None:
    with pytest.raises(InputError, match="a log-softmax inside the network"):
        graph_from_module(Gated(1, log=True), [(6,)], "inside")


def test_names_are_the_users() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(3, 4), nn.Linear(2, 4)
            self.act = nn.ReLU()

        def forward(self, jets: Tensor, leptons: Tensor) -> tuple[Tensor, Tensor]:
            return self.act(self.left(jets)), self.act(self.right(leptons))

    graph, _ = assert_converts(Two(), (3,), (2,))
    assert graph.inputs == {"jets": (3,), "leptons": (2,)}
    assert [node.name for node in graph.nodes] == ["left", "act", "right", "act_1"]
    assert set(graph.parameters) == {"left.weight", "left.bias", "right.weight", "right.bias"}


def test_a_layer_called_as_the_input() -> None:
    class Same(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.x = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.x(x)

    graph, _ = assert_converts(Same(), (3,))
    assert [node.name for node in graph.nodes] == ["x_1"]


def test_unsupported_modules_and_functions_are_named_with_what_is_supported() -> None:
    nested = nn.Sequential(OrderedDict(body=nn.Sequential(nn.Linear(6, 4), nn.GELU()), head=nn.Linear(4, 2)))
    with pytest.raises(InputError) as caught:
        graph_from_module(nested, [(6,)])
    assert "layer 'body.1': unsupported operation nn.GELU" in str(caught.value)
    assert all(name in caught.value.wanted for name in ("nn.Linear", "nn.ReLU", "F.relu", "Tensor.flatten"))


@pytest.mark.parametrize(
    ("after", "name"),
    [
        (torch.exp, "torch.exp"),
        (functional.gelu, "gelu"),
        (lambda x: x.exp(), "Tensor.exp"),
        (lambda x: x.cumsum(1), "Tensor.cumsum"),
        (nn.PReLU(), "nn.PReLU"),
    ],
)
def test_unsupported_calls_are_named(after: Callable[[Tensor], Tensor], name: str) -> None:
    with pytest.raises(InputError, match=f"unsupported operation .*{name}"):
        graph_from_module(Calls(after), [(6,)])


class Shared(nn.Module):
    """One layer, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.fc(x).relu())


def test_a_shared_layer_keeps_one_weight() -> None:
    graph, _ = assert_converts(Shared(), (6,))
    assert [node.name for node in graph.nodes] == ["fc", "relu", "fc_1"]
    assert set(graph.parameters) == {"fc.weight", "fc.bias"}
    assert graph.weights() == ["fc.weight"]


def test_a_norm_after_one_call_of_a_shared_layer_gives_that_call_its_own_weight() -> None:
    class Normed(Shared):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.norm(self.fc(x)).relu())

    graph, _ = assert_converts(moving_statistics(Normed()), (6,))
    assert graph.weights() == ["fc.weight_", "fc.weight"]


def test_a_forward_that_branches_on_data() -> None:
    def branching(x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x

    with pytest.raises(InputError, match=r"network Calls: cannot be traced: .*a forward without branches on data"):
        graph_from_module(Calls(branching), [(6,)])


def test_a_bare_parameter() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            return functional.relu(self.scale)

    with pytest.raises(InputError, match=r"call 'relu'|network output"):
        graph_from_module(Bare(), [(3,)])


@pytest.mark.parametrize("shapes", [[], [(6,), (6,)]])
def test_the_number_of_inputs(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(InputError, match=rf"1 inputs \(input_1\); wanted: {len(shapes)}"):
        graph_from_module(nn.Sequential(nn.Linear(6, 3)), shapes)


def test_features_that_do_not_fit() -> None:
    with pytest.raises(InputError, match=r"layer '0': input with 5 features \(shape \[5\]\).*0.weight \[3, 6\]"):
        graph_from_module(nn.Sequential(nn.Linear(6, 3)), [(5,)])
    with pytest.raises(InputError, match=r"layer '1'.*shape \[6\].*\[4\]"):
        graph_from_module(nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(4)), [(3,)])


def test_a_norm_with_nothing_to_fold_into() -> None:
    alone = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(InputError, match="layer '2': batch norm with no linear or convolutional layer next to it"):
        graph_from_module(alone, [(6,)])


def test_a_norm_without_statistics() -> None:
    with pytest.raises(InputError, match="layer '1': batch norm without running statistics"):
        graph_from_module(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, track_running_stats=False)), [(6,)])


def test_a_norm_is_not_folded_into_a_layer_that_is_an_output() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.norm, self.head = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            hidden = self.fc(x)
            return hidden, self.head(self.norm(hidden))

    assert_converts(moving_statistics(Both()), (3,))


def test_a_norm_that_two_layers_read() -> None:
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.left, self.right = nn.BatchNorm1d(3), nn.Linear(3, 2), nn.Linear(3, 2, bias=False)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = self.norm(x)
            return self.left(x), self.right(x)

    _, notices = assert_converts(moving_statistics(Fork()), (3,))
    assert notices == ["norm: folded into left, right"]


def test_a_network_without_weights() -> None:
    with pytest.raises(InputError, match="no layer with weights"):
        graph_from_module(nn.Sequential(nn.ReLU()), [(3,)])


def test_an_output_that_is_no_tensor() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"logits": self.fc(x)}

    with pytest.raises(InputError, match=r"network output: .*dict.*a tensor or a tuple of tensors"):
        graph_from_module(Named(), [(3,)])


def test_parameters_are_copies() -> None:
    module = nn.Sequential(nn.Linear(3, 2))
    graph, _ = graph_from_module(module, [(3,)])
    before = {name: value.copy() for name, value in graph.parameters.items()}
    nn.init.zeros_(module[0].weight)
    assert all(np.array_equal(graph.parameters[name], value) for name, value in before.items())
    assert all(value.dtype == np.float32 for value in graph.parameters.values())


def test_double_and_half_precision_weights_become_float32() -> None:
    for kind in (torch.float64, torch.float16, torch.bfloat16):
        graph, _ = graph_from_module(nn.Sequential(nn.Linear(3, 2)).to(kind), [(3,)])
        assert graph.parameters["0.weight"].dtype == np.float32


class Ignores(nn.Module):
    """Takes two inputs and uses one."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor, q: Tensor) -> Tensor:
        return self.fc(x)


def test_an_input_that_nothing_uses_is_refused() -> None:
    with pytest.raises(InputError, match="no output depends on 'q'"):
        graph_from_module(Ignores(), [(3,), (4,)])
