"""`sensitivity.comparison`: how every metric ranks the tensors, as a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from codesign.design import Artifact, Design
from codesign.passes import Context, Pass
from codesign.picture import literal, svg
from codesign.ranking import Ranked, groups, ranking, unit


@dataclass(frozen=True)
class Comparison(Pass):
    """Plot every metric's figures with their standard errors, the most sensitive tensor first: sensitivity.svg.

    Metrics to compare are passes before this one; add them with --also, such as --also sensitivity.perturbation.
    """

    reads: ClassVar[tuple[str, ...]] = ("graph", "sensitivity")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.sensitivity",)
    distributions: ClassVar[tuple[str, ...]] = ("matplotlib",)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """One column of panels per metric: weights above, activations below."""
        metrics, named = design.sensitivity, groups(design.graph)
        longest = max(len(tensors) for tensors in named.values())

        def draw(panels: Any) -> None:
            for row, (title, tensors) in enumerate(named.items()):
                for column, (name, found) in enumerate(metrics.items()):
                    axes = panels[row][column]
                    _points(axes, ranking(found, tensors))
                    axes.set_title(f"{literal(name)}: {title}")
                    axes.set_xlabel(unit(found))

        size = 3.4 * len(metrics) + 0.6, len(named) * (1.0 + 0.28 * longest)
        digest = context.store.put(svg(len(named), len(metrics), size, draw))
        return {"artifacts": {"sensitivity": Artifact("sensitivity.svg", digest)}}


def _points(plot: Any, places: list[Ranked]) -> None:
    """Points with error bars, the largest on top; on a logarithmic axis where it takes one."""
    if not places:
        plot.set_axis_off()
        plot.text(0.5, 0.5, "not measured", ha="center", va="center", transform=plot.transAxes)
        return
    names = [literal(place.tensor) for place in places]
    figures, errors = [place.figure for place in places], [place.error for place in places]
    plot.errorbar(figures, names, xerr=errors, fmt="o", color="#4c72b0", ecolor="#222222", capsize=3)
    plot.margins(y=0.5 / len(places))
    plot.grid(axis="x", alpha=0.3)
    plot.invert_yaxis()
    least, most = min(figures), max(figures)
    if least > 0 and most > 10 * least:
        plot.set_xscale("log")
        plot.xaxis.set_minor_formatter("")
        plot.set_xlim(left=least / 3)  # an error as large as the value would reach down for ever
