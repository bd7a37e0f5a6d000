"""`sensitivity.perturbation`: the loss itself, with one tensor quantized."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from codesign.arrays import FloatArray
from codesign.design import Design, Score, Sensitivity
from codesign.fixed import Fixed, quantize
from codesign.passes import Context
from codesign.sensitivity._metric import Metric

if TYPE_CHECKING:
    from torch import Tensor

    from codesign.sensitivity._objective import Objective


@dataclass(frozen=True)
class Perturbation(Metric):
    """Loss increase when one tensor alone is quantized, for every tensor and width: measured, not predicted.

    The quantizer is the one that fine-tuning starts from. The increase is the mean over samples of the difference to
    the same sample's float loss; its standard error follows from their spread. Allocation can take these numbers in
    place of a prediction; they know nothing of two tensors quantized together.

    Args:
        bits: Widths to measure.
        ranking_bits: The width whose increase ranks the tensors; one of bits.
        tensors: "weights", or "all" for activations too (choosing their bits by this metric needs them).
        calibration: Training samples on which the activations' binary points are chosen.
    """

    bits: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
    ranking_bits: int = 4
    tensors: Literal["weights", "all"] = "all"
    calibration: int = 4096

    writes: ClassVar[tuple[str, ...]] = ("sensitivity.perturbation", "notices")

    def __post_init__(self) -> None:
        super().__post_init__()
        fine = bool(self.bits) and all(2 <= bits <= 24 for bits in self.bits) and len(set(self.bits)) == len(self.bits)
        self.require("bits", fine, "different widths of 2 to 24 bits")
        self.require("ranking_bits", self.ranking_bits in self.bits, f"one of {list(self.bits)}")
        self.require("calibration", self.calibration >= 1, "at least 1 sample")

    def measure(self, objective: "Objective", design: Design, context: Context) -> tuple[Sensitivity, list[str]]:
        """One evaluation of the data per tensor and width."""
        from codesign.starting import Starting

        graph = design.graph
        start = Starting.of(design, self.calibration)
        floats = objective.all_losses()
        shapes = graph.shapes()
        weights = graph.weights()
        names = [*weights, *(graph.activations() if self.tensors == "all" else [])]
        increases: dict[str, dict[int, Score]] = {}
        for index, name in enumerate(names):
            size = int(np.prod(shapes[name])) if name in shapes else int(objective.parameters[name].numel())
            for bits in self.bits:
                context.progress(f"{name} at {bits} bits", index * len(self.bits), len(names) * len(self.bits))
                losses = objective.all_losses({name: partial(_rounded, start.format(name, bits)[0])})
                difference = losses - floats
                error = float(difference.std(ddof=1) / len(difference) ** 0.5)
                increases.setdefault(name, {})[bits] = Score(float(difference.mean()), error, 0.0, size)
        scores = {name: found[self.ranking_bits] for name, found in increases.items()}
        found = Sensitivity(
            quantity="loss_increase",
            matrix=None,
            parameters={name: scores[name] for name in weights},
            activations={name: score for name, score in scores.items() if name not in weights},
            samples=len(floats),
            loss=float(floats.mean()),
            loss_unit=objective.criterion.unit,
            increases=increases,
            ranking_bits=self.ranking_bits,
        )
        noisy = [name for name, score in scores.items() if abs(score.value) < 2 * score.stderr]
        if not noisy:
            return found, []
        text = f"loss increases at {self.ranking_bits} bits are within two standard errors of zero: {', '.join(noisy)}"
        return found, [f"{text}; more samples tell them apart"]


def _rounded(fixed: Fixed, value: "Tensor") -> "Tensor":
    """Rounded to nearest, as weights are, and activations with half an LSB in the bias before them."""
    plain: FloatArray = value.cpu().numpy()
    return value.new_tensor(quantize(plain, fixed, "nearest_even").real())
