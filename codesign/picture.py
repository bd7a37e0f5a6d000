"""Plots as SVG: the same file for the same numbers, text as text."""

import io
from collections.abc import Callable
from typing import Any


def svg(rows: int, columns: int, size: tuple[float, float], draw: Callable[[Any], None]) -> bytes:
    """Draw a figure.

    Args:
        rows: Panels one below the other.
        columns: Panels side by side.
        size: Width and height in inches.
        draw: Given the panels ``[rows][columns]`` (matplotlib axes, which carry no types), draws on them. Names that
            users chose go through ``literal``.
    """
    import matplotlib
    from matplotlib.figure import Figure

    content = io.BytesIO()
    library: Any = matplotlib
    own = {"svg.hashsalt": "codesign", "svg.fonttype": "none", "font.size": 9}
    with library.rc_context({**library.rcParamsDefault, **own}):
        figure: Any = Figure(size, layout="constrained")
        draw(figure.subplots(rows, columns, squeeze=False))
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def literal(text: str) -> str:
    """Text that is drawn as it is: between two ``$``, matplotlib would read a formula."""
    return text.replace("$", r"\$")
