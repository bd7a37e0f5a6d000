"""Fronts side by side: accuracy at given LUTs, LUTs at given accuracy, a picture."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from rich.table import Table

Floats = npt.NDArray[np.float64]
#: The points of one seed.
Front = Sequence[Mapping[str, float]]
LUTS: Floats = np.array([300, 500, 800, 1200, 2000, 3000, 5000, 8000, 12_000.0])
ACCURACIES: Floats = np.array([0.710, 0.715, 0.720, 0.725, 0.730, 0.735, 0.740, 0.745])
#: Where curves are evaluated.
FINE: Floats = np.geomspace(100, 30_000, 2000)


def curve(front: Front, luts: Floats) -> Floats:
    """Test accuracy over LUTs, of the points that are best by validation; no number outside."""
    kept, most = list[tuple[float, float]](), 0.0
    for point in sorted(front, key=lambda each: each["lut"]):
        if point["validation"] > most:
            most = point["validation"]
            kept.append((np.log(point["lut"]), point["test"]))
    x, y = np.array(kept).T
    found = np.interp(np.log(luts), x, y, left=np.nan)  # with more LUTs than the largest has, that one is taken
    return np.asarray(found, np.float64)


def mean_curve(seeds: Sequence[Front], luts: Floats) -> Floats:
    """Mean of the seeds; no number where one has none."""
    return np.asarray(np.mean([curve(each, luts) for each in seeds], axis=0))


def luts_at(seeds: Sequence[Front], accuracy: float) -> float:
    """The fewest LUTs at which the mean curve has an accuracy; no number where it is never reached."""
    reached = np.flatnonzero(mean_curve(seeds, FINE) >= accuracy)
    return float(FINE[reached[0]]) if len(reached) else float("nan")


def comparison(fronts: Mapping[str, Sequence[Front]]) -> Iterator[Table]:
    """Accuracies at LUTs, LUTs at accuracies, and all points."""
    names = list(fronts)
    table = Table("LUT", *names, title="test accuracy in %, mean of seeds (spread)")
    for lut in LUTS:
        own = {name: np.array([curve(front, np.array([lut]))[0] for front in fronts[name]]) * 100 for name in names}
        table.add_row(f"{lut:,.0f}", *(f"{own[name].mean():.2f} ({np.ptp(own[name]):.2f})" for name in names))
    yield table
    table = Table("test accuracy", *names, title=f"LUTs of the mean curve (those of {names[0]} by them)")
    for accuracy in ACCURACIES:
        found = {name: luts_at(fronts[name], float(accuracy)) for name in names}
        cells = [f"{found[name]:,.0f} ({found[names[0]] / found[name]:.2f})" for name in names]
        table.add_row(f"{accuracy:.3f}", *cells)
    yield table
    table = Table("maker", "seed", "own cost", "alkaid's cost", "LUT", "FF", "stages", "validation", "test")
    for name, seeds in fronts.items():
        for seed, front in enumerate(seeds):
            for point in sorted(front, key=lambda each: each["lut"]):
                whole = (f"{point[key]:,.0f}" for key in ("own", "alkaid", "lut", "ff", "stages"))
                table.add_row(name, f"{seed}", *whole, f"{point['validation']:.4f}", f"{point['test']:.4f}")
    yield table


def pace(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> Table:
    """How long steps took, by maker, of what each run says of itself: ``steps`` and ``seconds``."""
    table = Table("maker", "steps", "ms a step", title="steps of training, validation included; mean of seeds")
    for name, each in runs.items():
        steps, ms = ([run["steps"] for run in each], [run["seconds"] / run["steps"] * 1e3 for run in each])
        table.add_row(name, f"{np.mean(steps):,.0f}", f"{np.mean(ms):.2f}")
    return table


def drawn(fronts: Mapping[str, Sequence[Front]], path: Path, kind: str) -> None:
    """Points of all seeds, and the mean curves; ``kind`` says how LUTs are known."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for index, (name, seeds) in enumerate(fronts.items()):
        points = [point for front in seeds for point in front]
        axes.plot(FINE, mean_curve(seeds, FINE), color=f"C{index}", label=name)
        axes.plot([p["lut"] for p in points], [p["test"] for p in points], ".", color=f"C{index}", alpha=0.5)
    axes.set_xscale("log")
    axes.set_xlim(200, 30_000)
    axes.set_ylim(0.68, 0.76)
    axes.set_xlabel(f"LUT, UltraScale+ ({kind})")
    axes.set_ylabel("test accuracy (simulated)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
