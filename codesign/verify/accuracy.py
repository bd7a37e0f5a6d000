"""`verify.accuracy`: the float network and the integer network on the test split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.design import Design, Measure
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class Accuracy(Pass):
    """Measure the share of test samples put in their class, by the float network and by the exact integers."""

    reads: ClassVar[tuple[str, ...]] = ("graph", "dataset", "quantized")
    writes: ClassVar[tuple[str, ...]] = ("measures",)
    distributions: ClassVar[tuple[str, ...]] = ("torch",)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Both networks, on the whole split."""
        import torch

        from codesign.torch_forward import float_forward, split_tensors, threads, to_tensors

        test = design.dataset.split("test")
        inputs, labels = split_tensors(test)
        with torch.no_grad(), threads(1):
            values = float_forward(design.graph, to_tensors(design.graph.parameters), inputs)
        real = float((values[design.graph.outputs[0]].argmax(1) == labels).double().mean())
        integers = design.quantized.outputs(test.inputs)[0].values
        exact = float(np.count_nonzero(integers.argmax(1) == test.labels)) / len(test)
        return {
            "measures": {
                "accuracy_float": Measure(real, "fraction", "simulated", self.name),
                "accuracy_quantized": Measure(exact, "fraction", "simulated", self.name),
            }
        }
