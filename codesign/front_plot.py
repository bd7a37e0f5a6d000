"""The front as a picture."""

from typing import Any

from codesign.describe import amount
from codesign.design import Front
from codesign.picture import svg


def plot_front(front: Front, chosen: int) -> bytes:
    """SVG of the loss increase against each cost: the points, the chosen one, uniform bits, budgets.

    Args:
        front: The front.
        chosen: Index of the chosen point.
    """
    names = list(front.points[0].costs)

    def draw(panels: Any) -> None:
        for axes, name in zip(panels[0], names, strict=True):
            _panel(axes, front, chosen, name)
        panels[0][0].legend()

    return svg(1, len(names), (5.2 * len(names) + 0.4, 3.8), draw)


def _panel(plot: Any, front: Front, chosen: int, name: str) -> None:
    costs, losses = [point.costs[name] for point in front.points], [point.loss for point in front.points]
    line = "-" if name == front.cost else "none"
    label = f"all {len(losses)} Pareto-optimal" if front.complete else "the best found at their cost"
    plot.plot(costs, losses, linestyle=line, marker=".", color="#4c72b0", linewidth=0.8, markersize=4, label=label)
    uniform = [point.costs[name] for point in front.uniform.values()], [point.loss for point in front.uniform.values()]
    plot.plot(*uniform, "s", color="#777777", fillstyle="none", label="uniform weight bits")
    plot.plot(costs[chosen], losses[chosen], "*", color="#dd8452", markersize=14, label="chosen")
    if name in front.budgets:
        most = front.budgets[name]
        plot.axvline(most, color="#c44e52", linestyle="--", linewidth=1, label=f"budget, {amount(most)}")
    if min([*losses, *uniform[1]]) > 0:
        plot.set_yscale("log")
    plot.set_xlabel(f"{name} (estimated)")
    kind = "estimated" if front.losses == "predicted" else "simulated"
    plot.set_ylabel(f"{front.losses} loss increase ({kind})")
    plot.grid(alpha=0.3)
