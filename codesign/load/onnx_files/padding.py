"""Padding of windows that an ONNX file has and the operations here do not: a layer of zeros, and shares of windows."""

from functools import reduce
from math import prod

import numpy as np

from codesign.ops.dyadic import Constant, constant, few_bits
from codesign.ops.onnx_calls import padding_of
from codesign.ops.op import OnnxCall, Shape

#: Operators with windows, and the place of a convolution's weight.
PADDED, WEIGHT = ("Conv", "AveragePool", "MaxPool"), 1


def kernel_of(call: OnnxCall) -> Shape:
    """The window, ``[*positions]``; nothing where the node does not say."""
    if call.op_type == "Conv":
        return call.constants[WEIGHT].shape[2:] if WEIGHT in call.constants else ()
    return tuple(call.attributes.get("kernel_shape", ()))


def uneven(call: OnnxCall, signed: bool) -> tuple[Shape, Shape] | None:
    """Zeros to put before and after each axis of positions, where one end gets more than the other.

    Args:
        call: A node with windows.
        signed: Whether its input can be negative, so that zeros are not what a maximum leaves out.
    """
    kernel = kernel_of(call)
    if call.op_type not in PADDED or not kernel or (call.op_type == "MaxPool" and signed):
        return None
    before, after = padding_of(call, kernel)
    return None if before == after else (before, after)


def shares(call: OnnxCall) -> Constant | None:
    """What the mean over a window with its padding is multiplied with, where the padding does not count.

    ``size / (elements of the window that are no padding)`` for each position, ``[1, *positions]``.

    Raises:
        InputError: Few bits don't hold them, as 5/3.
    """
    kernel = kernel_of(call)
    if call.op_type != "AveragePool" or not kernel or call.attributes.get("count_include_pad", 0):
        return None
    before, after = padding_of(call, kernel)
    if not any(before + after):
        return None
    stride: Shape = tuple(call.attributes.get("strides", (1,) * len(kernel)))
    axes: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
    for length, size, step, first, last in zip(call.shapes[0][1:], kernel, stride, before, after, strict=True):
        starts = np.arange(-first, length + last - size + 1, step)
        axes.append(size / np.maximum(np.minimum(starts + size, length) - np.maximum(starts, 0), 0.5))
    factors = np.asarray(reduce(np.multiply.outer, axes))[None]
    if not factors.size or not all(few_bits(factor) for factor in factors.reshape(-1).tolist()):
        found = f"average pooling over {prod(kernel)} elements with padding that does not count"
        raise call.refused(found, "count_include_pad=1, no padding, or parts of windows such as 1/2 and 2/3 of them")
    return constant(call.name, "a tensor times", factors, len(kernel) + 1)
