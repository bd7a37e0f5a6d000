"""Draws the Pareto front of a build: `python docs/images/make_front.py build/jets/report.json docs/images/front.svg`.

A tool of the documentation.
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "codesign"  # the same file for the same report
mpl.rcParams["svg.fonttype"] = "none"

from matplotlib import pyplot as plt  # noqa: E402  (after the backend is chosen)


def draw(report: Path, picture: Path) -> None:
    """Draw the front, the uniform assignments, the budget and the chosen point of a report."""
    allocation = json.loads(report.read_text(encoding="utf-8"))["allocation"]
    front, uniform = allocation["front"], allocation["uniform"]
    chosen, budget = front[allocation["chosen"]], allocation["budget"]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(
        [p["cost"] / 1e3 for p in front], [p["loss"] for p in front], ".-", color="tab:blue", linewidth=0.8,
        label=f"Pareto front, {len(front)} assignments",
    )  # fmt: skip
    axes.plot(
        [p["cost"] / 1e3 for p in uniform], [p["loss"] for p in uniform], "s", color="tab:gray", fillstyle="none",
        label="the same weight bits in every layer",
    )  # fmt: skip
    if budget is not None:
        axes.axvline(budget / 1e3, color="tab:red", linestyle="--", linewidth=1, label=f"budget, {budget:,.0f} BOPs")
    axes.plot([chosen["cost"] / 1e3], [chosen["loss"]], "*", color="tab:orange", markersize=14, label="chosen")
    axes.set(xlabel="BOPs, thousands (estimated)", ylabel="predicted loss increase, nats", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
