"""`sensitivity.xtrace`: traces of the Hessian by XTrace."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.sensitivity._estimator import TraceEstimator
from codesign.sensitivity._probing import Estimator, xtrace


@dataclass(frozen=True)
class Xtrace(TraceEstimator):
    """Trace of the Hessian of every weight by XTrace (arXiv 2301.07825): every probe serves the sketch of all others.

    Like Hutch++ with about half of the products, and exact once the sketch holds all of the block's range.
    """

    writes: ClassVar[tuple[str, ...]] = ("sensitivity.xtrace", "notices")
    seeded: ClassVar[bool] = True

    def estimator(self) -> Estimator:
        """XTrace."""
        return xtrace
