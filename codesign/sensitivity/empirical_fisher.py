"""`sensitivity.empirical_fisher`: mean squared gradients of the loss."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from codesign.passes import Context
from codesign.sensitivity._streamed import StreamedTrace

if TYPE_CHECKING:
    from codesign.sensitivity._gauss_newton import Columns
    from codesign.sensitivity._objective import Objective


@dataclass(frozen=True)
class EmpiricalFisher(StreamedTrace):
    """Trace of the empirical Fisher matrix for every tensor: the mean squared gradient of each sample's own loss.

    One backward pass. It stands for the Hessian in pruning and second-order compression (M-FAC, arXiv 2107.03356), but
    equals it only where the network's predictions are the labels' true distribution; a sample that is learned by heart
    counts nothing.
    """

    writes: ClassVar[tuple[str, ...]] = ("sensitivity.empirical_fisher", "notices")

    def columns(self, objective: "Objective", context: Context) -> "Columns":
        """The loss's own gradient in the outputs."""
        from codesign.sensitivity._gauss_newton import Columns

        return Columns("gradient")
