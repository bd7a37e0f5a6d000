"""`sensitivity.comparison`: how every metric ranks the tensors, as a picture."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from codesign.design import Artifact, Design
from codesign.passes import Context, Pass
from codesign.sensitivity._ranking import Ranked, groups, ranking, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        import matplotlib
        from matplotlib.figure import Figure

        metrics, named = design.sensitivity, groups(design.graph)
        longest = max(len(tensors) for tensors in named.values())
        content = io.BytesIO()
        library: Any = matplotlib
        with library.rc_context(
            {**library.rcParamsDefault, "svg.hashsalt": "codesign", "svg.fonttype": "none", "font.size": 9}
        ):
            figure: Any = Figure((3.4 * len(metrics) + 0.6, len(named) * (1.0 + 0.28 * longest)), layout="constrained")
            panels: Any = figure.subplots(len(named), len(metrics), squeeze=False)
            for row, (title, tensors) in enumerate(named.items()):
                for column, (name, found) in enumerate(metrics.items()):
                    axes = panels[row][column]
                    _points(axes, ranking(found, tensors))
                    axes.set_title(f"{name}: {title}")
                    axes.set_xlabel(unit(found))
            figure.savefig(content, format="svg", metadata={"Date": None})
        digest = context.store.put(content.getvalue())
        return {"artifacts": {"sensitivity": Artifact("sensitivity.svg", digest)}}


def _points(axes: "Axes", places: list[Ranked]) -> None:
    """Points with error bars, the largest on top; on a logarithmic axis where it takes one."""
    plot: Any = axes
    if not places:
        plot.set_axis_off()
        plot.text(0.5, 0.5, "not measured", ha="center", va="center", transform=plot.transAxes)
        return
    names = [place.tensor for place in places]
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
