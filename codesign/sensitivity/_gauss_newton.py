"""Traces from squared gradients along columns of a root of the loss's Hessian in the outputs, streamed over the data.

``tr = 1/N sum_n sum_s ||d (f_n . s) / d theta||^2`` with ``sum_s s s^T`` the Hessian in the outputs: the Gauss-Newton
matrix with the exact root, the Monte Carlo Fisher with drawn columns, the empirical Fisher with the loss's gradient.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Generator, Tensor

from codesign.arrays import FloatArray
from codesign.design import Score, Sensitivity
from codesign.errors import InputError
from codesign.ops.op import SquaredGradients
from codesign.passes import Progress
from codesign.sensitivity._criterion import Criterion
from codesign.sensitivity._directions import Backward
from codesign.sensitivity._objective import Batch, Objective

#: Columns taken through the network at once: bounds the memory where there are many classes.
COLUMNS = 32

Squares = Mapping[str, SquaredGradients]


@dataclass(frozen=True)
class Columns:
    """Which columns: groups of them per batch, whose squares add up (one group), or are independent draws (several).

    Args:
        kind: ``exact`` for the root, ``drawn`` for random ones, ``gradient`` for the loss's own gradient.
        draws: Of random ones, per sample.
        seed: For those.
    """

    kind: str
    draws: int = 0
    seed: int = 0

    def groups(
        self, criterion: Criterion, outputs: Tensor, batch: Batch, generator: Generator
    ) -> list[Iterable[Tensor]]:
        """Groups of ``[columns, batch, outputs]``; two independent halves where columns are drawn."""
        if self.kind == "gradient":
            return [[criterion.gradients(outputs, batch.labels).unsqueeze(0)]]
        if self.kind == "exact":
            starts = range(0, criterion.rank(outputs.shape[1]), COLUMNS)
            return [(criterion.roots(outputs, slice(start, start + COLUMNS)) for start in starts)]
        half = self.draws // 2
        return [[criterion.sampled_roots(outputs, half, generator) / half**0.5] for _ in range(2)]


@dataclass
class Totals:
    """Sums over samples, float64.

    Per-sample traces are summed with their squares for the standard error of the data, and with the squared
    differences of independent halves of the draws for that of the draws.
    """

    count: int = 0
    loss: float = 0.0
    traces: Tensor | None = None
    channels: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    elements: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    def add(self, groups: Sequence[Squares], losses: Tensor, channels: bool) -> None:
        """Take in a batch."""
        self.count += len(losses)
        self.loss += float(losses.sum(dtype=torch.float64))
        parts = [torch.stack([square.channels.sum(1) for square in group.values()]) for group in groups]
        mean = sum(parts[1:], parts[0]).double() / len(parts)
        spread = (parts[0] - parts[1]).double().square().sum(1) / 4 if len(parts) == 2 else torch.zeros(len(mean))
        sums = torch.stack([mean.sum(1), mean.square().sum(1), spread.to(mean.device)])
        self.traces = sums if self.traces is None else self.traces + sums
        for group in groups:
            for name, square in group.items():
                if square.elements is not None:
                    _add(self.elements, name, square.elements.double() / len(groups))
        if channels:
            for name in groups[0]:
                both = sum((group[name].channels for group in groups[1:]), groups[0][name].channels) / len(groups)
                _add(self.channels, name, torch.stack([both.sum(0), both.square().sum(0)]).double())

    def scores(self, names: Sequence[str], sizes: Mapping[str, int]) -> dict[str, Score]:
        """The scores of the tensors in the order in which their traces were summed."""
        if self.traces is None:
            return {}
        sums, squares, probes = self.traces.cpu().numpy()
        errors, drawn = _error(sums, squares, self.count) ** 2, probes / self.count**2
        return {
            name: Score(
                float(total) / self.count, float(max(error - probe, 0.0) ** 0.5), float(probe**0.5), sizes[name]
            )
            for name, total, error, probe in zip(names, sums, errors, drawn, strict=True)
        }


@torch.inference_mode()
def measure(
    objective: Objective, columns: Columns, backward: Backward, channels: bool, progress: Progress
) -> Sensitivity:
    """Stream over the data.

    Args:
        objective: Network, loss and samples.
        columns: Which columns.
        backward: The backward pass, with what it measures.
        channels: Whether traces of channels are wanted.
        progress: Told how many samples are done.

    Raises:
        InputError: The loss is not finite, or a parameter has no gradient.
    """
    totals = Totals()
    names: list[str] = []
    sizes = {name: value.numel() for name, value in objective.parameters.items()}
    device = next(iter(objective.parameters.values())).device
    generator = torch.Generator(device).manual_seed(columns.seed)
    for batch in objective.batches():
        values = objective.values(batch)
        outputs = values[objective.graph.outputs[0]]
        losses = objective.criterion.losses(outputs, batch.labels)
        if not bool(losses.isfinite().all()):
            raise objective.blame(values)
        groups = [
            _summed(backward.squares(objective.parameters, values, part) for part in group)
            for group in columns.groups(objective.criterion, outputs, batch, generator)
        ]
        totals.add(groups, losses, channels)
        names = list(groups[0])
        sizes |= {name: values[name][0].numel() for name in backward.activations}
        progress("squared gradients", totals.count, len(objective.rows))
    scores = totals.scores(names, sizes)
    parameters = {name: scores[name] for name in objective.parameters if name in scores}
    for name, score in parameters.items():
        if score.value == 0:
            raise InputError(
                f"parameter {name!r}",
                f"no gradient: it is zero for all {totals.count} samples",
                "a tensor that the loss depends on",
                "its layer is dead (all its inputs, or all ReLUs after it, are zero): train it again or take it out",
            )
    exact = columns.kind != "gradient" and all(node.op.piecewise_linear for node in objective.graph.nodes)
    summed = {name: both.cpu().numpy() for name, both in totals.channels.items()}
    return Sensitivity(
        quantity="trace",
        matrix="empirical_fisher" if columns.kind == "gradient" else "hessian" if exact else "gauss_newton",
        parameters=parameters,
        activations={name: scores[name] for name in objective.graph.activations() if name in backward.activations},
        samples=totals.count,
        loss=totals.loss / totals.count,
        channels={name: both[0] / totals.count for name, both in summed.items()},
        channel_errors={name: _error(both[0], both[1], totals.count) for name, both in summed.items()},
        elements={name: value.cpu().numpy() / totals.count for name, value in totals.elements.items()},
    )


def _error(total: FloatArray, squares: FloatArray, count: int) -> FloatArray:
    """Standard error of a mean from sums of values and of their squares."""
    variance = np.maximum(squares / count - (total / count) ** 2, 0.0) * count / (count - 1)
    return np.sqrt(variance / count)


def _summed(parts: Iterator[dict[str, SquaredGradients]]) -> dict[str, SquaredGradients]:
    """Squares of several groups of columns, added."""
    total: dict[str, SquaredGradients] = {}
    for part in parts:
        for name, square in part.items():
            total[name] = total[name].plus(square) if name in total else square
    return total


def _add(totals: dict[str, Tensor], name: str, value: Tensor) -> None:
    totals[name] = totals[name] + value if name in totals else value
