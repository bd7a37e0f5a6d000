"""What can be wrong with the options of `allocate.pareto` before any data is seen."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from codesign.allocate import costs, solvers
from codesign.allocate._widths import NARROWEST, WIDEST
from codesign.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from codesign.allocate.pareto import Pareto

#: An option, whether it is fine, what was found, what is wanted.
Rule = tuple[str, bool, object, str]


def check_options(given: "Pareto") -> None:
    """Refuse options that no network could be allocated with.

    Raises:
        InputError: A number out of range, widths that no quantizer has, a cost or a solver that there is not.
    """
    for option, fine, found, wanted in (*_numbers(given), *_widths(given)):
        if not fine:
            raise InputError(f"allocate.pareto, {option}", f"{found}", wanted)
    _known("budgets", "cost", list(given.budgets), costs.costs())
    _known("costs", "cost", given.costs, costs.costs())
    _known("solver", "solver", [given.solver] if given.solver != "auto" else [], solvers.solvers())


def _numbers(given: "Pareto") -> Iterator[Rule]:
    for name, budget in given.budgets.items():
        fine = budget == "target" or (not isinstance(budget, str) and 0 < budget < inf)
        yield f"budgets.{name}", fine, budget, 'a positive number, or "target"'
    yield "calibration", given.calibration >= 1, given.calibration, "at least 1 sample"
    yield "group_size", given.group_size >= 1, given.group_size, "at least 1 channel"
    yield "reuse_factor", given.reuse_factor >= 1, given.reuse_factor, "at least 1"
    yield "gap", 0 <= given.gap < 1, given.gap, "at least 0, below 1"
    yield "points", isinstance(given.points, str) or given.points >= 2, given.points, "2 or more"
    limit = given.time_limit_s
    yield "time_limit_s", limit is None or limit > 0, limit, "a positive number"
    for names in given.ties:
        yield "ties", len(set(names)) > 1, list(names), "at least two tensors in each list"


def _widths(given: "Pareto") -> Iterator[Rule]:
    for option, (low, high) in {"weight_bits": given.weight_bits, "activation_bits": given.activation_bits}.items():
        fine = NARROWEST <= low <= high <= WIDEST
        yield option, fine, f"{low} to {high}", f"{NARROWEST} to {WIDEST} bits, the fewest first"
    bits = given.input_bits
    yield "input_bits", bits is None or NARROWEST <= bits <= WIDEST, bits, f"{NARROWEST} to {WIDEST}"
    for name, bits in given.bits.items():
        low, high = (bits, bits) if isinstance(bits, int) else bits
        fine = low == high == 0 or NARROWEST <= low <= high <= WIDEST
        found = f"{low}" if low == high else f"{low} to {high}"
        yield f"bits.{name}", fine, found, f"{NARROWEST} to {WIDEST} bits, the fewest first, or 0 to prune a weight"
    if given.activations == "tied":
        low, high = (bits + given.activation_offset for bits in given.weight_bits)
        found = f"{given.activation_offset}, which makes activations of {low} to {high}"
        fine = low >= NARROWEST and high <= WIDEST
        yield "activation_offset", fine, found, f"activations of {NARROWEST} to {WIDEST} bits"


def _known(option: str, sort: str, names: Sequence[str], known: Mapping[str, object]) -> None:
    for name in names:
        if name not in known:
            raise InputError(f"allocate.pareto, {option}", f"unknown {sort} {name!r}", "", did_you_mean(name, known))
