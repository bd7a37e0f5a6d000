"""Sums over samples of squared gradients, and the means and standard errors that follow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Tensor

from codesign.arrays import FloatArray
from codesign.design import Score
from codesign.ops.op import SquaredGradients

Squares = Mapping[str, SquaredGradients]


@dataclass
class Totals:
    """Sums over samples, float64.

    Per-sample traces are summed with their squares for the standard error of the data, and with the squared
    differences of independent halves of the draws for that of the draws.
    """

    count: int = 0
    loss: float = 0.0
    names: list[str] = field(default_factory=list[str])
    traces: Tensor | None = None
    channels: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    elements: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    def add(self, halves: Sequence[Squares], samples: int, loss: float) -> None:
        """Take in a batch.

        Args:
            halves: Squares by tensor name: one, or two from independent draws.
            samples: In the batch.
            loss: Its summed loss.
        """
        self.count += samples
        self.loss += loss
        self.names = list(halves[0])
        parts = [torch.stack([square.totals for square in half.values()]).double() for half in halves]
        mean = parts[0] if len(parts) == 1 else (parts[0] + parts[1]) / 2
        sums = [mean.sum(1), mean.square().sum(1)]
        if len(parts) == 2:
            sums.append((parts[0] - parts[1]).square().sum(1) / 4)
        stacked = torch.stack(sums)
        self.traces = stacked if self.traces is None else self.traces + stacked
        whole = halves[0] if len(halves) == 1 else added(halves)
        for name, square in whole.items():
            if square.channels is not None:
                channels = square.channels / len(halves)
                _add(self.channels, name, torch.stack([channels.sum(0), channels.square().sum(0)]))
            if square.elements is not None:
                _add(self.elements, name, square.elements / len(halves))

    def scores(self, sizes: Mapping[str, int]) -> dict[str, Score]:
        """Mean traces, with their errors.

        Args:
            sizes: Elements by tensor name.
        """
        if self.traces is None:
            return {}
        rows = cast("list[list[float]]", self.traces.tolist())  # pyright: ignore[reportUnknownMemberType]
        sums, squares, probes = rows if len(rows) == 3 else (*rows, [0.0] * len(self.names))
        found: dict[str, Score] = {}
        for name, total, square, drawn in zip(self.names, sums, squares, probes, strict=True):
            probe = drawn / self.count**2
            variance = max(square / self.count - (total / self.count) ** 2, 0.0) / (self.count - 1)
            error = max(variance - probe, 0.0) ** 0.5
            found[name] = Score(total / self.count, error, probe**0.5, sizes[name])
        return found

    def channel_traces(self) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Mean traces of channels, and their standard errors."""
        means = {name: (sums / self.count).cpu().numpy() for name, sums in self.channels.items()}
        errors = {name: np.sqrt(np.maximum(m[1] - m[0] ** 2, 0.0) / (self.count - 1)) for name, m in means.items()}
        return {name: mean[0] for name, mean in means.items()}, errors

    def diagonals(self) -> dict[str, FloatArray]:
        """Mean diagonals, of the tensors' shapes."""
        return {name: (value / self.count).cpu().numpy() for name, value in self.elements.items()}


def added(parts: Iterable[Squares]) -> Squares:
    """Squares of several groups of columns, summed."""
    first, *rest = parts
    total = dict(first)
    for part in rest:
        total = {name: _sum(square, part[name]) for name, square in total.items()}
    return total


def _sum(one: SquaredGradients, other: SquaredGradients) -> SquaredGradients:
    def both(a: Tensor | None, b: Tensor | None) -> Tensor | None:
        return None if a is None or b is None else a + b

    return SquaredGradients(
        one.totals + other.totals, both(one.channels, other.channels), both(one.elements, other.elements)
    )


def _add(totals: dict[str, Tensor], name: str, value: Tensor) -> None:
    totals[name] = totals[name] + value.double() if name in totals else value.double()
