"""`finetune.per_weight`: bits for every single weight, learned while the cost falls."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Literal

from codesign.design import Artifact, Design
from codesign.errors import InputError
from codesign.passes import Context, Pass
from codesign.tools import version


@dataclass(frozen=True)
class PerWeight(Pass):
    """Learn weights and their bits together, under a cost that falls from what was allocated: a whole front.

    Every weight, bias and activation element (of a convolution's input: channel) has bits of its own, as real numbers
    that are rounded; gradients go straight through (HGQ, arXiv 2405.00645). The price of cost is set at every step so
    that the cost follows its schedule. The best points are kept; `finetune.pick` takes one for a budget.

    Args:
        cost: What is counted: "adders", LUTs of the adders of `transpile.rtl`, by a fit; "signed_digits", signed digits
            of each weight that are not zero, times bits of the activation that it meets; "counted_ebops", bits of each
            weight from the first that is set to the last, times those.
        granularity: What has bits of its own: each "weight", each "channel" or each "layer".
        start: Where bits start: "allocation", the allocated ones; "curvature", as much cost spread by the Hessian's
            diagonal, which needs a sensitivity with granularity "element"; "plain", the same for all.
        highest: The cost that is aimed at first; the start's own where nothing is set.
        lowest: The cost that is aimed at last; a hundredth of the highest where nothing is set.
        steps: Steps of training.
        seconds: Longest time of training; the schedule goes by the clock then, and results are not reproducible.
        batch: Samples per step.
        learning_rate: Adam's step size for weights.
        bits_rate: Adam's step size for bits.
        restarts: How often the cosine of the step sizes starts anew.
        calibration: Training samples on which activations are looked at.
        compiled: Whether a step is compiled by g++, if there is one.
        metric: The sensitivity that "curvature" takes; the one that chose the bits where nothing is set.
    """

    cost: Literal["adders", "signed_digits", "counted_ebops"] = "adders"
    granularity: Literal["weight", "channel", "layer"] = "weight"
    start: Literal["allocation", "curvature", "plain"] = "allocation"
    highest: float | None = None
    lowest: float | None = None
    steps: int = 100_000
    seconds: float | None = None
    batch: int = 1024
    learning_rate: float = 0.004
    bits_rate: float = 0.004
    restarts: int = 30
    calibration: int = 4096
    compiled: bool = True
    metric: str = ""

    reads: ClassVar[tuple[str, ...]] = ("graph", "dataset", "sensitivity", "front", "allocation")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.per_weight", "notices")
    distributions: ClassVar[tuple[str, ...]] = ("torch",)
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        least = {"steps": self.steps, "batch": self.batch, "restarts": self.restarts, "calibration": self.calibration}
        for option, count in least.items():
            if count < 1:
                raise InputError(f"{self.name}, {option}", f"{count}", "at least 1")
        above = {"learning_rate": self.learning_rate, "bits_rate": self.bits_rate, "seconds": self.seconds}
        above |= {"highest": self.highest, "lowest": self.lowest}
        for option, number in above.items():
            if number is not None and not 0 < number < inf:
                raise InputError(f"{self.name}, {option}", f"{number}", "a number above 0")

    def versions(self) -> Mapping[str, str]:
        """Of g++, whose machine code rounds sums in an order of its own; empty where steps are not compiled."""
        return {"g++": version("g++")} if self.compiled and shutil.which("g++") else {}

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Start, train, keep the front."""
        from codesign.finetune._anneal import Recipe, anneal, data_of, one_answer
        from codesign.finetune._points import Points
        from codesign.finetune._start import beginning
        from codesign.metric import metric_named
        from codesign.torch_forward import threads

        metric = self.metric or design.front.metric
        if self.start == "curvature":
            metric = metric_named(metric, design.sensitivity, self.name)
            if not design.sensitivity[metric].elements:
                hint = f"set sensitivity.{metric}.granularity to 'element'"
                found = f"no diagonal in the sensitivity {metric!r}"
                raise InputError(f"{self.name}, start", found, "one for 'curvature'", hint)
        with threads(1):
            begun = beginning(design, self.granularity, self.cost, self.start, self.calibration, metric)
            whole = begun.network.whole(begun.vector)
            start = float(begun.network.total(whole))
            highest = self.highest or start
            lowest = self.lowest or highest / 100
            if not 1 <= lowest < min(highest, start):
                found = f"from {highest:,.0f} down to {lowest:,.0f} {self.cost}"
                wanted = f"at least 1, and less than the highest and than the start, which costs {start:,.0f}"
                raise InputError(f"{self.name}, lowest", found, wanted)
            recipe = Recipe(
                self.steps, self.seconds, self.batch, self.learning_rate, self.bits_rate, self.restarts,
                highest, lowest, self.compiled, context.seed,
            )  # fmt: skip
            data = data_of(design)
            run = anneal(begun, data, recipe, context.work, context.progress)
            points = Points.of(begun, run, data)
        notices = [f"{run.stopped}; points before that are kept"] if run.stopped else []
        least = one_answer(data[1].wanted)
        if points.loss < least <= min(point.loss for point in points.points):
            found = f"no point does better on the validation split than one answer for all samples, loss {least:.4g}"
            notices.append(f"{found}: lower learning_rate and bits_rate, or raise highest or steps")
        digest = context.store.put(points.dump())
        return {
            "artifacts": {"per_weight": Artifact("per_weight.safetensors", digest)},
            "notices": {f"{self.name}.{index}": f"{self.name}: {told}" for index, told in enumerate(notices)},
        }
