"""What the passes share that sum squared gradients in one stream over the data."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from codesign.design import Design, Sensitivity
from codesign.passes import Context
from codesign.sensitivity._metric import Metric

if TYPE_CHECKING:
    from codesign.sensitivity._gauss_newton import Columns
    from codesign.sensitivity._objective import Objective


@dataclass(frozen=True)
class StreamedTrace(Metric):
    """Traces of a matrix that is a mean of squared gradients.

    Args:
        granularity: "tensor", "channel" for the trace of every output channel too, "element" for the whole diagonal
            beside it.
        activations: Whether traces of activations are wanted too; choosing their bits needs them.
        relative_error: The standard error to be told about if the data leaves a larger one.
    """

    granularity: Literal["tensor", "channel", "element"] = "channel"
    activations: bool = True
    relative_error: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("relative_error", 0 < self.relative_error < 1, "between 0 and 1")

    @abstractmethod
    def columns(self, objective: "Objective", context: Context) -> "Columns":
        """What the gradients are taken of."""

    def measure(self, objective: "Objective", design: Design, context: Context) -> tuple[Sensitivity, list[str]]:
        """One pass over the data."""
        from codesign.sensitivity._directions import Backward
        from codesign.sensitivity._gauss_newton import measure
        from codesign.sensitivity._validity import remarks

        activations = tuple(design.graph.activations()) if self.activations else ()
        backward = Backward(design.graph, activations, self.granularity)
        found = measure(objective, self.columns(objective, context), backward, context.progress)
        return found, remarks(found, self.relative_error, len(objective.data))
