"""`sensitivity.hessian_trace`: exact traces from as many backward passes as there are classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from codesign.calibrate import even_rows
from codesign.design import Design, Sensitivity, Split
from codesign.errors import InputError
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class HessianTrace(Pass):
    """Trace of the cross-entropy loss's Hessian for every parameter and activation tensor, exact on the data used.

    For a network that is linear between kinks (ReLU), the Hessian of a layer's block is its Gauss-Newton matrix,
    whose trace needs no random probes: with p = softmax(f) and S S^T = diag(p) - p p^T,
    tr = 1/N sum_n sum_c ||d(f . S_c)/d theta||^2, one backward pass per class (HAWQ-V2, arXiv 1911.03852, defines
    the metric). The standard error is what the finite number of samples leaves.

    Args:
        samples: Samples of the training split to use, evenly spread; all of it if it has fewer.
        batch: Samples per pass.
    """

    samples: int = 16384
    batch: int = 1024

    reads: ClassVar[tuple[str, ...]] = ("graph", "dataset")
    writes: ClassVar[tuple[str, ...]] = ("sensitivity",)
    distributions: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        if self.samples < 2 or self.batch < 1:
            raise InputError(
                "sensitivity.hessian_trace", f"samples {self.samples}, batch {self.batch}", "2 and 1 or more"
            )

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Stream over the training split."""
        from codesign.sensitivity._gauss_newton import traces
        from codesign.torch_forward import threads

        train = design.dataset.split("train")
        rows = even_rows(len(train), self.samples)
        used = Split(tuple(x[rows] for x in train.inputs), train.labels[rows])
        with threads(1):
            found: Sensitivity = traces(design.graph, used, self.batch, context.progress)
        return {"sensitivity": found}
