"""Coefficients of the estimates and their errors, as ``benchmarks/estimates.py`` fits them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from codesign.hdl.families import FamilyName
from codesign.typed import adapter

#: Written by the benchmark, and by nobody else.
FITTED = Path(__file__).parent / "fitted.json"


@dataclass(frozen=True)
class Error:
    """How far estimates of networks that were not fitted are off, relative to what was counted.

    Args:
        median: Half of them are at most this far off.
        most: Nine of ten are at most this far off.
    """

    median: float
    most: float

    def __str__(self) -> str:
        return f"median error {100 * self.median:.0f} %, 90 % within {100 * self.most:.0f} %"


@dataclass(frozen=True)
class Fit:
    """Coefficients, none negative, and their errors.

    Args:
        family, yosys, alkaid: What the networks were synthesized for, and by which versions.
        fitted, held_out: Numbers of networks.
        largest_lut: LUTs of the largest of them.
        lut_per_sum, sharing: LUTs per bit of sums, and the power of the number of outputs that it falls with.
        lut_per_cut: LUTs per bit that is cut.
        levels_per_doubling, levels_per_bit: Levels of adders for every doubling of the terms of a sum, and what every
            bit of its width adds to that.
        ff_per_sum, thinning: Flip-flops per bit of sums where registers between stages cut them, and the power of
            the way to their end that it falls with.
        part_per_bit, part_per_weight: Where widths alone are known, LUTs per bit of a weight and for every weight that
            is not zero, per bit of an adder.
        lut, ff, latency_cycles, part_lut: Errors on networks held out.
    """

    family: FamilyName
    yosys: str
    alkaid: str
    fitted: int
    held_out: int
    largest_lut: int
    lut_per_sum: float
    sharing: float
    lut_per_cut: float
    levels_per_doubling: float
    levels_per_bit: float
    ff_per_sum: float
    thinning: float
    part_per_bit: float
    part_per_weight: float
    lut: Error
    ff: Error
    latency_cycles: Error
    part_lut: Error


@cache
def read_fit() -> Fit:
    """The coefficients that are in use."""
    found: Fit = adapter(Fit).validate_json(FITTED.read_bytes())
    return found
