"""Input vectors at the ends of every input's range."""

from math import prod

import numpy as np

from codesign.fixed import Codes
from codesign.quantized import Quantized

#: Vectors with each element at a random end; and the most vectors with a single element at an end.
RANDOM, SINGLE = 256, 1024


def corners(quantized: Quantized, seed: int) -> dict[str, Codes]:
    """Codes of the inputs by name, ``[batch, ...]``.

    All elements at their lowest, all at their highest; one element after another alone at an end, the others at the
    other; every element at a random one of its ends.
    """
    generator = np.random.default_rng(seed)
    sizes = {name: prod(shape) for name, shape in quantized.graph.inputs.items()}
    total = sum(sizes.values())
    singles = np.eye(total, dtype=bool)[: SINGLE // 2]
    ends = [np.zeros((1, total), bool), np.ones((1, total), bool), singles, ~singles]
    high = np.concatenate([*ends, generator.random((RANDOM, total)) < 0.5])
    found: dict[str, Codes] = {}
    for name, shape in quantized.graph.inputs.items():
        own, high = high[:, : sizes[name]], high[:, sizes[name] :]
        fixed = quantized.formats[name]
        low, top = (np.broadcast_to(np.asarray(end), shape) for end in (fixed.low, fixed.high))
        found[name] = Codes(np.where(own.reshape(-1, *shape), top, low), fixed.fraction)
    return found
