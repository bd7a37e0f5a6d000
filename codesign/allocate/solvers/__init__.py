"""Solvers of the allocation problem: one file each, all with one interface."""

from functools import cache

from codesign.allocate.solvers._solver import Effort, Solution, Solver, answer
from codesign.errors import InputError, did_you_mean
from codesign.plugins import plugins

__all__ = ["Effort", "Solution", "Solver", "answer", "make_solver", "solvers"]

ENTRY_POINTS = "codesign.solvers"


@cache
def solvers() -> dict[str, type[Solver]]:
    """Every solver by name.

    Raises:
        ContractError: Two owners claim one name.
        InputError: A package's solver cannot be imported.
    """
    return plugins(__name__, ENTRY_POINTS, Solver, "solver")


def make_solver(name: str, where: str) -> Solver:
    """A solver by name.

    Args:
        name: Its name.
        where: The option that names it, for messages.

    Raises:
        InputError: There is none of that name.
    """
    if name not in solvers():
        raise InputError(where, f"unknown solver {name!r}", "", did_you_mean(name, solvers()))
    return solvers()[name]()
