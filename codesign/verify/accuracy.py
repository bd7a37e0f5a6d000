"""`verify.accuracy`: the float network and the integer network on the test split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from codesign.design import Dataset, Design, Measure, Split
from codesign.errors import InputError, did_you_mean
from codesign.passes import Context, Pass
from codesign.separation import Network, Rate, Separation
from codesign.verify._outputs import both
from codesign.verify._roc import Scores, Sides, efficiencies, rate_of, separation

#: How far outputs that are probabilities may add up to something else than one: their tables round.
ROUNDED = 0.05


@dataclass(frozen=True)
class Accuracy(Pass):
    """Measure the float network and the exact integers on the test split.

    For class labels, the share of samples put in their class, which classes are taken for which, and the ROC curve of
    each class against all others; for targets, the mean squared error.

    Args:
        signal: Names of the classes that a trigger looks for, together; all others are its background.
        input_rate_mhz: Inputs per microsecond.
        rate_khz: How many inputs of the background may pass per millisecond; the share of the signal that passes then
            is measured. None for no such measure.
    """

    signal: tuple[str, ...] = ()
    input_rate_mhz: float = 40.0
    rate_khz: float | None = None

    reads: ClassVar[tuple[str, ...]] = ("graph", "dataset", "quantized")
    early: ClassVar[tuple[str, ...]] = ("dataset",)
    writes: ClassVar[tuple[str, ...]] = ("measures", "confusion", "separation")
    distributions: ClassVar[tuple[str, ...]] = ("torch", "scipy")

    def __post_init__(self) -> None:
        self._rate()

    def refuse(self, design: Design) -> None:
        """A signal that the data does not have is refused before anything is trained."""
        dataset = design.dataset
        if dataset.targets is not None:
            if self.signal:
                raise InputError(f"{self.name}, signal", "classes, for data with targets", "a classifier's data")
            return
        if self.rate_khz is not None and not self.signal:
            step = f"set signal, to some of: {', '.join(dataset.classes)}"
            raise InputError(f"{self.name}, rate_khz", "a rate, and no signal", "", step)
        for name in self.signal:
            if name not in dataset.classes:
                hint = did_you_mean(name, dataset.classes)
                raise InputError(f"{self.name}, signal", f"no class {name!r}", "", hint)
        if len(self.signal) > 1 and self._together in dataset.classes:
            found = f"{list(self.signal)}, called {self._together!r} together, as another class is"
            raise InputError(f"{self.name}, signal", found, "a name of its own", "rename that class in the data")
        labels = set(dataset.split("test").labels.tolist())
        signal = {dataset.classes.index(name) for name in self.signal}
        if signal and not (labels & signal and labels - signal):
            found = f"{list(self.signal)}: the test split has no sample of it, or none of another class"
            raise InputError(f"{self.name}, signal", found, "some of both")

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Both networks, on the whole split."""
        test, outputs = design.dataset.split("test"), both(design)
        name, unit = ("accuracy", "fraction") if test.targets is None else ("squared_error", "mean over outputs")
        samples = {network: _by_sample(values, test) for network, values in outputs.items()}
        measures = {f"{name}_{network}": _measure(values, unit, self.name) for network, values in samples.items()}
        paired = samples["quantized"] - samples["float"]
        measures[f"{name}_difference"] = _measure(paired, unit, self.name)
        if test.targets is not None:
            return {"measures": measures, "confusion": {}, "separation": {}}
        found = self._separations(design.dataset, outputs)
        measures |= efficiencies(found, self.name)
        confusion = {network: _confusion(values, test) for network, values in outputs.items()}
        return {"measures": measures, "confusion": confusion, "separation": found}

    @property
    def _together(self) -> str:
        """What the classes of the signal are called together."""
        return "_".join(self.signal)

    def _rate(self) -> Rate | None:
        return rate_of(self.input_rate_mhz, self.rate_khz, self.name)

    def _separations(self, dataset: Dataset, outputs: Mapping[Network, Scores]) -> dict[str, Separation]:
        """Each class against the others, and the signal, by name; the rate is the signal's."""
        labels = dataset.split("test").labels
        names = class_names(dataset.classes, next(iter(outputs.values())).shape[1])
        wanted = {name: (name,) for name in names} | ({self._together: self.signal} if self.signal else {})
        found: dict[str, Separation] = {}
        for key, signal in wanted.items():
            indices = [names.index(name) for name in signal]
            inside = np.isin(labels, indices)
            if inside.any() and not inside.all():
                scores: dict[Network, Scores] = {
                    network: log_odds(values, indices) for network, values in outputs.items()
                }
                sides: Sides = {network: (values[inside], values[~inside]) for network, values in scores.items()}
                others = tuple(name for name in names if name not in signal)
                rate = self._rate() if signal == self.signal else None
                found[key] = separation((signal, others), "probability of the class", sides, rate)
        return found


def class_names(given: tuple[str, ...], count: int) -> list[str]:
    """Names of outputs: the data's, or numbers where it has none."""
    return list(given) or [str(number) for number in range(count)]


def log_odds(outputs: Scores, signal: list[int]) -> Scores:
    """Logarithm of the odds of some classes against all others ``[samples]``, from outputs ``[samples, classes]``.

    Outputs are logits, ``log(sum exp z_signal) - log(sum exp z_other)``, or probabilities, where the network ends in a
    softmax of its own: then the odds' order is that of the probability itself.
    """
    if outputs.min() >= 0 and np.abs(outputs.sum(1) - 1).max() < ROUNDED:
        return outputs[:, signal].sum(1)
    inside = np.zeros(outputs.shape[1], bool)
    inside[signal] = True
    return cast(Scores, np.logaddexp.reduce(outputs[:, inside], 1) - np.logaddexp.reduce(outputs[:, ~inside], 1))


def _confusion(outputs: Scores, test: Split) -> tuple[tuple[int, ...], ...]:
    """Samples by class and by the class that they are put in ``[classes][classes]``."""
    count = outputs.shape[1]
    pairs = np.bincount(test.labels * count + outputs.argmax(1), minlength=count * count)
    return tuple(map(tuple, pairs.reshape(count, count).tolist()))


def _by_sample(outputs: Scores, test: Split) -> Scores:
    """Whether each sample is put in its class ``[samples]``, or its mean squared difference from the targets."""
    if test.targets is None:
        return (outputs.argmax(1) == test.labels).astype(np.float64)
    return np.square(outputs - test.targets).reshape(len(test), -1).mean(1)


def _measure(values: Scores, unit: str, by: str) -> Measure:
    """The mean over samples, with its standard error: ``s / sqrt(n)``, for shares that of the binomial."""
    error = float(values.std() / np.sqrt(len(values)))
    return Measure(float(values.mean()), unit, "simulated", by, error)
