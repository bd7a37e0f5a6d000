"""What the passes share that look at one tensor's block of the Hessian after another."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from codesign.design import Design, Score, Sensitivity
from codesign.passes import Context
from codesign.sensitivity._metric import Metric
from codesign.sensitivity._probing import Estimator, Stop

if TYPE_CHECKING:
    from codesign.sensitivity._objective import Objective


@dataclass(frozen=True)
class BlockMetric(Metric):
    """A metric of the Hessian's diagonal blocks, one after another.

    Args:
        relative_error: Stop a tensor at this standard error of the probes, relative to its value.
        max_products: Most products of a block with a vector, whatever the error; each is two backward passes.
        tensors: "weights", "parameters" for the biases too, or "all" for activations too (choosing bits by this
            metric needs them).
    """

    relative_error: float = 0.05
    max_products: int = 3000
    tensors: Literal["weights", "parameters", "all"] = "weights"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("relative_error", 0 < self.relative_error < 1, "between 0 and 1")
        self.require("max_products", self.max_products >= 24, "24 or more")

    def names(self, design: Design) -> list[str]:
        """The tensors to look at."""
        graph = design.graph
        if self.tensors == "weights":
            return graph.weights()
        return [*graph.parameters, *(graph.activations() if self.tensors == "all" else [])]

    def generators(self, design: Design, context: Context) -> Iterator[tuple[str, np.random.Generator]]:
        """Every tensor with random numbers of its own; progress is told."""
        names = self.names(design)
        for index, name in enumerate(names):
            context.progress(name, index, len(names))
            yield name, np.random.default_rng([context.seed, index])


@dataclass(frozen=True)
class TraceEstimator(BlockMetric):
    """A pass that estimates traces of the Hessian itself, whatever the network's operations are."""

    distributions: ClassVar[tuple[str, ...]] = ("torch", "scipy")

    @abstractmethod
    def estimator(self) -> Estimator:
        """The way to do it."""

    def measure(self, objective: "Objective", design: Design, context: Context) -> tuple[Sensitivity, list[str]]:
        """One block after another: probing them together is cheaper per probe, but noise of other layers enters."""
        from codesign.sensitivity._block import Block
        from codesign.sensitivity._validity import remarks

        loss = float(objective.all_losses().mean())
        scores: dict[str, Score] = {}
        for name, generator in self.generators(design, context):
            block: Block = Block(objective, name)
            estimate = self.estimator()(block, Stop(self.relative_error, self.max_products), generator)
            scores[name] = Score(estimate.value, block.data_error(), estimate.error, block.size)
        found = sensitivity(objective, scores, "trace", loss)
        return found, remarks(found, self.relative_error, len(objective.data))


def sensitivity(
    objective: "Objective", scores: dict[str, Score], quantity: Literal["trace", "eigenvalue"], loss: float
) -> Sensitivity:
    """The record of scores that come from the Hessian."""
    parameters = {name: score for name, score in scores.items() if name in objective.parameters}
    activations = {name: score for name, score in scores.items() if name not in parameters}
    return Sensitivity(
        quantity, "hessian", parameters, activations, len(objective.rows), loss, objective.criterion.unit
    )
