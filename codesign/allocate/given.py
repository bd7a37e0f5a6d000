"""`allocate.given`: the bits of the quantizers that a network came with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from codesign.allocate._widths import NARROWEST, WIDEST
from codesign.allocate.pareto import DEFAULT_COST
from codesign.design import Allocation, Design, Front
from codesign.errors import InputError
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class Given(Pass):
    """Take bits and binary points from the quantizers of an ONNX file; nothing is chosen.

    Scales are moved to the nearest power of two. What that and our rounding change, compared with the file, is told
    for each layer, on calibration data.

    Args:
        budgets: Most of each cost, by the cost's name, or "target" for what the target allows.
        costs: Costs to report without a budget.
        input_bits: Bits of network inputs without a quantizer.
        bits: Bits of other tensors without a quantizer, by name.
        reuse_factor: Products that one multiplier does one after another, for the costs bram and latency_cycles.
        calibration: Training samples on which activations are looked at, and layers compared with the file's.
        metric: The sensitivity that predicts the loss; the first in the flow where nothing is set.
    """

    budgets: dict[str, float | Literal["target"]] = field(default_factory=dict[str, float | Literal["target"]])
    costs: tuple[str, ...] = ()
    input_bits: int = 16
    bits: dict[str, int] = field(default_factory=dict[str, int])
    reuse_factor: int = 1
    calibration: int = 4096
    metric: str = ""

    reads: ClassVar[tuple[str, ...]] = ("target", "graph", "dataset", "sensitivity", "given")
    writes: ClassVar[tuple[str, ...]] = ("front", "allocation", "notices")
    distributions: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        for name, width in {"input_bits": self.input_bits, **self.bits}.items():
            if not NARROWEST <= width <= WIDEST:
                raise InputError(f"allocate.given, bits of {name!r}", f"{width}", f"{NARROWEST} to {WIDEST}")
        limits = {"calibration": self.calibration, "reuse_factor": self.reuse_factor}
        for option, count in limits.items():
            if count < 1:
                raise InputError(f"allocate.given, {option}", f"{count}", "at least 1")

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Formats, their costs, and what they change."""
        from codesign.allocate._effect import effects
        from codesign.allocate._given import formats_given, single_choice
        from codesign.allocate._setup import budget_of, cost_models, tables
        from codesign.metric import metric_named
        from codesign.starting import Starting

        formats = formats_given(design, {**dict.fromkeys(design.graph.inputs, self.input_bits), **self.bits})
        start = Starting.of(design, self.calibration, formats.known)
        whole = {**formats.known, **{name: start.format(name, bits)[0] for name, bits in formats.missing.items()}}
        names = list(dict.fromkeys([*self.budgets, *self.costs])) or [DEFAULT_COST]
        models = cost_models(design, names, self.reuse_factor, (), f"{self.name}, budgets or costs")
        limits = {name: cost.limit() for name, cost in models.items()}
        metric = metric_named(self.metric, design.sensitivity, self.name)
        choices = single_choice(design.graph, whole)
        point = tables(design, start, metric, choices, models).point([0] * len(choices), None)
        budgets = {name: budget_of(name, most, limits, self.name) for name, most in self.budgets.items()}
        front = Front(names[0], (point,), {}, metric, "given", False, budgets, self.reuse_factor)
        notices = [*formats.notices, *effects(design, whole, self.calibration)]
        return {
            "front": front,
            "allocation": Allocation(point, 0, whole),
            "notices": {f"allocate.{index}": notice for index, notice in enumerate(notices)},
        }
