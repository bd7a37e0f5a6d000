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

    Its error is that of v H v over parts of the data, with v the eigenvector, which is right to first order.
    With statistic = "mean_plus_deviation" eigenvalues are found on parts of the data, and the value is |mean| +
    deviation over the parts (Q-BERT, arXiv 1909.05840): the fewer samples in a part, the larger it is.
    The error of the probes is what the eigenpair leaves of H v - lambda v, which bounds the eigenvalue's error.

    Args:
        relative_error: Ten times the tolerance of Lanczos; what the note about errors goes by.
        max_products: Most products of a block with a vector in one search; an error if they are not enough.
        statistic: "whole" for the eigenvalue on all samples, or "mean_plus_deviation".
        parts: Parts of the data.
    """

    statistic: Literal["whole", "mean_plus_deviation"] = "whole"
    parts: int = 8

    writes: ClassVar[tuple[str, ...]] = ("sensitivity.top_eigenvalue", "notices")
    distributions: ClassVar[tuple[str, ...]] = ("torch", "scipy")
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("parts", self.parts >= 2, "2 or more, for a standard error")

    def measure(self, objective: "Objective", design: Design, context: Context) -> tuple[Sensitivity, list[str]]:
        """One block after another."""
        from codesign.sensitivity._validity import remarks

        if self.parts > len(objective.rows):
            raise InputError(f"{self.name}, parts", f"{self.parts} of {len(objective.rows)} samples", "fewer parts")
        loss = float(objective.all_losses().mean())
        score = self._whole if self.statistic == "whole" else self._over_parts
        scores = {name: score(objective, name, generator) for name, generator in self.generators(design, context)}
        found = sensitivity(objective, scores, "eigenvalue", loss)
        return found, remarks(found, self.relative_error, len(objective.data))

    def _whole(self, objective: "Objective", name: str, generator: np.random.Generator) -> Score:
        from codesign.sensitivity._block import Block

        block = Block(objective, name, self.parts)
        value, vector = self._eigenpair(block, generator)
        rest = block.products(vector, traces=1) - value * vector
        return Score(value, block.data_error(), float(np.linalg.norm(rest)), block.size)

    def _over_parts(self, objective: "Objective", name: str, generator: np.random.Generator) -> Score:
        from codesign.sensitivity._block import Block

        parts = [objective.part(objective.rows[index :: self.parts]) for index in range(self.parts)]
        blocks = [Block(part, name, parts=1) for part in parts]
        values: list[float] = []
        left: list[float] = []
        for block in blocks:
            value, vector = self._eigenpair(block, generator)
            values.append(value)
            left.append(float(np.linalg.norm(block.products(vector) - value * vector)))
        deviation = float(np.std(values, ddof=1))
        # Of a mean and of a deviation, as of normal values.
        error = deviation * (1 / self.parts + 1 / (2 * (self.parts - 1))) ** 0.5
        return Score(abs(float(np.mean(values))) + deviation, error, float(np.mean(left)), blocks[0].size)

    def _eigenpair(self, block: "Block", generator: np.random.Generator) -> tuple[float, Matrix]:
        """The eigenvalue, and its vector ``[size, 1]``."""
        from scipy.sparse import linalg

        if block.size <= DENSE:
            matrix = block.products(np.eye(block.size))
            values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
            largest = int(np.abs(values).argmax())
            return float(values[largest]), vectors[:, largest : largest + 1]
        start = generator.standard_normal(block.size)
        if not block.products(start[:, None]).any():
            return 0.0, start[:, None] / np.linalg.norm(start)
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
        return float(values[0]), vectors
