"""`finetune.qat`: quantization-aware training in the hardware's own arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import ClassVar

from codesign.design import Design, Split, Trained
from codesign.errors import InputError
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class Qat(Pass):
    """Fine-tune the weights with every quantizer in place, and freeze the result as integers.

    Weights round to nearest even, activations truncate (half an LSB is added to the bias before them), both
    saturate; gradients go straight through. Adam, the step size on a cosine; of every epoch's weights and their moving
    average, the best by validation loss is kept. A weight that is zero at the start stays zero, so that the network
    never costs more than was allocated.

    Args:
        epochs: Passes over the training split.
        batch: Samples per step.
        learning_rate: Adam's first step size.
        average: How much of the moving average of the weights a step keeps; 0 for no average.
        calibration: Training samples on which the activations' binary points are chosen.
    """

    epochs: int = 60
    batch: int = 512
    learning_rate: float = 0.01
    average: float = 0.999
    calibration: int = 4096

    reads: ClassVar[tuple[str, ...]] = ("graph", "dataset", "allocation")
    writes: ClassVar[tuple[str, ...]] = ("trained", "quantized")
    distributions: ClassVar[tuple[str, ...]] = ("torch",)
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        limits = {"epochs": self.epochs >= 0, "batch": self.batch >= 1, "learning_rate": 0 < self.learning_rate < inf}
        limits |= {"average": 0 <= self.average < 1, "calibration": self.calibration >= 1}
        for option, fine in limits.items():
            if not fine:
                raise InputError(
                    f"finetune.qat, {option}",
                    f"{getattr(self, option)}",
                    "epochs from 0, batch and calibration from 1, learning_rate above 0, average in [0, 1)",
                )

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Choose formats, train, freeze."""
        import torch

        from codesign.finetune._train import Batches, Recipe, train
        from codesign.network import QuantizedNetwork
        from codesign.starting import Starting
        from codesign.torch_forward import split_tensors, threads, to_tensors

        given = design.allocation.formats
        start = Starting.of(design, self.calibration, given)
        chosen = {name: start.format(name, width)[0] for name, width in design.allocation.point.bits.items()}
        formats = {**given, **chosen}
        network = QuantizedNetwork(design.graph, formats)
        network.freeze(design.graph.parameters).mantissa_bits()  # too wide to compute exactly: said before training

        def batches(split: Split) -> Batches:
            inputs, wanted = split_tensors(split)
            with torch.no_grad():  # the input quantizer has nothing to learn: done once
                return Batches(network.quantized_inputs(inputs), wanted)

        with threads(1):
            state = train(
                network,
                to_tensors(design.graph.parameters),
                (batches(design.dataset.split("train")), batches(design.dataset.split("validation"))),
                Recipe(self.epochs, self.batch, self.learning_rate, self.average, context.seed),
                context.work,
                context.progress,
            )
        best = {name: value.numpy() for name, value in state.best.items()}
        trained = Trained(best, formats, tuple(state.losses), state.best_epoch)
        return {"trained": trained, "quantized": network.freeze(best)}
