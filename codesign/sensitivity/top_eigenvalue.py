"""`sensitivity.top_eigenvalue`: the largest eigenvalue of every tensor's block of the Hessian."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from codesign.design import Design, Score, Sensitivity
from codesign.errors import InputError
from codesign.passes import Context
from codesign.sensitivity._estimator import BlockMetric, sensitivity
from codesign.sensitivity._probing import Matrix

if TYPE_CHECKING:
    from codesign.sensitivity._block import Block
    from codesign.sensitivity._objective import Objective

#: Up to this size the whole block is made and solved.
DENSE = 16


@dataclass(frozen=True)
class TopEigenvalue(BlockMetric):
    """Eigenvalue of largest magnitude of every weight's block of the Hessian (HAWQ, arXiv 1905.03696), by Lanczos.

    It is found on several parts of the data: their mean is the value, their spread the error of the data. With
    statistic = "mean_plus_deviation" the value is |mean| + deviation over the parts (Q-BERT, arXiv 1909.05840).
    The error of the probes is what the eigenpair leaves of H v - lambda v, which bounds the eigenvalue's error.

    Args:
        relative_error: Ten times the tolerance of Lanczos; what the note about errors goes by.
        max_products: Most products of a block with a vector on one part of the data; an error if they are not enough.
        parts: Parts of the data.
        statistic: "mean" or "mean_plus_deviation".
    """

    parts: int = 8
    statistic: Literal["mean", "mean_plus_deviation"] = "mean"

    writes: ClassVar[tuple[str, ...]] = ("sensitivity.top_eigenvalue", "notices")
    distributions: ClassVar[tuple[str, ...]] = ("torch", "scipy")
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("parts", self.parts >= 2, "2 or more, for a standard error")

    def measure(self, objective: "Objective", design: Design, context: Context) -> tuple[Sensitivity, list[str]]:
        """One block after another, on one part of the data after another."""
        from codesign.sensitivity._block import Block
        from codesign.sensitivity._validity import remarks

        if self.parts > len(objective.rows):
            raise InputError(f"{self.name}, parts", f"{self.parts} of {len(objective.rows)} samples", "fewer parts")
        loss = float(objective.all_losses().mean())
        parts = [objective.part(rows) for rows in np.array_split(objective.rows, self.parts)]
        scores: dict[str, Score] = {}
        for name, generator in self.generators(design, context):
            blocks = [Block(part, name, parts=1) for part in parts]
            pairs = np.array([self._eigenvalue(block, generator) for block in blocks])
            mean, deviation = float(pairs[:, 0].mean()), float(pairs[:, 0].std(ddof=1))
            value = mean if self.statistic == "mean" else abs(mean) + deviation
            left = float(pairs[:, 1].mean())
            scores[name] = Score(value, deviation / self.parts**0.5, left, blocks[0].size)
        found = sensitivity(objective, scores, "eigenvalue", loss)
        return found, remarks(found, self.relative_error)

    def _eigenvalue(self, block: "Block", generator: np.random.Generator) -> tuple[float, float]:
        """An eigenvalue, and the length of what its vector leaves of the eigenvalue equation."""
        from scipy.sparse import linalg

        if block.size <= DENSE:
            matrix = block.products(np.eye(block.size))
            values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
            return float(values[np.abs(values).argmax()]), 0.0
        start = generator.standard_normal(block.size)
        if not block.products(start[:, None]).any():
            return 0.0, 0.0

        done = 0

        def product(vector: Matrix) -> Matrix:
            nonlocal done
            done += 1
            if done > self.max_products:
                found = f"no eigenvalue in {self.max_products} products"
                raise InputError(f"tensor {block.tensor!r}", found, "", "raise max_products or relative_error")
            return block.products(vector.reshape(-1, 1))[:, 0]

        arpack: Any = linalg  # scipy has no types
        operator = arpack.LinearOperator((block.size, block.size), matvec=product, dtype=np.float64)
        # Every restart takes at least one product, so that the limit above is met first.
        limits = {"tol": self.relative_error / 10, "maxiter": self.max_products}
        values, vectors = arpack.eigsh(operator, 1, v0=start, **limits)
        value, vector = float(values[0]), vectors[:, 0]
        rest = block.products(vector.reshape(-1, 1))[:, 0] - value * vector
        return value, float(np.linalg.norm(rest))
