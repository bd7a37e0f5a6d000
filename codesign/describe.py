"""What a pass and its options are, in words, read from its own docstring."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from inspect import cleandoc, getdoc
from math import floor, isfinite, log10
from typing import Any, get_type_hints

from codesign.passes import Pass
from codesign.typed import spelt


def with_error(value: float, error: float) -> str:
    """A number and its standard error, with as many digits as the error leaves meaning: ``59 ± 10``."""
    if not (isfinite(error) and error > 0 and 1e-4 < abs(value) < 1e6):
        return f"{value:.3g} ± {error:.1g}"
    digits = max(-floor(log10(error)), 0)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def figure_of(quality: Mapping[str, Any], network: str) -> str:
    """A figure of a report's ``quality`` for one network, with its standard error if that is known."""
    errors = quality["errors"]
    return f"{quality[network]:.4f}" + (f" ± {errors[network]:.4f}" if errors else "")


def amount(value: float) -> str:
    """A cost or a measure: thousands apart, digits behind the point where the number is small enough to need them."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def span(ends: Sequence[int]) -> str:
    """The smallest and largest of some numbers: ``4 to 8``, or ``4`` if they are one."""
    return f"{ends[0]}" if ends[0] == ends[-1] else f"{ends[0]} to {ends[-1]}"


@dataclass(frozen=True)
class Option:
    """One option of a pass: its name, type, default (as text) and meaning."""

    name: str
    type: str
    default: str
    help: str


def summary(step: type[object]) -> str:
    """The first paragraph of a class's docstring, on one line."""
    return " ".join((getdoc(step) or "").split("\n\n")[0].split())


def options(step: type[Pass]) -> list[Option]:
    """The options of a pass: its own in order, then those that it inherits."""
    hints = get_type_hints(step)
    helps: dict[str, str] = {}
    for kind in reversed(step.__mro__):  # options that a pass inherits are described where they are
        helps |= _arguments(cleandoc(kind.__doc__ or ""))
    own = vars(step).get("__annotations__", {})
    return [
        Option(item.name, spelt(hints[item.name]), _default(item), helps.get(item.name, ""))
        for item in sorted(fields(step), key=lambda item: item.name not in own)  # type: ignore[arg-type]
    ]


def _arguments(doc: str) -> dict[str, str]:
    """Name to text, from the ``Args:`` section; ``a, b: text`` is for both."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in doc.partition("\nArgs:\n")[2].split("\n"):
        entry = re.match(r" {4}(\w[\w, ]*): (.*)", line)
        if entry:
            names = [name.strip() for name in entry[1].split(",")]
            found |= dict.fromkeys(names, entry[2])
        elif line.startswith(" " * 8):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        elif line.strip():
            break
    return found


def _default(item: Field[Any]) -> str:
    if item.default is MISSING:
        return "required" if item.default_factory is MISSING else repr(item.default_factory())
    return "none" if item.default is None else repr(item.default)
