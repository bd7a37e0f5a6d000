"""`sensitivity.hutchinson`: traces of the Hessian by Hutchinson."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.sensitivity._estimator import TraceEstimator
from codesign.sensitivity._probing import Estimator, hutchinson


@dataclass(frozen=True)
class Hutchinson(TraceEstimator):
    """Trace of the Hessian of every weight by random signs v: the mean of v H v (Hutchinson; PyHessian, HAWQ-V2).

    For networks whose operations bend, where the exact pass gives the Gauss-Newton trace instead. The error falls as
    one over the root of the probes: for large networks prefer hutchpp or xtrace.
    """

    writes: ClassVar[tuple[str, ...]] = ("sensitivity.hutchinson", "notices")
    seeded: ClassVar[bool] = True

    def estimator(self) -> Estimator:
        """Hutchinson."""
        return hutchinson
