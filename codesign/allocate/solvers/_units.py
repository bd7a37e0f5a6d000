"""Numbers that are multiples of something: sums of them are counted without rounding, and lie apart."""

import numpy as np

from codesign.allocate._problem import Float64

#: Whole numbers up to here are counted without rounding.
WHOLE = 2.0**53
#: The finest grid that is looked for.
FINEST = 40
#: Stands for an infinite bound, so that differences are numbers.
LARGE = 1e250


def grid(numbers: Float64) -> float:
    """A power of two, one at most, that all numbers are multiples of; 0 if there is none that helps.

    Powers of two, because multiplying and dividing by them is exact.
    """
    largest = float(np.abs(numbers).max(initial=0))
    for exponent in range(0, FINEST + 1, 4):
        factor = 2.0**exponent
        if largest * factor >= WHOLE:
            return 0.0
        if (numbers * factor == np.rint(numbers * factor)).all():
            return 1 / factor
    return 0.0


def unit(numbers: Float64) -> float:
    """The greatest common divisor of numbers that are not negative; 0 if there is none, or all are zero."""
    step = grid(numbers)
    return float(np.gcd.reduce(np.unique(numbers / step).astype(np.int64))) * step if step and len(numbers) else 0.0
