"""The report as one HTML page that asks nothing of the network."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from codesign.describe import amount, figure_of, span, with_error
from codesign.report.files._fit import KINDS, fit
from codesign.report.files.document import counted
from codesign.templates import filled

#: Most points of a front, layers with a histogram, and classes in a confusion matrix, that are drawn.
POINTS, HISTOGRAMS, CLASSES = 300, 12, 30
#: The page's files.
PAGE = Path(__file__).with_name("page")
#: Scripts of the page in order: the plotting library, what that is made with, and what calls it.
SCRIPTS = ("vendor/d3.min.js", "vendor/plot.umd.min.js", "charts.js", "page.js")


def page(report: Mapping[str, Any]) -> str:
    """The HTML of a report."""
    front = report["allocation"]["front"]
    drawn = _spread(len(front), report["allocation"]["chosen"])
    layers = _most_sensitive(report["layers"])
    return render(
        "report.html.j2",
        SCRIPTS,
        report=report,
        kinds=KINDS,
        fit=fit(report),
        counted=counted(report),
        drawn=len(drawn),
        histograms=layers,
        most_classes=CLASSES,
        data={
            "front": _front(report["allocation"], drawn),
            "loss_unit": report["sensitivity"]["metrics"][report["sensitivity"]["metric"]]["loss_unit"],
            "sensitivity": report["sensitivity"],
            "layers": [
                {key: layer[key] for key in ("name", "weight_name", "weight_bits", "activation_bits")}
                | {"histogram": layer.get("histogram") if place in layers else None}
                for place, layer in enumerate(report["layers"])
            ],
            "roc": report["roc"],
            "finetune": report["finetune"],
            "passes": report["passes"],
        },
    )


def render(template: str, scripts: Sequence[str] = (), **values: Any) -> str:
    """A page from its template: everything is escaped, and the browser is told to load and to run nothing else.

    Args:
        template: Its name.
        scripts: Names of the scripts that are put into it.
        values: What the template uses.
    """
    # A finished build is read by people who do not know whose names are in it: names are text, never HTML.
    texts = [_file(name) for name in scripts]
    own = {
        "style": Markup(_file("page.css")),  # noqa: S704  (our own file)
        "scripts": [Markup(text) for text in texts],  # noqa: S704  (our own files)
        "license": _file("vendor/LICENSE"),
        "hashes": [_hash(text) for text in texts],
    }
    return filled(PAGE / template, {**values, **own}, amount, figure_of, span, with_error, escaped=True)


@cache
def _file(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


@cache
def _hash(script: str) -> str:
    """A script as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _spread(count: int, chosen: int) -> list[int]:
    """Indices of the points that are drawn: all, or evenly spread ones with the chosen one and the ends."""
    if count <= POINTS:
        return list(range(count))
    return sorted({chosen, *(round(place * (count - 1) / (POINTS - 1)) for place in range(POINTS))})


def _front(allocation: Mapping[str, Any], drawn: Sequence[int]) -> dict[str, Any]:
    """The front for its figures: widths as text, in one order of tensors."""
    points = allocation["front"]
    tensors = list(points[allocation["chosen"]]["bits"])

    def compact(point: Mapping[str, Any], title: str) -> dict[str, Any]:
        bits = [_widths(point["bits"][tensor]) for tensor in tensors]
        return {"title": title, "loss": point["loss"], "costs": point["costs"], "bits": bits}

    chosen = allocation["chosen"]
    return {
        "cost": allocation["cost"],
        "losses": allocation["losses"],
        "units": allocation["units"],
        "budgets": allocation["budgets"],
        "tensors": tensors,
        "points": [
            compact(points[place], f"point {place + 1} of {len(points)}")
            | {"chosen": place == chosen, "gap": points[place]["gap"]}
            for place in drawn
        ],
        "uniform": [
            compact(point, f"uniform, {point['weight_bits']} bits") | {"width": point["weight_bits"]}
            for point in allocation["uniform"]
        ],
    }


def _widths(bits: int | list[int]) -> str:
    """Bits of a tensor, or of its channels, in words."""
    return span(sorted(bits)) if isinstance(bits, list) else str(bits)


def _most_sensitive(layers: Sequence[Mapping[str, Any]]) -> list[int]:
    """Places of the layers whose weights are drawn, in order."""
    having = [place for place, layer in enumerate(layers) if layer.get("histogram")]
    return sorted(sorted(having, key=lambda place: -layers[place]["sensitivity"])[:HISTOGRAMS])
