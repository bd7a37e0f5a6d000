"""`sensitivity.hutchpp`: traces of the Hessian by Hutch++."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.sensitivity._estimator import TraceEstimator
from codesign.sensitivity._probing import Estimator, hutchpp


@dataclass(frozen=True)
class Hutchpp(TraceEstimator):
    """Trace of the Hessian of every weight by Hutch++ (arXiv 2010.09649): exact on a sketch, signs on the rest.

    Where a few directions hold most of the curvature, as in trained networks, it needs far fewer products than
    Hutchinson.
    """

    writes: ClassVar[tuple[str, ...]] = ("sensitivity.hutchpp", "notices")
    seeded: ClassVar[bool] = True

    def estimator(self) -> Estimator:
        """Hutch++."""
        return hutchpp
