"""Exact traces against the full Hessian, and against BackPACK."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.nn import functional

from codesign.calibrate import even_rows
from codesign.design import Dataset, Design, Score
from codesign.load._fx import graph_from_module
from codesign.sensitivity._gauss_newton import COLUMNS
from codesign.sensitivity.hessian_trace import EXACT_OUTPUTS, HessianTrace
from tests.jets import loaded
from tests.sensitivity.networks import (
    Case,
    bent,
    case_of,
    cases,
    design_of,
    found,
    identical,
    notices,
    perceptron,
    small,
)


def close(value: object, wanted: object, relative: float = 1e-6) -> None:
    scale = float(np.abs(np.asarray(wanted)).max())
    np.testing.assert_allclose(value, wanted, rtol=relative, atol=1e-10 * scale)


def check(case: Case, batch: int | None = None) -> None:
    """Every tensor, channel and element."""
    step = HessianTrace(precision="float64", granularity="element", loss=case.loss, batch=batch)  # type: ignore[arg-type]
    sensitivity = found(step, case.design)
    assert (sensitivity.quantity, sensitivity.matrix) == ("trace", "hessian")
    assert sensitivity.samples == len(case.y)
    close(sensitivity.loss, float(case.loss_at({})))
    assert set(sensitivity.parameters) == set(case.weights)
    assert set(sensitivity.activations) == set(case.graph.activations())
    for name, score in sensitivity.scores.items():
        diagonal = case.diagonal(name)
        close(sensitivity.elements[name], diagonal)
        close(sensitivity.channels[name], diagonal.reshape(len(diagonal), -1).sum(1))
        close(score.value, diagonal.sum())
        assert (score.size, score.probe_error) == (diagonal.size, 0)


@settings(max_examples=50)
@given(cases("linear"))
def test_perceptrons(case: Case) -> None:
    check(case)


@settings(max_examples=25)
@given(cases("tokens"))
def test_linear_layers_at_every_position(case: Case) -> None:
    check(case)


@settings(max_examples=60)
@given(cases("conv"))
def test_convolutional_networks(case: Case) -> None:
    check(case)


@settings(max_examples=50)
@given(cases("residual"))
def test_residual_networks(case: Case) -> None:
    check(case)


@settings(max_examples=20)
@given(cases("linear") | cases("tokens") | cases("conv") | cases("residual"))
def test_coarser_granularities_are_sums_of_elements(case: Case) -> None:
    fine, middle, coarse = (
        found(HessianTrace(precision="float64", granularity=each, loss=case.loss), case.design)  # type: ignore[arg-type]
        for each in ("element", "channel", "tensor")
    )
    assert not middle.elements
    assert not coarse.channels
    for name, score in fine.scores.items():
        close(middle.channels[name], fine.channels[name], 1e-10)
        rounding = 1e-6 * score.value  # of a spread that is zero: the root of that of its square
        np.testing.assert_allclose(middle.channel_errors[name], fine.channel_errors[name], rtol=1e-6, atol=rounding)
        for other in (middle, coarse):
            close(other.scores[name].value, score.value, 1e-10)
            assert other.scores[name].data_error == pytest.approx(score.data_error, rel=1e-6, abs=rounding)


@settings(max_examples=20)
@given(cases("linear") | cases("residual"))
def test_errors_are_the_spread_over_samples(case: Case) -> None:
    sensitivity = found(HessianTrace(precision="float64", loss=case.loss), case.design)  # type: ignore[arg-type]
    count = len(case.y)
    for name, score in sensitivity.scores.items():
        single = np.array([case.sample(index).diagonal(name) for index in range(count)])
        channels = single.reshape(count, single.shape[1], -1).sum(2)
        np.testing.assert_allclose(
            score.data_error, channels.sum(1).std(ddof=1) / count**0.5, rtol=1e-5, atol=1e-6 * score.value
        )
        errors = channels.std(0, ddof=1) / count**0.5
        np.testing.assert_allclose(
            sensitivity.channel_errors[name], errors, rtol=1e-5, atol=1e-6 * float(channels.mean(0).max())
        )


def test_an_activation_is_that_of_one_sample_averaged() -> None:
    case = small((4, 6, 3), 9, 3)
    hidden = case.module[:2](torch.as_tensor(case.x).double()).detach()  # type: ignore[index]
    blocks = [
        torch.func.hessian(lambda h, label=label: functional.cross_entropy(case.module[2](h), label))(one)  # type: ignore[index]
        for one, label in zip(hidden, torch.as_tensor(case.y), strict=True)
    ]
    sensitivity = found(HessianTrace(precision="float64", granularity="element"), case.design)
    close(sensitivity.elements["1"], torch.stack([block.diag() for block in blocks]).mean(0).detach().numpy())


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_more_outputs_than_columns_at_once(loss: str) -> None:
    case = small((3, 2, COLUMNS + 9), 3, loss=loss)
    assert case.y.max() < COLUMNS + 9
    step = HessianTrace(method="exact", precision="float64", granularity="element", loss=loss)  # type: ignore[arg-type]
    sensitivity = found(step, case.design)
    for name in case.weights:
        close(sensitivity.elements[name], case.diagonal(name))


@pytest.mark.parametrize("batch", [1, 2, 5, 7])
def test_batches_do_not_matter(batch: int) -> None:
    for case in (small((3, 4, 3), 7), small((3, 4, 3), 7, loss="squared_error")):
        check(case, batch)


def test_batches_of_the_jets() -> None:
    one, many = (found(HessianTrace(300, batch), loaded()) for batch in (300, 7))
    for name, score in one.scores.items():
        assert score.value == pytest.approx(many.scores[name].value, rel=1e-5)
        assert score.data_error == pytest.approx(many.scores[name].data_error, rel=1e-4)


def test_samples_are_spread_evenly_over_the_training_split() -> None:
    design, rows = loaded(), even_rows(48000, 100)
    train = design.dataset.split("train")
    chosen = design_of(design.graph, train.inputs[0][rows], train.labels[rows])
    hundred = found(HessianTrace(100), design)
    assert identical(hundred, found(HessianTrace(), chosen))
    assert not identical(hundred, found(HessianTrace(101), design))


def test_memory_mapped_data(tmp_path: Path) -> None:
    case = small(samples=20)
    np.save(tmp_path / "x.npy", case.x)
    np.save(tmp_path / "y.npy", case.y)
    x, y = (np.load(tmp_path / name, mmap_mode="r") for name in ("x.npy", "y.npy"))
    assert identical(found(HessianTrace(), design_of(case.graph, x, y)), found(HessianTrace(), case.design))


def test_activations_can_be_left_out() -> None:
    case = small()
    whole, less = found(HessianTrace(), case.design), found(HessianTrace(activations=False), case.design)
    assert not less.activations
    assert less.parameters == whole.parameters


def test_float32_agrees_with_float64() -> None:
    single, double = (found(HessianTrace(256, precision=each), loaded()) for each in ("float32", "float64"))  # type: ignore[arg-type]
    for name, score in double.scores.items():
        assert single.scores[name].value == pytest.approx(score.value, rel=1e-5)


def jets(samples: int) -> tuple[Design, nn.Module, torch.Tensor, torch.Tensor]:
    """The jet tagger in float64, with its data."""
    design = loaded()
    train = design.dataset.split("train")
    x, y = train.inputs[0][:samples], train.labels[:samples]
    layers: list[nn.Module] = []
    for node in design.graph.weighted():
        weight, bias = (torch.tensor(design.graph.parameters[f"{node.name}.{role}"]) for role in ("weight", "bias"))
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers += [layer, nn.ReLU()]
    return design_of(design.graph, x, y), nn.Sequential(*layers[:-1]).double(), torch.tensor(x), torch.tensor(y)


def test_agrees_with_backpack() -> None:
    backpack = pytest.importorskip("backpack")
    extensions = pytest.importorskip("backpack.extensions")
    design, module, x, y = jets(200)
    names = [f"{node.name}.{role}" for node in design.graph.weighted() for role in ("weight", "bias")]
    network, loss = backpack.extend(module), backpack.extend(nn.CrossEntropyLoss())
    with backpack.backpack(extensions.DiagGGNExact()):
        loss(network(x.double()), y).backward()
    sensitivity = found(HessianTrace(precision="float64", granularity="element"), design)
    assert set(names) == set(sensitivity.parameters)
    for name, parameter in zip(names, module.parameters(), strict=True):
        close(sensitivity.elements[name], parameter.diag_ggn_exact.numpy())
        close(sensitivity.parameters[name].value, float(parameter.diag_ggn_exact.sum()))


def test_drawn_columns_agree_with_exact_ones() -> None:
    exact = found(HessianTrace(2000, method="exact"), loaded())
    for draws in (2, 16):
        drawn = found(HessianTrace(2000, method="monte_carlo", draws=draws), loaded())
        for name, score in drawn.scores.items():
            assert score.probe_error > 0
            assert abs(score.value - exact.scores[name].value) <= 4 * score.probe_error
            # the draws' share is taken out of the spread over samples
            assert score.data_error == pytest.approx(exact.scores[name].data_error, rel=0.25)


@pytest.mark.parametrize("make", [small, lambda: small((3, 4, 3), 30, loss="squared_error"), lambda: bent(samples=30)])
def test_probe_error_is_the_spread_over_seeds(make: Callable[[], Case]) -> None:
    case = make()
    step = HessianTrace(method="monte_carlo", draws=4, precision="float64", loss=case.loss)  # type: ignore[arg-type]
    many = [found(step, case.design, seed) for seed in range(60)]
    for name in case.weights:
        spread = np.std([one.scores[name].value for one in many], ddof=1)
        told = np.mean([one.scores[name].probe_error ** 2 for one in many]) ** 0.5
        if told > 1e-12:  # signs squared know the last bias of a squared error exactly
            assert 0.7 < told / spread < 1.4


def test_many_outputs_are_drawn_by_default() -> None:
    few, many = (small((3, 4, count), 50) for count in (EXACT_OUTPUTS, EXACT_OUTPUTS + 1))
    assert all(score.probe_error == 0 for score in found(HessianTrace(), few.design).scores.values())
    drawn = found(HessianTrace(precision="float64"), many.design)
    assert drawn.matrix == "hessian"
    for name, score in drawn.parameters.items():
        assert score.probe_error > 0
        assert abs(score.value - many.diagonal(name).sum()) <= 4 * score.probe_error


def test_an_operation_that_bends_makes_it_gauss_newton() -> None:
    case = bent()
    sensitivity = found(HessianTrace(precision="float64", granularity="element"), case.design)
    assert sensitivity.matrix == "gauss_newton"
    assert any("1: not linear between kinks" in text for text in notices(HessianTrace(), case.design))
    assert not any("kinks" in text for text in notices(HessianTrace(), small().design))
    close(sensitivity.elements["2.weight"], case.diagonal("2.weight"))  # the loss is convex in the last layer
    assert sensitivity.parameters["0.weight"].value != pytest.approx(case.block("0.weight").trace(), rel=0.01)
    # sum over samples of J^T S S^T J with the softmax's Hessian, from torch
    jacobians, outputs = [], []
    for one in torch.as_tensor(case.x).double():
        function = lambda weight, x=one: torch.func.functional_call(  # noqa: E731
            case.module, {**case.weights, "0.weight": weight}, (x,)
        )
        jacobians.append(torch.func.jacrev(function)(case.weights["0.weight"]).reshape(2, -1))
        outputs.append(function(case.weights["0.weight"]).softmax(0))
    blocks = [j.T @ (p.diag() - p.outer(p)) @ j for j, p in zip(jacobians, outputs, strict=True)]
    close(sensitivity.elements["0.weight"].reshape(-1), torch.stack(blocks).mean(0).diag().detach().numpy())


def test_several_inputs_that_share_an_output() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.last = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(4, 3)

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return self.last((self.left(a) + self.right(b)).relu())

    torch.manual_seed(0)
    module = Two()
    graph, _ = graph_from_module(module, [(3,), (2,)])
    generator = np.random.default_rng(0)
    a, b = (generator.standard_normal((8, size)).astype(np.float32) for size in (3, 2))
    y = generator.integers(0, 3, 8)
    design = Design({"graph": graph, "dataset": Dataset((a, b), y, {"train": (0, 8)})})
    together = found(HessianTrace(precision="float64", granularity="element"), design)
    single = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():
        single[0].weight.copy_(torch.cat([module.left.weight, module.right.weight], 1))
        single[0].bias.copy_(module.left.bias + module.right.bias)
        single[2].load_state_dict(module.last.state_dict())
    case = case_of(single, np.concatenate([a, b], 1), y)
    wanted = case.diagonal("0.weight")
    close(together.elements["left.weight"], wanted[:, :3], 1e-5)
    close(together.elements["right.weight"], wanted[:, 3:], 1e-5)
    inputs = case.diagonal("input_1")
    close(together.elements["a"], inputs[:3], 1e-5)
    close(together.elements["b"], inputs[3:], 1e-5)


def test_scores_are_plain_numbers() -> None:
    sensitivity = found(HessianTrace(granularity="element"), case_of(perceptron([2, 2]), *data()).design)
    for score in sensitivity.scores.values():
        assert isinstance(score, Score)
        assert all(type(number) is float for number in (score.value, score.data_error, score.probe_error))
    assert all(array.dtype == np.float64 for array in sensitivity.elements.values())


def data() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.standard_normal((5, 2)).astype(np.float32), generator.integers(0, 2, 5)
