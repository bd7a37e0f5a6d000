"""The trained points as one file, from which any is taken later."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from codesign.design import Design, Point
from codesign.errors import InputError
from codesign.finetune._anneal import Run
from codesign.finetune._exact import Integers, count, integers, quantized
from codesign.finetune._front import Trial
from codesign.finetune._layout import Layout
from codesign.finetune._learned import Network
from codesign.finetune._start import Beginning
from codesign.finetune._train import Batches
from codesign.quantized import Quantized
from codesign.starting import sent_formats
from codesign.torch_forward import float_forward, mean_loss, to_tensors


@dataclass(frozen=True)
class Points:
    """Points of one run, the cheapest first.

    Args:
        network: What they are of.
        loss: Mean validation loss of the float network.
        points: Each with the cost that is counted from its integers.
    """

    network: Network
    loss: float
    points: tuple[Trial, ...]

    @classmethod
    def of(cls, begun: Beginning, run: Run, data: tuple[Batches, Batches]) -> "Points":
        """What a run leaves behind.

        Raises:
            InputError: No point has a finite loss.
        """
        network, (_, validation) = begun.network, data
        graph = network.layout.graph
        with torch.no_grad():
            outputs = float_forward(graph, to_tensors(graph.parameters), validation.inputs)[graph.outputs[0]]
        kept = [replace(trial, cost=counted(network, trial.vector)) for _, trial in run.trials.best.values()]
        if not kept:
            found = run.stopped or "no point"
            raise InputError("finetune.per_weight", found, "a finite loss", "lower learning_rate and bits_rate")
        points = sorted(kept, key=lambda trial: trial.cost)
        return cls(network, float(mean_loss(outputs, validation.wanted)), tuple(points))

    def integers(self, index: int) -> tuple[Quantized, Integers]:
        """The network of a point."""
        return quantized(self.network, integers(self.network, self.points[index].vector))

    def dump(self) -> bytes:
        """As safetensors: ``vectors`` and ``squares`` ``[points, size]``, numbers as metadata."""
        layout = self.network.layout
        rows = [[each.step, each.cost, each.loss] for each in self.points]
        about = {
            "cost": self.network.cost_name,
            "granularity": layout.granularity,
            "signed": dict(layout.signed),
            "loss": self.loss,
            "points": rows,
        }
        vectors, squares = (torch.stack([getattr(each, key) for each in self.points]) for key in ("vector", "square"))
        return save({"vectors": vectors, "squares": squares}, {"per_weight": json.dumps(about)})

    @classmethod
    def load(cls, content: bytes, design: Design) -> "Points":
        """From a file of ``dump``.

        Args:
            content: The file's.
            design: With the graph that they were trained of, and the data.
        """
        size = int.from_bytes(content[:8], "little")  # of the header, by safetensors' format
        header: dict[str, Any] = json.loads(content[8 : 8 + size])
        about: dict[str, Any] = json.loads(header["__metadata__"]["per_weight"])
        tensors: Mapping[str, Tensor] = load(content)
        rows = zip(about["points"], tensors["vectors"], tensors["squares"], strict=True)
        points = tuple(Trial(step, cost, loss, vector, square) for (step, cost, loss), vector, square in rows)
        layout = Layout(design.graph, about["signed"], about["granularity"], sent_formats(design))
        network = Network(layout, about["cost"])
        return cls(network, about["loss"], points)


def front_point(network: Network, made: Quantized, cost: float, loss: float) -> Point:
    """A point as fronts have them: bits of activations, and of each output channel of weights.

    Args:
        network: What it is of.
        made: Its integers.
        cost: What they cost.
        loss: How much larger the validation loss is than the float network's.
    """
    bits: dict[str, int | tuple[int, ...]] = {}
    for name in network.layout.graph.activations():
        bits[name] = int(made.formats[name].envelope().width)
    for name in network.layout.graph.weights():
        bits[name] = tuple(made.formats[name].channel_widths(made.codes[name].shape).tolist())
    return Point(loss, {network.cost_name: float(cost)}, bits)


def counted(network: Network, vector: Tensor) -> float:
    """The cost of a vector's integers."""
    return count(network, quantized(network, integers(network, vector))[1])
