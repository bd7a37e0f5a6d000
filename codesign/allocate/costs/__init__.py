"""Cost models: one file each, with units and source."""

from functools import cache

from codesign.allocate.costs._cost import Activation, Cost, Counted, Hardware, Part, whole
from codesign.allocate.costs._of_singles import OF_SINGLES, Adders
from codesign.allocate.costs._singles import Single
from codesign.errors import InputError, did_you_mean
from codesign.plugins import plugins

__all__ = [
    "Activation", "Adders", "Cost", "Counted", "Hardware", "Part", "Single", "costs", "make_cost", "whole",
]  # fmt: skip

ENTRY_POINTS = "codesign.costs"


@cache
def costs() -> dict[str, type[Cost]]:
    """Every cost model by name.

    Raises:
        ContractError: Two owners claim one name.
        InputError: A package's cost cannot be imported.
    """
    return plugins(__name__, ENTRY_POINTS, Cost, "cost")


def make_cost(name: str, hardware: Hardware, where: str) -> Cost:
    """A cost model by name, those of single weights included.

    Args:
        name: Its name.
        hardware: What it may ask about the hardware.
        where: The option that names it, for messages.

    Raises:
        InputError: There is none of that name.
    """
    if name in OF_SINGLES:
        return OF_SINGLES[name](hardware)
    if name not in costs():
        raise InputError(where, f"unknown cost {name!r}", "", did_you_mean(name, costs()))
    return costs()[name](hardware)
