"""`finetune.pick`: one of the networks that `finetune.per_weight` trained, at a budget."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar

from codesign.describe import amount
from codesign.design import Allocation, Artifact, Design, Trained
from codesign.errors import InputError
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class Pick(Pass):
    """Take the network for a budget from the trained points, and freeze it as integers; front.svg.

    Of the points nearest to the budget, each is brought to it by the changes of single weights that cost the least
    predicted loss; the one with the least loss on the validation split is taken. Nothing is trained again for
    another budget. What has no bits left is told.

    Args:
        budget: Most cost, of the kind that was trained with; the network costs at most a hundredth less.
        luts: Most LUTs, by the estimate of `estimate.resources`, instead; likewise.
        point: A trained point as it is, by its number from 1, the cheapest. Without any, the one with the least
            loss.
        candidates: How many points are brought to the budget.
        shrink: Whether units that no output depends on are taken out of the graph.
    """

    budget: float | None = None
    luts: float | None = None
    point: int | None = None
    candidates: int = 6
    shrink: bool = True

    reads: ClassVar[tuple[str, ...]] = ("graph", "dataset", "front", "artifacts.per_weight")
    writes: ClassVar[tuple[str, ...]] = ("trained", "quantized", "front", "allocation", "artifacts.front", "notices")
    distributions: ClassVar[tuple[str, ...]] = ("torch", "matplotlib")

    def __post_init__(self) -> None:
        given = {"budget": self.budget, "luts": self.luts, "point": self.point}
        if len(named := [name for name, value in given.items() if value is not None]) > 1:
            found = " and ".join(f"{name} = {given[name]}" for name in named)
            raise InputError(f"{self.name}", found, "one of them", "take the others out")
        for option, most in (("budget", self.budget), ("luts", self.luts)):
            if most is not None and not 0 < most < inf:
                raise InputError(f"{self.name}, {option}", f"{most}", "a finite number above 0")
        if self.candidates < 1:
            raise InputError(f"{self.name}, candidates", f"{self.candidates}", "at least 1")

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Choose, settle, freeze."""
        from codesign.finetune._picking import Wanted, pick, values_of, without_bits
        from codesign.finetune._points import Points, front_point
        from codesign.finetune._shrink import shrunk
        from codesign.front_plot import plot_front
        from codesign.torch_forward import threads

        content = context.store.path(design.artifacts["per_weight"].digest).read_bytes()
        points = Points.load(content, design)
        with threads(1):
            wanted = Wanted(self.budget, self.luts, self.point, self.candidates)
            picked = pick(points, wanted, design.dataset, self.name)
        network = points.network
        shown = [
            front_point(network, points.integers(index)[0], each.cost, each.loss - points.loss)
            for index, each in enumerate(points.points)
        ]
        chosen = front_point(network, picked.quantized, picked.cost, picked.loss - points.loss)
        place = sum(each.cost < picked.cost for each in points.points)
        if picked.settled:
            shown.insert(place, chosen)
        else:
            shown[picked.index] = chosen
            place = picked.index
        name = network.cost_name
        budgets = {} if self.budget is None else {name: self.budget}
        front = replace(
            design.front, cost=name, points=tuple(shown), uniform={}, solver="per_weight", complete=False,
            budgets=budgets, losses="validation",
        )  # fmt: skip
        made, left = shrunk(picked.quantized) if self.shrink else (picked.quantized, {})
        notices = [*picked.notices, *without_bits(design.graph, picked.quantized, left)]
        notices += [
            f"the budget of {amount(most)} {other} was for the bits before training; this network is not held to it"
            for other, most in design.front.budgets.items()
            if other not in budgets
        ]
        return {
            "trained": Trained(values_of(made), made.formats, (points.loss, picked.loss), 1),
            "quantized": made,
            "front": front,
            "allocation": Allocation(chosen, place),
            "artifacts": {"front": Artifact("front.svg", context.store.put(plot_front(front, place)))},
            "notices": {f"{self.name}.{index}": notice for index, notice in enumerate(notices)},
        }
