"""`greedy`: bits are given up one step at a time, where a saved share of the budgets costs the least. A baseline."""

import numpy as np

from codesign.allocate._problem import Float64, Problem
from codesign.allocate.solvers._moves import Moves
from codesign.allocate.solvers._solver import Effort, Solution, Solver, answer

#: Changes smaller than this share of the objective are rounding.
ROUNDING = 1e-12


class Greedy(Solver):
    """From the least objective down to the budgets, then up again where there is room.

    The way of most bit allocators that solve nothing: each step changes one decision, the one with the least objective
    lost per share of the budgets saved. It proves nothing, and may find nothing where there is something.
    """

    def solve(self, problem: Problem, effort: Effort) -> Solution:
        """An assignment that meets the bounds, or none."""
        moves = Moves(problem, "solver greedy")
        _improve(moves, anywhere=True)
        while (now := float(moves.excess()[0, moves.picks[0]])) > 0:
            ratio = _per_share(moves.objective(), now - moves.excess(), moves)
            if not np.isfinite(ratio).any():
                return answer(problem, None)
            moves.take(*_first(ratio))
            effort.progress(f"greedy, {now:.3g} over the budgets", 0, 0)
        _improve(moves, anywhere=False)
        return answer(problem, tuple(moves.picks) if problem.feasible(moves.picks) else None)


def _per_share(after: Float64, saved: Float64, moves: Moves) -> Float64:
    """Objective lost per share of the bounds saved, by each change; infinite for changes that save nothing."""
    lost = after - after[0, moves.picks[0]]
    saves = saved > ROUNDING
    ratio = np.full(lost.shape, np.inf)
    ratio[saves] = np.where(lost[saves] > 0, lost[saves] / saved[saves], lost[saves] * saved[saves])
    return ratio


def _improve(moves: Moves, anywhere: bool) -> None:
    """Take the change with the most gain as long as there is one; within the bounds, or anywhere."""
    while True:
        after = np.nan_to_num(moves.objective(), nan=np.inf)
        if not anywhere:
            after = np.where(np.nan_to_num(moves.excess(), nan=np.inf) > 0, np.inf, after)
        now = moves.objective()[0, moves.picks[0]]
        index, choice = _first(after)
        if not after[index, choice] < now - ROUNDING * abs(now):
            return
        moves.take(index, choice)


def _first(values: Float64) -> tuple[int, int]:
    """Where the least is."""
    index, choice = np.unravel_index(int(np.argmin(values)), values.shape)
    return int(index), int(choice)
