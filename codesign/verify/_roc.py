"""ROC curves: what passes a cut on a score, of a signal and of its background."""

from collections.abc import Mapping
from math import inf, sqrt

import numpy as np
import numpy.typing as npt

from codesign.design import Measure
from codesign.errors import InputError
from codesign.separation import Curve, Network, Rate, Separation, WorkingPoint

#: Points that a kept curve has at most, about: half of them evenly spread over the signal, half over the decades of
#: the background.
POINTS = 128

Scores = npt.NDArray[np.float64]
#: Scores of the signal's samples, and of the background's, by network.
Sides = Mapping[Network, tuple[Scores, Scores]]


def rate_of(input_rate_mhz: float, rate_khz: float | None, where: str) -> Rate | None:
    """What the options of a pass say of rates.

    Raises:
        InputError: They are no rates, or more would pass than come in.
    """
    if not 0 < input_rate_mhz < inf:
        raise InputError(f"{where}, input_rate_mhz", f"{input_rate_mhz}", "a positive number")
    if rate_khz is None:
        return None
    if not 0 < rate_khz <= 1000 * input_rate_mhz:
        raise InputError(
            f"{where}, rate_khz", f"{rate_khz}", f"above 0, and at most the input rate, {input_rate_mhz} MHz"
        )
    return Rate(input_rate_mhz, rate_khz)


def separation(
    names: tuple[tuple[str, ...], tuple[str, ...]],
    score: str,
    scores: Sides,
    rate: Rate | None,
) -> Separation:
    """Both networks' curves.

    Args:
        names: Classes of the signal, and of the background.
        score: What is cut on, in words.
        scores: Of the signal's samples, and of the background's, by network; at least one of each.
        rate: What a working point is to keep.
    """
    curves: dict[Network, Curve] = {network: curve(*both, rate) for network, both in scores.items()}
    signal, background = next(iter(scores.values()))
    return Separation(*names, score, (len(signal), len(background)), curves, rate)


def curve(signal: Scores, background: Scores, rate: Rate | None = None) -> Curve:
    """The ROC curve of scores ``[samples]``: what is above a cut, for every cut that makes a difference."""
    cuts = np.unique(np.concatenate([signal, background]))[::-1]
    passing = [np.concatenate([[0.0], _at_least(each, cuts)]) for each in (background, signal)]
    kept = _thinned(*passing)
    shares = [tuple(float(f"{share:.6g}") for share in each[kept]) for each in passing]
    point = None if rate is None else working_point(signal, background, rate)
    return Curve(area(signal, background), shares[0], shares[1], point)


def efficiencies(found: Mapping[str, Separation], by: str) -> dict[str, Measure]:
    """The share of each signal that passes at its rate, as measures ``efficiency_SIGNAL_NETWORK``.

    Args:
        found: By the signal's name.
        by: The pass that asks.
    """
    return {
        f"efficiency_{name}_{network}": Measure(
            curve.point.signal_efficiency,
            f"fraction at {each.rate.most_khz:g} kHz of {each.rate.input_mhz:g} MHz",
            "simulated",
            by,
            curve.point.signal_error,
        )
        for name, each in found.items()
        for network, curve in each.curves.items()
        if curve.point is not None and each.rate is not None
    }


def area(signal: Scores, background: Scores) -> float:
    """Probability that a signal's score is above a background's, ties counting half.

    Mann-Whitney U / (signal * background), the area under the ROC curve (Hanley and McNeil, Radiology 143, 1982).
    """
    from scipy.stats import rankdata  # pyright: ignore[reportUnknownVariableType]

    ranks = rankdata(np.concatenate([signal, background]))[: len(signal)]
    return float((ranks.sum() - len(signal) * (len(signal) + 1) / 2) / (len(signal) * len(background)))


def working_point(signal: Scores, background: Scores, rate: Rate) -> WorkingPoint:
    """The lowest cut above which no more of the background is than the rate allows.

    Of tied scores all pass or none does, so that fewer may pass than would be allowed.
    """
    allowed = int(rate.background_efficiency * len(background))
    falling = np.sort(background)[::-1]
    # The first that must not pass is the cut; where all may pass, whatever is below all.
    cut = float(falling[allowed]) if allowed < len(falling) else float(min(falling[-1], signal.min())) - 1
    efficiency = _share_above(signal, cut)
    kept = int(np.count_nonzero(background > cut))
    own = efficiency * (1 - efficiency) / len(signal)
    # Which cut keeps the rate is known as well as the number of samples that decide it.
    spread = max(1, round(sqrt(kept)))
    ends = [falling[min(max(kept + step, 0), len(falling) - 1)] for step in (-spread, spread)]
    shifted = (_share_above(signal, float(ends[1])) - _share_above(signal, float(ends[0]))) / 2
    return WorkingPoint(cut, efficiency, sqrt(own + shifted**2), kept)


def _share_above(scores: Scores, cut: float) -> float:
    return float(np.count_nonzero(scores > cut)) / len(scores)


def _at_least(scores: Scores, cuts: Scores) -> Scores:
    """The share of scores that are at or above each cut."""
    return 1 - np.searchsorted(np.sort(scores), cuts, side="left") / len(scores)


def _thinned(background: Scores, signal: Scores) -> npt.NDArray[np.intp]:
    """Indices of some points of a curve, both ends among them."""
    rising = np.linspace(0, 1, POINTS // 2)
    lowest = float(background[background > 0][0])
    decades: Scores = np.geomspace(lowest, 1, POINTS // 2)
    found = np.concatenate([np.searchsorted(signal, rising), np.searchsorted(background, decades)])
    return np.unique(np.append(np.minimum(found, len(signal) - 1), [0, len(signal) - 1]))
