"""Where quantization starts: the formats that allocation judges, and that fine-tuning begins with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import torch

from codesign.arrays import FloatArray
from codesign.calibrate import Float64, best_format, channel_formats, even_rows, format_for, stride
from codesign.design import Design
from codesign.errors import ContractError, InputError
from codesign.fixed import Fixed, quantize
from codesign.graph import Graph
from codesign.torch_forward import float_forward, threads, to_tensors

#: Most activations held at once, over all tensors; what a larger network's batch is cut to.
HELD = 2**25


@dataclass
class Seen:
    """What is kept of an activation.

    Args:
        rows: The samples that ``format_for`` looks at, ``[kept, ...]`` of every batch.
        largest: The largest magnitude of all samples.
        negative: Whether any value is.
        bad: Values that are NaN or infinite.
    """

    rows: list[FloatArray] = field(default_factory=list[FloatArray])
    largest: float = 0.0
    negative: bool = False
    bad: int = 0

    def add(self, values: FloatArray, first: int, step: int) -> None:
        """Take in a batch ``[batch, ...]`` from sample number ``first`` on, and keep every ``step``-th sample."""
        # A copy: a view would hold on to the whole batch.
        self.rows.append(values[-first % step :: step].copy())
        self.bad += int(np.count_nonzero(~np.isfinite(values)))
        self.largest = max(self.largest, float(np.abs(values).max()))
        self.negative = self.negative or bool(values.min() < 0)


def sent_formats(design: Design) -> dict[str, Fixed]:
    """The formats in which inputs are sent, by name; none where that is not known."""
    formats = design.dataset.formats
    return {} if formats is None else dict(zip(design.graph.inputs, formats, strict=True))


@dataclass(frozen=True)
class Starting:
    """A float network and what its tensors look like on calibration data.

    Args:
        graph: The network.
        values: Activations ``[kept, ...]`` by tensor name, of as many samples as the rule for formats looks at.
        largest: Largest magnitude of each activation over all samples.
        signed: Whether each activation has a sign.
        given: Formats that are not chosen here, by tensor name.
    """

    graph: Graph
    values: dict[str, FloatArray]
    largest: dict[str, float]
    signed: dict[str, bool]
    given: Mapping[str, Fixed] = field(default_factory=dict[str, Fixed])

    @classmethod
    def of(cls, design: Design, samples: int, given: Mapping[str, Fixed] | None = None) -> "Starting":
        """Look at evenly spread samples of the training split, no more than memory easily holds at a time.

        Args:
            design: Graph and data.
            samples: How many samples.
            given: Formats that are not chosen here.

        Raises:
            InputError: An activation is not finite.
        """
        graph, train = design.graph, design.dataset.split("train")
        rows = even_rows(len(train), samples)
        sizes = {name: prod(shape) for name, shape in graph.shapes().items()}
        batch = max(1, HELD // sum(sizes.values()))
        found = {name: Seen() for name in graph.activations()}
        parameters = to_tensors(graph.parameters)
        for first in range(0, len(rows), batch):
            with torch.no_grad(), threads(1):
                inputs = [torch.tensor(x[rows[first : first + batch]]) for x in train.inputs]
                tensors = float_forward(graph, parameters, inputs)
            for name, seen in found.items():
                seen.add(tensors[name].numpy(), first, stride(len(rows) * sizes[name]))
        for name, seen in found.items():
            if seen.bad:
                raise InputError(
                    f"activation {name!r}", f"{seen.bad} values are NaN or infinite", "weights and data in range"
                )
        signed = graph.signed() | {name: found[name].negative for name in graph.inputs}
        values = {name: np.concatenate(seen.rows) for name, seen in found.items()}
        largest = {name: seen.largest for name, seen in found.items()}
        return cls(graph, values, largest, signed, {**(given or {}), **sent_formats(design)})

    def format(self, name: str, width: int | Sequence[int]) -> tuple[Fixed, float]:
        """The format of a parameter or activation, and its mean squared error per element.

        Args:
            name: The tensor.
            width: Bits of the tensor, or of each output channel of a parameter; 0 for zero.
        """
        if name in self.given:
            return self.given[name], float(np.mean(self._errors(name)))
        if not isinstance(width, int):
            fixed, errors = self.channels(name, width)
            return fixed, float(np.mean(errors))
        if name in self.graph.parameters:
            return best_format(self.graph.parameters[name], width, True)
        return format_for(self.values[name], self.largest[name], width, self.signed[name])

    def channels(self, name: str, widths: Sequence[int]) -> tuple[Fixed, Float64]:
        """The format of a parameter with a width per output channel, and each one's mean squared error.

        Args:
            name: The parameter.
            widths: ``[channels]``; 0 for a channel of zeros.

        Returns:
            The format, its arrays ``[channels, 1, ...]``, and the errors per element ``[channels]``.

        Raises:
            ContractError: It is an activation, or there is not one width per channel.
        """
        if name not in self.graph.parameters:
            raise ContractError(f"tensor {name!r}", "a width per channel", "one width: it is an activation")
        if name in self.given:
            return self.given[name], self._errors(name).reshape(len(widths), -1).mean(1)
        return channel_formats(self.graph.parameters[name], widths)

    def _errors(self, name: str) -> Float64:
        """Squared errors of a given format, of the tensor's shape."""
        values = np.asarray({**self.values, **self.graph.parameters}[name], np.float64)
        return (quantize(values, self.given[name], "nearest_even").real() - values) ** 2

    def channel_errors(self, name: str, width: int) -> Float64:
        """Mean squared error per element of each output channel of a parameter at a width, ``[channels]``."""
        return self.channels(name, [width] * len(self.graph.parameters[name]))[1]
