"""`allocate.choose`: one point of the front, and the picture of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from codesign.design import Allocation, Artifact, Design, Front
from codesign.errors import InputError
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class Choose(Pass):
    """Pick a point of the front: the least predicted loss within the budgets, or any by its number; front.svg.

    The front is not made again for another point.

    Args:
        point: Its place on the front, from 1, the cheapest; without it, the point with the least predicted loss
            within the budgets.
    """

    point: int | None = None

    reads: ClassVar[tuple[str, ...]] = ("front",)
    writes: ClassVar[tuple[str, ...]] = ("allocation", "artifacts.front")
    distributions: ClassVar[tuple[str, ...]] = ("matplotlib",)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Pick and plot."""
        from codesign.front_plot import plot_front

        allocation = choose(design.front, self.point)
        digest = context.store.put(plot_front(design.front, allocation.index))
        return {"allocation": allocation, "artifacts": {"front": Artifact("front.svg", digest)}}


def choose(front: Front, place: int | None) -> Allocation:
    """A point of a front.

    Args:
        front: With one point within its budgets at least.
        place: Its number, from 1; None for the least loss within the budgets.

    Raises:
        InputError: There is no such point.
    """
    if place is not None:
        if not 1 <= place <= len(front.points):
            raise InputError("allocate.choose, point", f"{place}", f"1 to {len(front.points)}, the points of the front")
        return Allocation(front.points[place - 1], place - 1)
    within = [
        index
        for index, point in enumerate(front.points)
        if all(point.costs[name] <= most for name, most in front.budgets.items())
    ]
    best = min(within, key=lambda index: front.points[index].loss)
    return Allocation(front.points[best], best)
