"""Where quantization starts: the formats that allocation judges, and that fine-tuning begins with."""

from dataclasses import dataclass

import numpy as np
import torch

from codesign.arrays import FloatArray
from codesign.calibrate import best_format, even_rows
from codesign.design import Design
from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.graph import Graph
from codesign.torch_forward import float_forward, threads, to_tensors


@dataclass(frozen=True)
class Starting:
    """A float network and what its tensors look like on calibration data.

    Args:
        graph: The network.
        values: Activations ``[samples, ...]`` by tensor name.
        signed: Whether each activation has a sign.
    """

    graph: Graph
    values: dict[str, FloatArray]
    signed: dict[str, bool]

    @classmethod
    def of(cls, design: Design, samples: int) -> "Starting":
        """Look at evenly spread samples of the training split.

        Raises:
            InputError: An activation is not finite.
        """
        graph, train = design.graph, design.dataset.split("train")
        rows = even_rows(len(train), samples)
        with torch.no_grad(), threads(1):
            inputs = [torch.tensor(x[rows]) for x in train.inputs]
            tensors = float_forward(graph, to_tensors(graph.parameters), inputs)
        values = {name: tensors[name].numpy() for name in graph.activations()}
        for name, value in values.items():
            if bad := int(np.count_nonzero(~np.isfinite(value))):
                raise InputError(
                    f"activation {name!r}", f"{bad} values are NaN or infinite", "weights and data in range"
                )
        signed = graph.signed() | {name: bool(values[name].min() < 0) for name in graph.inputs}
        return cls(graph, values, signed)

    def format(self, name: str, width: int) -> tuple[Fixed, float]:
        """The format of a parameter or activation at a width, and its mean squared error per element."""
        if name in self.graph.parameters:
            return best_format(self.graph.parameters[name], width, True)
        return best_format(self.values[name], width, self.signed[name])
