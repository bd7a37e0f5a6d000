"""What the target allows, beside what was found of the firmware."""

from collections.abc import Mapping
from dataclasses import dataclass

from codesign.describe import amount
from codesign.design import Measure
from codesign.target import Target

#: Ends of measures' names that a limit is for, as in ``yosys_lut``; the target's field is in the measure's own unit.
LIMITS = (
    "lut", "ff", "dsp", "bram_36k", "area_um2", "latency_cycles", "initiation_interval_cycles", "fmax_mhz",
    "hold_slack_ns",
)  # fmt: skip
#: These a target wants at least, not at most.
LEAST = ("fmax_mhz", "hold_slack_ns")


@dataclass(frozen=True)
class Limit:
    """A limit on a measure.

    Args:
        value: What the target says.
        least: Whether the measure must be at least that, not at most.
        kept: Whether it is.
    """

    value: float
    least: bool
    kept: bool


def limits(target: Target, measures: Mapping[str, Measure]) -> dict[str, Limit]:
    """Limits on those measures that the target has one for, by the measure's name.

    Estimated numbers are held against budgets, where they are asked for, and not here.
    """
    found: dict[str, Limit] = {}
    for name, measure in measures.items():
        # What is of a layer alone has a colon and its name at the end.
        end = None if ":" in name else next((end for end in LIMITS if name.endswith(f"_{end}")), None)
        if end is None or measure.kind == "estimated" or (value := getattr(target, end)) is None:
            continue
        least = end in LEAST
        found[name] = Limit(value, least, measure.value >= value if least else measure.value <= value)
    return found


def exceeded(found: Mapping[str, Limit], measures: Mapping[str, Measure], target: Target) -> list[str]:
    """A sentence for each limit that is not kept."""
    return [
        f"{name} ({measures[name].kind}) is {amount(measures[name].value)} {measures[name].unit}, "
        f"where the target {target.name} wants at {'least' if limit.least else 'most'} {amount(limit.value)}"
        for name, limit in found.items()
        if not limit.kept
    ]
