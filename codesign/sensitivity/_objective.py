"""The mean loss over data as a function of the network's tensors: what every sensitivity metric looks at."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from codesign.arrays import IntArray
from codesign.design import Split
from codesign.errors import InputError
from codesign.graph import Graph, Node
from codesign.sensitivity._criterion import Criterion
from codesign.torch_forward import float_forward

#: What is done to a parameter or an activation, by its name, before it is used.
Changes = Mapping[str, Callable[[Tensor], Tensor]]
UNCHANGED: Changes = {}


def replaced(tensors: Mapping[str, Tensor]) -> Changes:
    """Tensors in the place of others."""

    def change(tensor: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda _: tensor

    return {name: change(tensor) for name, tensor in tensors.items()}


@dataclass(frozen=True)
class Batch:
    """Samples on the device: inputs ``[batch, ...]`` per graph input, labels ``[batch, ...]``."""

    inputs: tuple[Tensor, ...]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Objective:
    """A network, a loss, and the samples to average it over; batches are read as they are needed.

    Args:
        graph: The float network; its only output is ``[batch, outputs]``.
        criterion: The loss.
        parameters: By name, on the device.
        data: The split; its arrays may be memory-mapped.
        rows: The samples of it to use.
        batch: Most samples held at a time.
    """

    graph: Graph
    criterion: Criterion
    parameters: dict[str, Tensor]
    data: Split
    rows: IntArray
    batch: int

    @property
    def outputs(self) -> int:
        """Outputs of the network, or classes."""
        return self.graph.shapes()[self.graph.outputs[0]][0]

    def batches(self, at_least: int = 1) -> Generator[Batch]:
        """The samples in as few batches as hold them.

        Args:
            at_least: Where more batches are asked for, each is a fair part of the data: samples are dealt out, since
                files are often sorted by class.
        """
        first = next(iter(self.parameters.values()))
        total = len(self.rows)
        count = min(max(-(-total // self.batch), at_least), total)
        for index in range(count):
            block = slice(total * index // count, total * (index + 1) // count)
            rows = self.rows[block if at_least == 1 else slice(index, None, count)]
            inputs = tuple(torch.as_tensor(np.asarray(x[rows])).to(first) for x in self.data.inputs)
            labels = torch.as_tensor(np.asarray(self.data.wanted[rows]))
            yield Batch(inputs, labels.to(first.device, first.dtype if labels.is_floating_point() else torch.int64))

    def part(self, rows: IntArray) -> "Objective":
        """The same over some of the samples."""
        return Objective(self.graph, self.criterion, self.parameters, self.data, rows, self.batch)

    def values(self, batch: Batch, changes: Changes = UNCHANGED) -> dict[str, Tensor]:
        """Every tensor of the network for a batch, with some parameters or activations changed on the way."""
        if not changes:
            return float_forward(self.graph, self.parameters, batch.inputs)

        def changed(name: str, value: Tensor) -> Tensor:
            return changes[name](value) if name in changes else value

        def step(node: Node, values: list[Tensor]) -> Tensor:
            roles = node.op.parameters()
            parameters = {role: changed(name, self.parameters[name]) for role, name in roles.items()}
            return changed(node.output, node.op.forward(values, parameters))

        given = zip(self.graph.inputs, batch.inputs, strict=True)
        return self.graph.run({name: changed(name, x) for name, x in given}, step)

    def losses(self, batch: Batch, changes: Changes = UNCHANGED) -> Tensor:
        """Loss of every sample of a batch, ``[batch]``."""
        return self.criterion.losses(self.values(batch, changes)[self.graph.outputs[0]], batch.labels)

    @torch.no_grad()
    def all_losses(self, changes: Changes = UNCHANGED) -> npt.NDArray[np.float64]:
        """Loss of every sample, ``[samples]``.

        Raises:
            InputError: One is not finite.
        """
        found: list[npt.NDArray[np.float64]] = []
        for batch in self.batches():
            values = self.values(batch, changes)
            losses = self.criterion.losses(values[self.graph.outputs[0]], batch.labels)
            if not bool(losses.isfinite().all()):
                raise self.blame(values)
            found.append(losses.double().cpu().numpy())
        return np.concatenate(found)

    def blame(self, values: Mapping[str, Tensor]) -> InputError:
        """What to say where the loss is not finite: the first tensor that is not."""
        for name in (*self.parameters, *values):
            tensor = self.parameters.get(name, values.get(name))
            if tensor is not None and (bad := int((~tensor.isfinite()).sum())):
                kind = "parameter" if name in self.parameters else "activation"
                found = f"{bad} of {tensor.numel()} values are NaN or infinite, so the loss is not finite"
                return InputError(f"{kind} {name!r}", found, "a network and data in range", "look at this layer first")
        name = self.graph.outputs[0]
        return InputError(f"loss of output {name!r}", "not finite on the calibration data", "numbers in range")


@contextmanager
def reproducible() -> Generator[None]:
    """Whole float32 products, and on a GPU fixed algorithms, whatever the process is set to."""
    cudnn: Any = torch.backends.cudnn
    flags = cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark
    precision = torch.get_float32_matmul_precision()
    cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = False, True, False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = flags
        torch.set_float32_matmul_precision(precision)
