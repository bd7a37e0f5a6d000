"""A tensor's diagonal block of the loss's Hessian, as a matrix that can only be multiplied."""

from dataclasses import dataclass, field

import numpy as np
import torch

from codesign.errors import InputError
from codesign.sensitivity._objective import Changes, Objective, replaced
from codesign.sensitivity._probing import Matrix

#: Parts of the data whose spread is its own standard error.
PARTS = 8


@dataclass
class Block:
    """Second derivatives of the mean loss in one tensor; for an activation, in a shift of it that all samples share.

    Since every sample's loss depends on its own activation alone, that is the mean over samples of the Hessian in one
    sample's activation.

    Args:
        objective: The loss.
        tensor: Name of the parameter or activation.
        parts: How many the data is divided into, at least.
        sums: Per part of the data, samples, estimates and the sum of ``v H v`` over both.
    """

    objective: Objective
    tensor: str
    parts: int = PARTS
    sums: dict[int, tuple[int, int, float]] = field(init=False, default_factory=dict[int, tuple[int, int, float]])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor; for an activation, of one sample."""
        parameter = self.objective.parameters.get(self.tensor)
        return self.objective.graph.shapes()[self.tensor] if parameter is None else tuple(parameter.shape)

    @property
    def size(self) -> int:
        """Rows of the block."""
        return int(np.prod(self.shape))

    def products(self, probes: Matrix, traces: int = 0) -> Matrix:
        """``H V`` for columns ``V``, ``[size, columns]``: the gradient is differentiated again along each.

        Args:
            probes: The columns.
            traces: Of how many traces (or values) the sum of all ``v H v`` is an estimate; how it varies over the data
                is then kept. 0 if of none.

        Raises:
            InputError: They are not finite.
        """
        first = next(iter(self.objective.parameters.values()))
        directions = [torch.as_tensor(column.reshape(self.shape)).to(first) for column in probes.T]
        total = np.zeros_like(probes)
        if not directions:
            return total
        for index, batch in enumerate(self.objective.batches(self.parts)):
            leaf, changes = self._leaf(first)
            loss = self.objective.losses(batch, changes).sum()
            (gradient,) = torch.autograd.grad(loss, leaf, create_graph=True)
            if not gradient.requires_grad:  # the loss is linear in the tensor: no second derivatives
                continue
            found = [
                torch.autograd.grad(gradient, leaf, direction, retain_graph=True, materialize_grads=True)[0]
                for direction in directions
            ]
            part = torch.stack(found, -1).detach().double().cpu().numpy().reshape(probes.shape)
            if not np.isfinite(part).all():
                raise InputError(f"tensor {self.tensor!r}", "second derivatives that are not finite", "data in range")
            total += part
            if traces:
                samples, count, value = self.sums.get(index, (len(batch), 0, 0.0))
                self.sums[index] = samples, count + traces, value + float((probes * part).sum())
        return total / len(self.objective.rows)

    def data_error(self) -> float:
        """Standard error that the finite data leaves, from the spread over its parts."""
        parts = np.array([(samples, value / samples / count) for samples, count, value in self.sums.values()])
        if len(parts) < 2:
            return 0.0
        weights = parts[:, 0] / parts[:, 0].sum()
        mean = float(weights @ parts[:, 1])
        return float(np.sqrt((weights**2 @ (parts[:, 1] - mean) ** 2) * len(parts) / (len(parts) - 1)))

    def _leaf(self, like: torch.Tensor) -> tuple[torch.Tensor, Changes]:
        """The variable to differentiate in, and what the network is to do with it."""
        parameter = self.objective.parameters.get(self.tensor)
        if parameter is not None:
            leaf = parameter.clone().requires_grad_()
            return leaf, replaced({self.tensor: leaf})
        shift = torch.zeros(self.shape, dtype=like.dtype, device=like.device, requires_grad=True)
        return shift, {self.tensor: lambda value: value + shift}
