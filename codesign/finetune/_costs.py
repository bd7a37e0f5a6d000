"""What weights cost: something that is counted of each, times something of the bits that it meets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from codesign.allocate.costs import Adders
from codesign.arrays import IntArray
from codesign.estimate.model.terms import digits as signed_digits
from codesign.estimate.model.terms import spans
from codesign.finetune._bits import digits, significant

CostName = Literal["counted_ebops", "signed_digits", "adders"]


@dataclass(frozen=True)
class Cost:
    """``sum over weights: positions n_w (a b_a + b) + sum over biases: positions n_b``.

    Args:
        count: ``n`` of codes, as tensors.
        exact: The same of integers.
        slope: ``a``.
        offset: ``b``; what meets a unit without bits costs nothing.
    """

    count: Callable[[Tensor], Tensor]
    exact: Callable[[IntArray], IntArray]
    slope: float = 1.0
    offset: float = 0.0

    def price(self, bits: IntArray) -> npt.NDArray[np.float64]:
        """Of one of ``n`` at units of so many bits."""
        return np.where(bits > 0, self.slope * bits + self.offset, 0.0)


#: By the name that the same cost has in ``codesign.allocate.costs``, where it is counted from the exported file.
COSTS: Mapping[CostName, Cost] = {
    "counted_ebops": Cost(significant, spans),
    "signed_digits": Cost(digits, signed_digits),
    "adders": Cost(digits, signed_digits, Adders.slope, Adders.offset),
}
