"""How well a score tells samples of a signal from its background."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

#: The float network, and the exact integers.
Network = Literal["float", "quantized"]


@dataclass(frozen=True)
class Rate:
    """How often a trigger may fire.

    Args:
        input_mhz: Inputs per microsecond, nearly all of them background.
        most_khz: How many of those may pass, per millisecond.
    """

    input_mhz: float
    most_khz: float

    @property
    def background_efficiency(self) -> Fraction:
        """The share of the background that may pass, of the numbers as they are written."""
        return Fraction(str(self.most_khz)) / (1000 * Fraction(str(self.input_mhz)))


@dataclass(frozen=True)
class WorkingPoint:
    """The lowest cut that keeps a rate on the test split.

    Args:
        threshold: Samples pass whose score is above it.
        signal_efficiency: Share of the signal that passes.
        signal_error: Its standard error: that of the share above this cut, and that of the cut itself.
        background_kept: Samples of the background that pass; where they are few, the true rate can be another.
    """

    threshold: float
    signal_efficiency: float
    signal_error: float
    background_kept: int


@dataclass(frozen=True)
class Curve:
    """The ROC curve of one network.

    Args:
        auc: Area under the whole curve.
        background: Share of the background above a cut, rising; some of the curve's points.
        signal: Share of the signal above the same cut.
        point: The cut that keeps a rate, if one was given.
    """

    auc: float
    background: tuple[float, ...]
    signal: tuple[float, ...]
    point: WorkingPoint | None = None


@dataclass(frozen=True)
class Separation:
    """A signal against its background, by both networks.

    Args:
        signal, background: Names of classes.
        score: What is cut on.
        samples: Test samples of the signal and of the background.
        curves: By network.
        rate: What the working point keeps; None if none was given.
    """

    signal: tuple[str, ...]
    background: tuple[str, ...]
    score: str
    samples: tuple[int, int]
    curves: dict[Network, Curve]
    rate: Rate | None = None
