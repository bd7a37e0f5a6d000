"""`verify.anomaly`: how well an autoencoder's reconstruction error tells each class from the background."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from codesign.design import Dataset, Design, Measure
from codesign.errors import InputError, did_you_mean
from codesign.passes import Context, Pass
from codesign.verify._outputs import both


@dataclass(frozen=True)
class Anomaly(Pass):
    """Measure the area under the ROC curve (AUC) of the reconstruction error, for every class but the background's.

    A sample's score is its mean squared error over the outputs; the higher, the less it is like the background. The
    area is the probability that a sample of the class scores higher than one of the background, ties counting half
    (Mann-Whitney U / (signal * background)). 0.5 is chance.

    Args:
        background: Names of the classes that the network was trained on.
    """

    background: tuple[str, ...]

    reads: ClassVar[tuple[str, ...]] = ("graph", "dataset", "quantized")
    early: ClassVar[tuple[str, ...]] = ("dataset",)
    writes: ClassVar[tuple[str, ...]] = ("measures",)
    distributions: ClassVar[tuple[str, ...]] = ("torch", "scipy")

    def refuse(self, design: Design) -> None:
        """Data without targets or without the background is refused before anything is trained."""
        self.known(design.dataset)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """One area per class and network."""
        known = self.known(design.dataset)
        test = design.dataset.split("test")
        measures: dict[str, Measure] = {}
        for network, outputs in both(design).items():
            scores = np.square(outputs - np.asarray(test.targets)).mean(1)
            background = scores[np.isin(test.labels, known)]
            for label, name in enumerate(design.dataset.classes):
                if label not in known and (signal := scores[test.labels == label]).size:
                    area = _area(signal, background)
                    measures[f"auc_{name}_{network}"] = Measure(area, "area under ROC", "simulated", self.name)
        return {"measures": measures}

    def known(self, dataset: Dataset) -> list[int]:
        """Labels of the background.

        Raises:
            InputError: The data has no targets, no such class, or no test sample of the background.
        """
        if dataset.targets is None:
            raise InputError(self.name, "data without targets", "an autoencoder's", 'set load.npz.targets = "inputs"')
        for name in self.background:
            if name not in dataset.classes:
                raise InputError(
                    f"{self.name}, background", f"no class {name!r}", "", did_you_mean(name, dataset.classes)
                )
        known = [dataset.classes.index(name) for name in self.background]
        if not np.isin(dataset.split("test").labels, known).any():
            raise InputError(
                f"{self.name}, background", f"{list(self.background)}: no test sample", "at least one class"
            )
        return known


def _area(signal: npt.NDArray[np.float64], background: npt.NDArray[np.float64]) -> float:
    """Probability that a signal's score is above a background's, ties counting half."""
    from scipy.stats import rankdata  # pyright: ignore[reportUnknownVariableType]

    ranks = rankdata(np.concatenate([signal, background]))[: len(signal)]
    return float((ranks.sum() - len(signal) * (len(signal) + 1) / 2) / (len(signal) * len(background)))
