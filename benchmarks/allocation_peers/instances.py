"""Random allocation problems like those of networks: losses over orders of magnitude, two costs linear in the bits."""

import numpy as np

from codesign.allocate._problem import Bound, Problem, Quantity, Sum, Term

BITS = np.arange(2, 10)


def instance(layers: int, seed: int) -> Problem:
    """One problem: a choice of bits per layer.

    Loss of a layer: its trace, over six orders of magnitude, times ``4**-bits``, the square of the rounding step; in
    a unit so small that absolute tolerances of solvers do not matter.
    Costs: multiplications times bits, and parameters times bits; each may be a random 20 to 60 % of the way from its
    least to its most.

    Args:
        layers: How many.
        seed: Of everything random.
    """
    rng = np.random.default_rng([layers, seed])
    loss = np.outer(10 ** rng.uniform(3, 9, layers), 4.0**-BITS)
    bounds: list[Bound] = []
    for name, orders in (("multiplications", (4, 8)), ("parameters", (3, 6))):
        count = np.rint(10 ** rng.uniform(*orders, layers))
        cost = _quantity(name, np.outer(count, BITS))
        low, high = count.sum() * BITS[0], count.sum() * BITS[-1]
        bounds.append(Bound(cost, float(low + rng.uniform(0.2, 0.6) * (high - low))))
    return Problem((len(BITS),) * layers, _quantity("loss", loss), tuple(bounds))


def _quantity(name: str, table: np.ndarray) -> Quantity:
    return Quantity(name, (Sum(tuple(Term((i,), row) for i, row in enumerate(table))),))
