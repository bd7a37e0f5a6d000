"""`verify.accuracy`: the float network and the integer network on the test split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from codesign.design import Design, Measure, Split
from codesign.passes import Context, Pass
from codesign.verify._outputs import both


@dataclass(frozen=True)
class Accuracy(Pass):
    """Measure the float network and the exact integers on the test split.

    For class labels, the share of samples put in their class; for targets, the mean squared error.
    """

    reads: ClassVar[tuple[str, ...]] = ("graph", "dataset", "quantized")
    writes: ClassVar[tuple[str, ...]] = ("measures",)
    distributions: ClassVar[tuple[str, ...]] = ("torch",)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Both networks, on the whole split."""
        test = design.dataset.split("test")
        name, unit = ("accuracy", "fraction") if test.targets is None else ("squared_error", "mean over outputs")
        measures = {
            f"{name}_{network}": Measure(_quality(outputs, test), unit, "simulated", self.name)
            for network, outputs in both(design).items()
        }
        return {"measures": measures}


def _quality(outputs: npt.NDArray[np.float64], test: Split) -> float:
    if test.targets is None:
        return float(np.count_nonzero(outputs.argmax(1) == test.labels)) / len(test)
    return float(np.square(outputs - test.targets).mean())
