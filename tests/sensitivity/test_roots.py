"""The losses' roots against torch's own second derivatives of the loss in the outputs."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import grad, hessian, vmap
from torch.nn import functional

from codesign.errors import InputError
from codesign.sensitivity._criterion import CRITERIA, Criterion

LOGITS = st.floats(-3, 3) | st.sampled_from([-1e4, -800.0, -40.0, 0.0, 40.0, 800.0, 1e4])
EXTREME = torch.tensor([[1e4, 0, 0], [-1e4, 0, 0], [0, 0, -1e4], [1e4, 1e4, -1e4], [0, 0, 0]], dtype=torch.float64)


@st.composite
def logits(draw: st.DrawFn, least: int = 1) -> Tensor:
    """``[samples, outputs]``; predictions of 0 and 1 among them."""
    samples, outputs = draw(st.integers(1, 4)), draw(st.integers(least, 7))
    numbers = draw(st.lists(LOGITS, min_size=samples * outputs, max_size=samples * outputs))
    return torch.tensor(numbers, dtype=torch.float64).reshape(samples, outputs)


def one_loss(name: str, outputs: Tensor, label: Tensor) -> Tensor:
    """Of one sample, by torch."""
    if name == "cross_entropy":
        return functional.cross_entropy(outputs, label)
    return functional.mse_loss(outputs, label)


def labels_for(name: str, outputs: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if name == "cross_entropy":
        return torch.randint(0, outputs.shape[1], (len(outputs),), generator=generator)
    return torch.randn(outputs.shape, generator=generator, dtype=torch.float64)


def check(name: str, outputs: Tensor, seed: int = 0, cuts: list[int] | None = None) -> None:
    criterion: Criterion = CRITERIA[name]  # type: ignore[index]
    labels = labels_for(name, outputs, seed)
    rank = criterion.rank(outputs.shape[1])
    edges = sorted({0, rank, *(cut % (rank + 1) for cut in cuts or [])})
    parts = [criterion.roots(outputs, slice(a, b)) for a, b in pairwise(edges)]
    roots = torch.cat(parts, 1)
    assert roots.shape == (len(outputs), rank, outputs.shape[1])
    assert roots.isfinite().all()
    wanted = vmap(hessian(lambda f, y: one_loss(name, f, y)))(outputs, labels)
    torch.testing.assert_close(torch.einsum("nsk,nsl->nkl", roots, roots), wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        criterion.gradients(outputs, labels), vmap(grad(lambda f, y: one_loss(name, f, y)))(outputs, labels)
    )
    losses = torch.stack([one_loss(name, f, y) for f, y in zip(outputs, labels, strict=True)])
    torch.testing.assert_close(criterion.losses(outputs, labels), losses)


@settings(max_examples=60)
@given(logits(least=2), st.integers(0, 9), st.lists(st.integers(0, 9), max_size=4))
def test_cross_entropy(outputs: Tensor, seed: int, cuts: list[int]) -> None:
    check("cross_entropy", outputs, seed, cuts)


@settings(max_examples=40)
@given(logits(), st.integers(0, 9), st.lists(st.integers(0, 9), max_size=4))
def test_squared_error(outputs: Tensor, seed: int, cuts: list[int]) -> None:
    check("squared_error", outputs.clamp(-50, 50), seed, cuts)


def test_certain_predictions() -> None:
    check("cross_entropy", EXTREME)
    roots = CRITERIA["cross_entropy"].roots(EXTREME, slice(None))
    assert not roots[0].any()  # a class that is certain leaves no curvature
    single = CRITERIA["cross_entropy"].roots(EXTREME.float(), slice(None))
    torch.testing.assert_close(single.double(), roots, rtol=1e-6, atol=1e-7)


def test_many_classes_in_pieces() -> None:
    outputs = torch.randn(3, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 5
    check("cross_entropy", outputs, cuts=[32, 64, 96, 128, 160, 192])
    beyond = CRITERIA["cross_entropy"].roots(outputs, slice(192, 999))
    assert beyond.shape == (3, 7, 200)


@pytest.mark.parametrize("name", ["cross_entropy", "squared_error"])
def test_drawn_roots_are_right_on_average(name: str) -> None:
    outputs = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2
    criterion: Criterion = CRITERIA[name]  # type: ignore[index]
    draws = 40_000
    drawn = criterion.sampled_roots(outputs, draws, torch.Generator().manual_seed(2))
    assert drawn.shape == (4, draws, 5)
    every = torch.einsum("nsk,nsl->snkl", drawn, drawn)
    roots = criterion.roots(outputs, slice(None))
    wanted = torch.einsum("nsk,nsl->nkl", roots, roots)
    error = every.std(0) / draws**0.5
    assert ((every.mean(0) - wanted).abs() <= 4.5 * error + 1e-12).all()
    assert not torch.equal(drawn[:, : draws // 2], drawn[:, draws // 2 :])


def test_drawn_roots_follow_the_generator() -> None:
    outputs = torch.randn(3, 4)
    for criterion in CRITERIA.values():
        one, same, other = (
            criterion.sampled_roots(outputs, 6, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


def test_squared_error_takes_classes_as_one_hot() -> None:
    outputs, classes = torch.randn(5, 3), torch.tensor([2, 0, 1, 1, 0])
    criterion = CRITERIA["squared_error"]
    one_hot = functional.one_hot(classes, 3).float()
    for function in (criterion.losses, criterion.gradients):
        torch.testing.assert_close(function(outputs, classes), function(outputs, one_hot))
    criterion.check(3, classes)
    criterion.check(1, torch.tensor([7, -3]))  # numbers for one output
    criterion.check(1, torch.randn(4, 1))


@pytest.mark.parametrize(
    ("name", "outputs", "labels", "message"),
    [
        ("cross_entropy", 1, torch.tensor([0, 0]), "1 output"),
        ("cross_entropy", 3, torch.tensor([0, 3]), "labels from 0 to 3"),
        ("cross_entropy", 3, torch.tensor([-1, 2]), "labels from -1 to 2"),
        ("cross_entropy", 3, torch.tensor([0.0, 1.0]), r"float32; wanted: class indices"),
        ("cross_entropy", 3, torch.tensor([[0, 1, 0]]), r"shape \[1, 3\]"),
        ("squared_error", 3, torch.randn(4, 2), r"\[4, 2\]; wanted: \[samples, 3\]"),
        ("squared_error", 3, torch.randn(4), r"\[4\]; wanted: \[samples, 3\]"),
        ("squared_error", 3, torch.zeros(4, 2, dtype=torch.int64), r"\[4, 2\]; wanted: \[samples, 3\]"),
        ("squared_error", 3, torch.tensor([0, 3]), "labels from 0 to 3"),
        ("squared_error", 1, torch.randn(4, 2), r"\[4, 2\]; wanted: \[samples, 1\]"),
    ],
)
def test_labels_that_do_not_fit(name: str, outputs: int, labels: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CRITERIA[name].check(outputs, labels)  # type: ignore[index]


def test_labels_of_every_integer_type() -> None:
    for kind in (np.int8, np.uint8, np.int16, np.int32, np.int64):
        CRITERIA["cross_entropy"].check(3, torch.as_tensor(np.array([0, 2], kind)))
