"""What vendors' reports say: text that may be cut off, and the figures that are read from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from codesign.design import Measure
from codesign.errors import InputError


@dataclass(frozen=True)
class Reading:
    """Figures from a tool's reports.

    Args:
        figures: Value and unit by the end of the measure's name; None for a value that the reports do not give.
        made: The step that they are of and the tool's version, which units say too.
    """

    figures: Mapping[str, tuple[float | None, str]]
    made: str

    def measures(self, prefix: str, by: str) -> dict[str, Measure]:
        """The figures that are there.

        Args:
            prefix: How the measures' names begin.
            by: The pass that they are from.
        """
        return {
            f"{prefix}_{name}": Measure(value, f"{unit} ({self.made})", "reported", by)
            for name, (value, unit) in self.figures.items()
            if value is not None
        }

    @property
    def missing(self) -> list[str]:
        """Names of figures that the reports do not give."""
        return [name for name, (value, _) in self.figures.items() if value is None]


def text_of(path: Path) -> str:
    """A report.

    Raises:
        InputError: It is not there, or can't be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise InputError(str(path), "not there", "a report of the tool's") from None
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {error.strerror}") from None


def unreadable(path: Path, what: str) -> InputError:
    """The error of a report that lacks something."""
    return InputError(str(path), f"no {what} in it", "a whole report, as the tool wrote it", "run the tool again")


def require(path: Path, what: str, found: object, wanted: object) -> None:
    """Refuse a report of another design.

    Raises:
        InputError: What was found is not what was wanted.
    """
    if found != wanted:
        raise InputError(str(path), f"a report of {what} {found!r}", f"{wanted!r}", "run this build's own project")


def require_clock(path: Path, period: str, clock_ns: float) -> None:
    """Refuse timing of another clock; tools print whole picoseconds.

    Raises:
        InputError: The period is another.
    """
    if abs(float(period) - clock_ns) > 0.0005 + 1e-9:
        raise InputError(str(path), f"a clock of {period} ns", f"{clock_ns:g} ns", "run this build's own project")
