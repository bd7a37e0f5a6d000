"""`verify.anomaly`: how well an autoencoder's reconstruction error tells each class from the background."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.design import Dataset, Design, Measure
from codesign.errors import InputError, did_you_mean
from codesign.passes import Context, Pass
from codesign.separation import Network, Separation
from codesign.verify._outputs import both
from codesign.verify._roc import Scores, Sides, efficiencies, rate_of, separation


@dataclass(frozen=True)
class Anomaly(Pass):
    """Measure the area under the ROC curve (AUC) of the reconstruction error, for every class but the background's.

    A sample's score is its mean squared error over the outputs; the higher, the less it is like the background. The
    area is the probability that a sample of the class scores higher than one of the background, ties counting half
    (Mann-Whitney U / (signal * background)). 0.5 is chance.

    Args:
        background: Names of the classes that the network was trained on.
        input_rate_mhz: Inputs per microsecond.
        rate_khz: How many inputs of the background may pass per millisecond; the share of each signal that passes then
            is measured. None for no such measure.
    """

    background: tuple[str, ...]
    input_rate_mhz: float = 40.0
    rate_khz: float | None = None

    reads: ClassVar[tuple[str, ...]] = ("graph", "dataset", "quantized")
    early: ClassVar[tuple[str, ...]] = ("dataset",)
    writes: ClassVar[tuple[str, ...]] = ("measures", "separation")
    distributions: ClassVar[tuple[str, ...]] = ("torch", "scipy")

    def __post_init__(self) -> None:
        rate_of(self.input_rate_mhz, self.rate_khz, self.name)

    def refuse(self, design: Design) -> None:
        """Data without targets or without the background is refused before anything is trained."""
        self.known(design.dataset)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """One curve and its area per class and network."""
        dataset, known = design.dataset, self.known(design.dataset)
        test, rate = dataset.split("test"), rate_of(self.input_rate_mhz, self.rate_khz, self.name)
        scores: dict[Network, Scores] = {
            network: np.square(outputs - np.asarray(test.targets)).mean(1) for network, outputs in both(design).items()
        }
        background = np.isin(test.labels, known)
        measures: dict[str, Measure] = {}
        found: dict[str, Separation] = {}
        for label, name in enumerate(dataset.classes):
            inside = test.labels == label
            if label in known or not inside.any():
                continue
            sides: Sides = {network: (values[inside], values[background]) for network, values in scores.items()}
            found[name] = separation(((name,), self.background), "reconstruction error", sides, rate)
            for network, curve in found[name].curves.items():
                measures[f"auc_{name}_{network}"] = Measure(curve.auc, "area under ROC", "simulated", self.name)
        measures |= efficiencies(found, self.name)
        return {"measures": measures, "separation": found}

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
