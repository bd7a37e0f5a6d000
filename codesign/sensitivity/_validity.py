"""Is the loss one that second derivatives say something about? Looked at before every metric."""

from math import ceil, inf

import torch
from torch import Tensor

from codesign.calibrate import even_rows
from codesign.design import Sensitivity
from codesign.errors import InputError
from codesign.sensitivity._objective import Objective, replaced

#: Samples looked at, and the share of the loss that one step along the gradient may gain at a minimum.
SAMPLES, GAIN = 4096, 0.05


def probe(objective: Objective) -> list[str]:
    """Evaluate a batch twice, and see how far from a minimum the network is.

    Returns:
        What the user should know.

    Raises:
        InputError: The loss is not finite, or not the same twice.
    """
    few = objective.part(objective.rows[even_rows(len(objective.rows), SAMPLES)])
    _deterministic(few)
    loss, length, gain = _gain(few)
    if gain == inf:
        text = "the loss bends down along its own gradient"
    elif gain > GAIN * loss:
        share = f"{gain / loss:.0%} of it" if gain < loss else "all of it, and more"
        text = f"by its slope and curvature, one step along the gradient takes {share} off the loss of {loss:.3g}"
    else:
        return []
    away = f"the network is far from a minimum (gradient norm {length:.2g}): {text}"
    seen = f"on {len(few.rows)} samples, {away}"
    return [f"{seen}; second derivatives say little about a network that is not trained to the end"]


def remarks(found: Sensitivity, relative_error: float, available: int | None = None) -> list[str]:
    """What the user should know about scores: errors larger than asked for, and negative ones.

    Args:
        found: The scores.
        relative_error: The standard error that was asked for, relative to the value.
        available: Samples that the training split has, if that is known.
    """
    texts: list[str] = []

    def worst(errors: dict[str, float]) -> tuple[str, float]:
        relative = {name: error / abs(found.scores[name].value) for name, error in errors.items()}
        return max(relative.items(), key=lambda item: item[1])

    scores = {name: score for name, score in found.scores.items() if score.value}
    if not scores:
        return texts
    name, error = worst({name: score.data_error for name, score in scores.items()})
    if error > relative_error:
        needed = ceil(found.samples * (error / relative_error) ** 2)
        texts.append(
            f"{name}: {found.samples} samples leave a standard error of {error:.1%}, more than {relative_error:.1%}; "
            f"about {needed} samples would do"
            + (f", the training split has {available}" if available is not None and available < needed else "")
        )
    name, error = worst({name: score.probe_error for name, score in scores.items()})
    if error > relative_error:
        what = f"{name}: the estimate leaves an error of {error:.1%}, more than {relative_error:.1%}"
        texts.append(f"{what}; allow more products or draws")
    if negative := [name for name, score in scores.items() if score.value < -2 * score.stderr]:
        texts.append(f"negative {found.quantity.replace('_', ' ')} of {', '.join(negative)}: no minimum of the loss")
    return texts


def _deterministic(objective: Objective) -> None:
    """The same batch twice gives the same loss and gradient, bit for bit on the CPU."""
    batch = next(iter(objective.batches()))
    names = list(objective.parameters)
    found: list[tuple[Tensor, ...]] = []
    for _ in range(2):
        leaves = {name: value.clone().requires_grad_() for name, value in objective.parameters.items()}
        loss = objective.losses(batch, replaced(leaves)).mean()
        if not bool(loss.isfinite()):
            with torch.no_grad():
                raise objective.blame(objective.values(batch))
        found.append((loss.detach(), *torch.autograd.grad(loss, list(leaves.values()))))
    for what, one, two in zip(["loss", *names], *found, strict=True):
        same = torch.equal(one, two) if one.device.type == "cpu" else torch.allclose(one, two, rtol=1e-3)
        if not same:  # on a GPU some sums are taken in any order
            where = "loss" if what == "loss" else f"gradient of {what!r}"
            raise InputError(where, "differs when the same batch is evaluated twice", "a network without randomness")


def _gain(objective: Objective) -> tuple[float, float, float]:
    """Mean loss, gradient norm, and what the best step along the gradient g gains: ``(g g)^2 / (2 g H g)``.

    ``g g`` is taken between the gradients of two halves of the data, whose noise is independent: few samples of a
    trained network have a gradient too.
    """
    weights = {name: value.clone().requires_grad_() for name, value in objective.parameters.items()}
    leaves = list(weights.values())

    def summed(direction: list[Tensor] | None) -> tuple[float, list[list[Tensor]]]:
        """Mean loss, and its gradient on either half; or the Hessian's product with a direction."""
        loss, halves = 0.0, [[torch.zeros_like(leaf) for leaf in leaves] for _ in range(2)]
        for index, batch in enumerate(objective.batches(2)):
            value = objective.losses(batch, replaced(weights)).sum() / len(objective.rows)
            loss += float(value.detach())
            parts = torch.autograd.grad(value, leaves, create_graph=direction is not None)
            if direction is not None:
                parts = torch.autograd.grad(parts, leaves, direction, materialize_grads=True)
            halves[index % 2] = [a + b for a, b in zip(halves[index % 2], parts, strict=True)]
        return loss, halves

    loss, (one, other) = summed(None)
    gradient = [a + b for a, b in zip(one, other, strict=True)]
    length = 4 * _product(one, other)  # each half is half of the mean
    if length <= 0:
        return loss, 0.0, 0.0
    curvature = sum(_product(gradient, half) for half in summed(gradient)[1])
    return loss, length**0.5, length**2 / (2 * curvature) if curvature > 0 else inf


def _product(one: list[Tensor], other: list[Tensor]) -> float:
    return sum(float((a.double() * b).sum()) for a, b in zip(one, other, strict=True))
