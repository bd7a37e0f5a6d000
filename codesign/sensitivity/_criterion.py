"""The loss as sensitivity needs it: per sample, with its gradient and a root of its Hessian in the outputs."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional

from codesign.errors import InputError

CriterionName = Literal["cross_entropy", "squared_error"]


class Criterion(ABC):
    """A loss of the network's outputs ``[batch, outputs]``, averaged over samples."""

    #: Unit of its values.
    unit: ClassVar[str]

    @abstractmethod
    def check(self, outputs: int, labels: Tensor) -> None:
        """See that labels ``[batch, ...]`` fit that many outputs.

        Raises:
            InputError: They don't.
        """

    @abstractmethod
    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Loss of every sample, ``[batch]``; differentiable."""

    @abstractmethod
    def rank(self, outputs: int) -> int:
        """Number of columns of the root."""

    @abstractmethod
    def roots(self, outputs: Tensor, columns: slice) -> Tensor:
        """Columns ``s`` of a root, ``[batch, columns, outputs]``: the sum of all ``s s^T`` is the Hessian in outputs.

        Args:
            outputs: ``[batch, outputs]``.
            columns: Which of the ``rank`` columns.
        """

    @abstractmethod
    def sampled_roots(self, outputs: Tensor, draws: int, generator: Generator) -> Tensor:
        """Random columns whose ``s s^T`` is the Hessian on average, ``[batch, draws, outputs]``; not scaled."""

    @abstractmethod
    def gradients(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Gradient of every sample's loss in its outputs, ``[batch, outputs]``."""


class CrossEntropy(Criterion):
    """``-log softmax(f)[label]``; labels are class indices ``[batch]``."""

    unit: ClassVar[str] = "nats"

    def check(self, outputs: int, labels: Tensor) -> None:
        """Class indices, each with its output, and at least two of those."""
        if outputs < 2:
            raise InputError("network output", "1 output", "one per class", "or set loss = 'squared_error'")
        if labels.dim() != 1 or labels.is_floating_point():
            found = f"shape {list(labels.shape)} of {labels.dtype}"
            raise InputError("labels", found, "class indices [samples]", "or set loss = 'squared_error'")
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < outputs:
            found = f"labels from {int(labels.min())} to {int(labels.max())}"
            raise InputError("labels", found, f"0 to {outputs - 1}, by the network's {outputs} outputs")

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """As ``torch.nn.functional.cross_entropy``; classes first, for a softmax over a short last axis is slow."""
        return -outputs.T.contiguous().log_softmax(0).gather(0, labels.unsqueeze(0))[0]

    def gradients(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """``softmax(f) - e_label``."""
        return outputs.softmax(1) - functional.one_hot(labels, outputs.shape[1]).to(outputs.dtype)

    def rank(self, outputs: int) -> int:
        """One less than there are classes."""
        return outputs - 1

    def roots(self, outputs: Tensor, columns: slice) -> Tensor:
        """``C - 1`` columns for C classes, where the usual root ``sqrt(p_c) (e_c - p)`` has C.

        With ``q = sqrt(softmax(f))``, a unit vector, the Hessian ``diag(q^2) - q^2 (q^2)^T`` is
        ``diag(q) (1 - q q^T) diag(q)``. The projector has rank C - 1: its root is made of the columns of the
        Householder reflection that takes the first axis to ``-q``, without the first one. With ``u = q + e_1``, column
        j is ``q (e_j - u q_j / (1 + q_1))``.
        """
        p = outputs.T.contiguous().softmax(0).T.contiguous()  # classes first: a short last axis is slow
        q = p.sqrt()
        shared = p / (q[:, :1] + 1)
        shared[:, 0] = q[:, 0]
        first, last, _ = columns.indices(self.rank(q.shape[1]))
        chosen = q[:, first + 1 : last + 1]
        found = -chosen.unsqueeze(2) * shared.unsqueeze(1)
        found[:, :, first + 1 : last + 1].diagonal(dim1=1, dim2=2).add_(chosen)
        return found

    def sampled_roots(self, outputs: Tensor, draws: int, generator: Generator) -> Tensor:
        """Gradients for labels drawn from the network's own prediction: ``softmax(f) - e_label``."""
        p = outputs.softmax(1)
        drawn = torch.multinomial(p, draws, replacement=True, generator=generator)
        return p.unsqueeze(1) - functional.one_hot(drawn, p.shape[1]).to(p.dtype)


class SquaredError(Criterion):
    """``mean over the K outputs of (f - y)^2``, as torch's MSELoss.

    Labels are numbers ``[batch, outputs]``; ``[batch]`` for one output; or class indices ``[batch]``, which stand for
    one-hot numbers.
    """

    unit: ClassVar[str] = "squared error"

    def check(self, outputs: int, labels: Tensor) -> None:
        """A number for every output, or a class."""
        if _classes(outputs, labels):
            CRITERIA["cross_entropy"].check(outputs, labels)
        elif labels.numel() != len(labels) * outputs:
            found = f"labels of shape {list(labels.shape)}"
            raise InputError("labels", found, f"[samples, {outputs}], by the network's {outputs} outputs")

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Mean over outputs."""
        return self._differences(outputs, labels).square().mean(1)

    def gradients(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """``2/K (f - y)``."""
        return self._differences(outputs, labels) * (2 / outputs.shape[1])

    @staticmethod
    def _differences(outputs: Tensor, labels: Tensor) -> Tensor:
        if _classes(outputs.shape[1], labels):
            labels = functional.one_hot(labels, outputs.shape[1])
        return outputs - labels.reshape(outputs.shape)

    def rank(self, outputs: int) -> int:
        """As many as there are outputs."""
        return outputs

    def roots(self, outputs: Tensor, columns: slice) -> Tensor:
        """The Hessian is ``2/K`` on the diagonal: one column per output."""
        count = outputs.shape[1]
        unit = torch.eye(count, dtype=outputs.dtype, device=outputs.device)[columns] * (2 / count) ** 0.5
        return unit.expand(len(outputs), *unit.shape).contiguous()

    def sampled_roots(self, outputs: Tensor, draws: int, generator: Generator) -> Tensor:
        """Random signs."""
        shape = (len(outputs), draws, outputs.shape[1])
        signs = torch.randint(0, 2, shape, generator=generator, device=outputs.device).to(outputs.dtype) * 2 - 1
        return signs * (2 / outputs.shape[1]) ** 0.5


def _classes(outputs: int, labels: Tensor) -> bool:
    """Whether labels are class indices."""
    return outputs > 1 and labels.dim() == 1 and not labels.is_floating_point()


CRITERIA: dict[CriterionName, Criterion] = {"cross_entropy": CrossEntropy(), "squared_error": SquaredError()}
