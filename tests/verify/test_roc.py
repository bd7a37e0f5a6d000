"""ROC curves and working points against counting; classes, confusion and rates of a classifier."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.errors import InputError
from codesign.separation import Rate
from codesign.verify._roc import POINTS, area, curve, working_point
from codesign.verify.accuracy import Accuracy, log_odds
from tests.builds import finished, make, samples

SCORES = st.lists(st.integers(0, 6), min_size=1, max_size=12).map(lambda scores: np.array(scores, float))
Scores = npt.NDArray[np.float64]


@settings(deadline=None)
@given(SCORES, SCORES)
def test_the_area_is_the_share_of_pairs(signal: Scores, background: Scores) -> None:
    pairs = [(s > b) + 0.5 * (s == b) for s, b in product(signal, background)]
    assert area(signal, background) == pytest.approx(np.mean(pairs), abs=1e-12)


@settings(deadline=None)
@given(SCORES, SCORES)
def test_a_short_curve_has_every_cut(signal: Scores, background: Scores) -> None:
    found = curve(signal, background)
    cuts = [np.inf, *np.unique([*signal, *background])[::-1]]
    wanted = {(float(f"{(background >= cut).mean():.6g}"), float(f"{(signal >= cut).mean():.6g}")) for cut in cuts}
    points = list(zip(found.background, found.signal, strict=True))
    assert set(points) <= wanted
    assert {(0.0, 0.0), (1.0, 1.0)} <= set(points)
    assert points == sorted(points)


def test_a_long_curve_is_thinned_and_keeps_its_area() -> None:
    random = np.random.default_rng(0)
    signal, background = random.normal(1, 1, 5000), random.normal(0, 1, 50000)
    found = curve(signal, background)
    assert len(found.background) <= POINTS + 2
    assert min(share for share in found.background if share) < 1e-4  # the decades that a trigger works in
    assert np.trapezoid(found.signal, found.background) == pytest.approx(found.auc, abs=2e-3)


@settings(deadline=None)
@given(SCORES, SCORES, st.integers(1, 40))
def test_no_cut_that_keeps_the_rate_lets_more_signal_pass(signal: Scores, background: Scores, most_khz: int) -> None:
    rate = Rate(input_mhz=0.04, most_khz=most_khz)
    point = working_point(signal, background, rate)
    allowed = rate.background_efficiency * len(background)
    assert point.background_kept == np.count_nonzero(background > point.threshold) <= allowed
    cuts = [-1.0, *np.unique([*signal, *background])]
    best = max(np.mean(signal > cut) for cut in cuts if np.count_nonzero(background > cut) <= allowed)
    assert point.signal_efficiency == pytest.approx(best)


def test_the_rate_is_met_to_the_last_sample() -> None:
    background = np.arange(40_000) / 40_000
    assert working_point(np.ones(10), background, Rate(input_mhz=40, most_khz=3)).background_kept == 3


def test_the_error_is_how_much_the_efficiency_differs_between_test_splits() -> None:
    random = np.random.default_rng(3)
    rate = Rate(input_mhz=40, most_khz=100)
    points = [working_point(random.normal(1.5, 1, 1000), random.normal(0, 1, 20_000), rate) for _ in range(400)]
    spread = np.std([point.signal_efficiency for point in points])
    assert np.mean([point.signal_error for point in points]) == pytest.approx(spread, rel=0.15)


def test_odds_rank_as_the_softmax_does() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (500, 4))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for signal in ([0], [1, 3]):
        assert (np.argsort(log_odds(logits, signal)) == np.argsort(shares[:, signal].sum(1))).all()
        assert (log_odds(shares, signal) == shares[:, signal].sum(1)).all()  # a network that ends in a softmax


def test_classes_confusion_and_curves_agree() -> None:
    report = finished().report()
    for network, matrix in report["confusion"].items():
        right, total = sum(row[place] for place, row in enumerate(matrix)), sum(map(sum, matrix))
        accuracy = right / total
        assert accuracy == report["quality"]["accuracy"][network]
        binomial = np.sqrt(accuracy * (1 - accuracy) / total)
        assert report["quality"]["accuracy"]["errors"][network] == pytest.approx(binomial)
        for place, each in enumerate(report["classes"]):
            assert sum(matrix[place]) == each["samples"]
            assert each["accuracy"][network] == matrix[place][place] / each["samples"]
            assert each["auc"][network] == report["roc"][place]["curves"][network]["auc"]
    accuracy, rows = report["quality"]["accuracy"], {row["name"]: row for row in report["measures"]}
    paired = rows["accuracy_difference"]
    assert paired["value"] == pytest.approx(accuracy["quantized"] - accuracy["float"])
    assert paired["error"] == accuracy["errors"]["difference"]
    assert [each["signal"] for each in report["roc"]] == [["0"], ["1"], ["2"]]
    assert all(each["rate"] is None for each in report["roc"])


def named(project: Any) -> None:
    """Give the tiny data class names."""
    content = dict(np.load(project.folder / "data.npz"))
    project.write_data(content["x"], content["y"], names=np.array(["g", "w", "t"]))


@pytest.fixture(scope="module")
def trigger(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of a build with a signal and a rate."""
    own: dict[str, dict[str, Any]] = {
        "load.npz": {"classes": "names"},
        "verify": {"signal": ["w", "t"], "rate_khz": 8000},
    }
    project = make(tmp_path_factory.mktemp("trigger") / "project", changes=own)
    named(project)
    return project.library().report or {}


def test_the_signal_has_an_efficiency_at_the_rate(trigger: dict[str, Any]) -> None:
    (signal,) = [each for each in trigger["roc"] if each["rate"]]
    assert signal["signal"] == ["w", "t"]
    assert signal["background"] == ["g"]
    assert signal["rate"] == {"input_mhz": 40.0, "most_khz": 8000.0}
    for network, found in signal["curves"].items():
        assert found["point"]["background_kept"] <= 0.2 * signal["samples"][1]
        assert trigger["quality"]["efficiency_w_t"][network] == found["point"]["signal_efficiency"]
        assert trigger["quality"]["efficiency_w_t"]["errors"][network] == found["point"]["signal_error"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate_khz": 0.0}, r"rate_khz: 0\.0; wanted: above 0"),
        ({"rate_khz": 50_000.0}, r"at most the input rate, 40\.0 MHz"),
        ({"input_rate_mhz": 0.0}, "input_rate_mhz"),
        ({"input_rate_mhz": float("nan")}, "input_rate_mhz"),
    ],
)
def test_rates_that_are_none_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Accuracy(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"rate_khz": 100}, r"a rate, and no signal.*set signal, to some of: g, w, t"),
        ({"signal": ["wt"]}, r"no class 'wt'"),
        ({"signal": ["g", "w", "t"]}, "none of another class"),
    ],
)
def test_a_signal_that_is_not_there_is_refused_before_training(
    own: dict[str, Any], message: str, tmp_path: Any
) -> None:
    project = make(tmp_path / "project", changes={"load.npz": {"classes": "names"}, "verify": own})
    named(project)
    with pytest.raises(InputError, match=message) as caught:
        project.library()
    assert any("asked beforehand" in note for note in caught.value.__notes__)


def test_classes_that_are_called_as_another_one_together_are_refused(tmp_path: Path) -> None:
    project = make(tmp_path / "project", changes={"load.npz": {"classes": "names"}, "verify": {"signal": ["w", "t"]}})
    x, y = samples()
    project.write_data(x, y, names=np.array(["w", "w_t", "t"]))
    with pytest.raises(InputError, match=r"signal: .*called 'w_t' together, as another class is.*rename that class"):
        project.library()
    project.write({"load.npz": {"classes": "names"}, "verify": {"signal": ["w_t"], "rate_khz": 8000}})
    report = project.library().report or {}
    assert [each["signal"] for each in report["roc"] if each["rate"]] == [["w_t"]]
