"""Bit operations as in "End-to-end codesign of Hessian-aware quantized neural networks" (arXiv 2304.06745)."""

from math import log2

from codesign.ops.op import Work


def bops(work: Work, weight_bits: int, activation_bits: int, density: float = 1.0) -> float:
    """Bit operations of one layer for one sample.

    ``macs * (p b_a b_w + b_a + b_w + log2(n))``: the products of the nonzero weights, and additions into an
    accumulator that grows with the number of terms.

    Args:
        work: Multiply-accumulates, and the ``n`` products summed into one output.
        weight_bits: ``b_w``.
        activation_bits: ``b_a``, bits of the layer's input.
        density: ``p``, the fraction of weights that are not zero.

    Returns:
        Bit operations (BOPs).
    """
    products = density * activation_bits * weight_bits
    return work.macs * (products + activation_bits + weight_bits + log2(work.fan_in))
