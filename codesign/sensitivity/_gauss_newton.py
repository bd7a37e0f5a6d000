"""Traces from squared gradients along columns of a root of the loss's Hessian in the outputs, streamed over the data.

``tr = 1/N sum_n sum_s ||d (f_n . s) / d theta||^2`` with ``sum_s s s^T`` the Hessian in the outputs: the Gauss-Newton
matrix with the exact root, the Monte Carlo Fisher with drawn columns, the empirical Fisher with the loss's gradient.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import torch
from torch import Generator, Tensor

from codesign.design import Sensitivity
from codesign.errors import InputError
from codesign.passes import Progress
from codesign.sensitivity._criterion import Criterion
from codesign.sensitivity._directions import Backward
from codesign.sensitivity._objective import Batch, Objective
from codesign.sensitivity._totals import Totals, added

#: Columns taken through the network at once: bounds the memory where there are many classes.
COLUMNS = 32


@dataclass(frozen=True)
class Columns:
    """Which columns: groups of them per batch, whose squares add up (one group), or are independent draws (several).

    Args:
        kind: ``exact`` for the root, ``drawn`` for random ones, ``gradient`` for the loss's own gradient.
        draws: Of random ones, per sample.
        seed: For those.
    """

    kind: Literal["exact", "drawn", "gradient"]
    draws: int = 0
    seed: int = 0

    def groups(
        self, criterion: Criterion, outputs: Tensor, batch: Batch, generator: Generator
    ) -> list[Iterable[Tensor]]:
        """Groups of ``[batch, columns, outputs]``; two independent halves where columns are drawn."""
        if self.kind == "gradient":
            return [[criterion.gradients(outputs, batch.labels).unsqueeze(1)]]
        if self.kind == "exact":
            starts = range(0, criterion.rank(outputs.shape[1]), COLUMNS)
            return [(criterion.roots(outputs, slice(start, start + COLUMNS)) for start in starts)]
        half = self.draws // 2
        counts = [min(COLUMNS, half - start) for start in range(0, half, COLUMNS)]
        return [(criterion.sampled_roots(outputs, count, generator) / half**0.5 for count in counts) for _ in range(2)]


@torch.inference_mode()
def measure(objective: Objective, columns: Columns, backward: Backward, progress: Progress) -> Sensitivity:
    """Stream over the data.

    Args:
        objective: Network, loss and samples.
        columns: Which columns.
        backward: The backward pass, with what it measures.
        progress: Told how many samples are done.

    Raises:
        InputError: The loss is not finite, or a parameter has no gradient.
    """
    totals = Totals()
    sizes = {name: value.numel() for name, value in objective.parameters.items()}
    generator = torch.Generator(next(iter(objective.parameters.values())).device).manual_seed(columns.seed)
    for batch in objective.batches():
        values = objective.values(batch)
        outputs = values[objective.graph.outputs[0]]
        loss = float(objective.criterion.losses(outputs, batch.labels).sum(dtype=torch.float64))
        if not isfinite(loss):
            raise objective.blame(values)
        groups = [
            added(backward.squares(objective.parameters, values, part) for part in group)
            for group in columns.groups(objective.criterion, outputs, batch, generator)
        ]
        totals.add(groups, len(batch), loss)
        sizes |= {name: values[name][0].numel() for name in backward.activations}
        progress("squared gradients", totals.count, len(objective.rows))
    scores = totals.scores(sizes)
    parameters = {name: scores[name] for name in objective.parameters if name in scores}
    if not any(score.value for score in parameters.values()):
        what = "gradient" if columns.kind == "gradient" else "curvature in the outputs"
        found = f"no {what} for any of {totals.count} samples: every prediction is certain"
        raise InputError(
            "loss", found, "a loss that depends on the weights", "give other data, or precision = 'float64'"
        )
    if flat := [name for name, score in parameters.items() if score.value == 0]:
        raise InputError(
            f"parameter {flat[-1]!r}",
            f"no gradient: it is zero for all {totals.count} samples; so for {', '.join(flat)}",
            "tensors that the loss depends on",
            f"look at {flat[-1]} and what follows it: a layer whose inputs or ReLUs are all zero, or weights of zero",
        )
    exact = columns.kind != "gradient" and all(node.op.piecewise_linear for node in objective.graph.nodes)
    channels, errors = totals.channel_traces()
    return Sensitivity(
        quantity="trace",
        matrix="empirical_fisher" if columns.kind == "gradient" else "hessian" if exact else "gauss_newton",
        parameters=parameters,
        activations={name: scores[name] for name in backward.activations},
        samples=totals.count,
        loss=totals.loss / totals.count,
        loss_unit=objective.criterion.unit,
        channels=channels,
        channel_errors=errors,
        elements=totals.diagonals(),
    )
