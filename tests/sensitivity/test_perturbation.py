"""Measured loss increases against a direct evaluation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch.nn import functional

from codesign.calibrate import best_format, even_rows
from codesign.design import Sensitivity
from codesign.fixed import quantize
from codesign.sensitivity.perturbation import Perturbation
from tests.jets import loaded
from tests.sensitivity.networks import Case, Shifted, cases, found, small

BITS = (2, 4, 7)


def rounded(values: Tensor, bits: int, signed: bool, seen: Tensor | None = None) -> Tensor:
    """In the best format for what was seen."""
    fixed, _ = best_format((values if seen is None else seen).detach().float().numpy(), bits, signed)
    return torch.as_tensor(quantize(values.detach().numpy(), fixed, "nearest_even").real()).double()


def losses(case: Case, outputs: Tensor) -> np.ndarray:
    """Of every sample."""
    one = [case.sample(index).mean_loss(outputs[index : index + 1]) for index in range(len(case.y))]
    return torch.stack(one).detach().numpy()


def direct(case: Case, tensor: str, bits: int) -> np.ndarray:
    """Loss increase of every sample, with torch's own network and one tensor changed."""
    x = torch.as_tensor(case.x).double()
    plain = losses(case, case.module(x))
    if tensor in case.weights:
        changed = {**case.weights, tensor: rounded(case.weights[tensor], bits, True)}
        return losses(case, torch.func.functional_call(case.module, changed, (x,))) - plain
    signed = case.graph.signed()[tensor] and (tensor not in case.graph.inputs or bool((x < 0).any()))
    change = Shifted(case.module, tensor, lambda value: rounded(value, bits, signed))
    return losses(case, change.run(x)) - plain


def check(case: Case, sensitivity: Sensitivity, tensors: list[str]) -> None:
    assert list(sensitivity.increases) == tensors == [*sensitivity.parameters, *sensitivity.activations]
    for name in tensors:
        for bits in BITS:
            each, score = direct(case, name, bits), sensitivity.increases[name][bits]
            scale = float(np.abs(each).max()) + 1e-9
            assert score.value == pytest.approx(each.mean(), rel=1e-6, abs=1e-6 * scale)
            assert score.data_error == pytest.approx(each.std(ddof=1) / len(each) ** 0.5, rel=1e-5, abs=1e-6 * scale)
            assert score.probe_error == 0
        assert sensitivity.scores[name] == sensitivity.increases[name][sensitivity.ranking_bits or 0]


@settings(max_examples=25)
@given(cases("linear") | cases("tokens") | cases("conv") | cases("residual"))
def test_against_a_direct_evaluation(case: Case) -> None:
    step = Perturbation(precision="float64", bits=BITS, loss=case.loss)  # type: ignore[arg-type]
    sensitivity = found(step, case.design)
    assert (sensitivity.quantity, sensitivity.matrix, sensitivity.ranking_bits) == ("loss_increase", None, 4)
    weights = [name for name in case.weights if name.endswith("weight")]
    check(case, sensitivity, [*weights, *case.graph.activations()])


def test_weights_alone() -> None:
    case = small(samples=9)
    step = Perturbation(precision="float64", bits=BITS, ranking_bits=7, tensors="weights")
    check(case, found(step, case.design), ["0.weight", "2.weight"])


def test_the_error_is_that_of_pairs() -> None:
    """It is of the differences: far below the spread of the losses themselves."""
    sensitivity = found(Perturbation(2000, bits=(4, 8), tensors="weights"), loaded())
    train = loaded().dataset.split("train")
    rows = even_rows(len(train), 2000)
    x, y = torch.tensor(train.inputs[0][rows]), torch.as_tensor(train.labels[rows])
    for node in loaded().graph.weighted():
        x = functional.linear(x, *(torch.tensor(loaded().graph.parameters[p]) for p in node.op.parameters().values()))
        x = x if node.name == loaded().graph.nodes[-1].name else x.relu()
    spread = float(functional.cross_entropy(x, y, reduction="none").std()) / 2000**0.5
    for increases in sensitivity.increases.values():
        assert increases[8].data_error < spread / 5
        assert increases[8].value < increases[4].value
        assert increases[8].data_error < increases[4].data_error


def test_the_error_is_the_spread_over_data() -> None:
    whole = found(Perturbation(20 * 200, bits=(3,), ranking_bits=3, tensors="weights"), loaded())
    train, design = loaded().dataset.split("train"), loaded()
    rows = even_rows(len(train), 20 * 200)
    values: dict[str, list[float]] = {name: [] for name in whole.parameters}
    errors: dict[str, list[float]] = {name: [] for name in whole.parameters}
    for offset in range(20):
        x, y = train.inputs[0][rows[offset::20]], train.labels[rows[offset::20]]
        part = Case(design.graph, torch.nn.Identity(), x, y)
        one = found(Perturbation(200, bits=(3,), ranking_bits=3, tensors="weights"), part.design)
        for name, score in one.parameters.items():
            values[name].append(score.value)
            errors[name].append(score.data_error)
    for name, score in whole.parameters.items():
        assert np.mean(values[name]) == pytest.approx(score.value, rel=1e-4, abs=1e-6)
        assert 0.6 < np.mean(errors[name]) / np.std(values[name], ddof=1) < 1.6
        assert 0.8 < np.mean(errors[name]) / 20**0.5 / score.data_error < 1.25


def test_formats_are_chosen_on_the_calibration_samples() -> None:
    case = small(samples=40)
    some, every = (
        found(Perturbation(precision="float64", bits=(3,), ranking_bits=3, calibration=count), case.design)
        for count in (2, 40)
    )
    assert some.parameters == every.parameters
    assert some.activations != every.activations
