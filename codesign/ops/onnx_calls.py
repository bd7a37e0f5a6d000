"""What several operations need to read their ONNX nodes."""

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.ops._windows import Windows
from codesign.ops.op import OnnxCall, Shape

#: ONNX's numbers for float32, float16, float64 and bfloat16.
FLOATS = (1, 10, 11, 16)
#: Stands for the batch size in shapes that a file computes with; no real number of elements comes near.
BATCH = -(2**40)
#: Largest window, step or padding that makes sense: what is larger is damage.
LARGEST = 2**16


def windows_of(call: OnnxCall, kernel: Shape) -> Windows:
    """The windows of a convolution or pooling.

    Raises:
        InputError: More padding at one end than at the other, numbers out of range, one missing.
    """
    before, after = padding_of(call, kernel)
    if before != after:
        hint = "use an odd kernel, or pad both ends alike"
        raise call.refused(f"padding of {list(before)} before and {list(after)} after", "both the same", hint)
    stride, dilation = (_per_axis(call, key, len(kernel), 1) for key in ("strides", "dilations"))
    return Windows(kernel, stride, before, dilation)


def padding_of(call: OnnxCall, kernel: Shape) -> tuple[Shape, Shape]:
    """Elements that a convolution or pooling adds before and after each axis of positions.

    Raises:
        InputError: Numbers out of range, one missing.
    """
    rank = len(kernel)
    stride, dilation = (_per_axis(call, key, rank, 1) for key in ("strides", "dilations"))
    if len(call.shapes) != 1 or len(call.shapes[0]) != rank + 1 or rank not in (1, 2):
        shapes = [list(shape) for shape in call.shapes]
        raise call.refused(f"{rank} axes of positions, input of shape {shapes}", "[channels, *positions], 1 or 2 axes")
    if call.attributes.get("ceil_mode", 0):
        raise call.refused("pooling with ceil_mode", "ceil_mode=0", "pad or crop the input to fit")
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    auto = call.attributes.get("auto_pad", "NOTSET") or "NOTSET"
    pads: Shape = tuple(call.attributes.get("pads", (0,) * (2 * rank)))
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        axes = zip(call.shapes[0][1:], stride, spans, strict=True)
        totals = [max(0, (-(-length // step) - 1) * step + span - length) for length, step, span in axes]
        less, more = (tuple((total + odd) // 2 for total in totals) for odd in (0, 1))
        pads = less + more if auto == "SAME_UPPER" else more + less
    elif auto == "VALID":
        pads = (0,) * (2 * rank)
    elif auto != "NOTSET":
        raise call.refused(f"auto_pad {auto!r}", "NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    sizes, fit = (*kernel, *stride, *dilation), len(pads) == 2 * rank
    if not fit or not all(1 <= size <= LARGEST for size in sizes) or not all(0 <= pad <= LARGEST for pad in pads):
        raise call.refused(f"kernel {list(kernel)}, strides {list(stride)}, pads {list(pads)}", "sizes in range")
    return pads[:rank], pads[rank:]


def pooling_windows(call: OnnxCall) -> Windows:
    """The windows of a pooling, without gaps, at most half of them padding.

    Raises:
        InputError: They have gaps, lie in the padding alone, or as for ``windows_of``.
    """
    windows = windows_of(call, tuple(call.attributes.get("kernel_shape", ())))
    if any(step != 1 for step in windows.dilation):
        raise call.refused(f"pooling with dilations {list(windows.dilation)}", "dilation 1")
    if any(2 * pad > size for pad, size in zip(windows.padding, windows.kernel, strict=True)):
        raise call.refused(f"padding of {list(windows.padding)}", f"at most half the window {list(windows.kernel)}")
    return windows


def onnx_shape(call: OnnxCall) -> Shape:
    """The shape, batch axis left out, that a node which only reshapes gives.

    Raises:
        InputError: It mixes the batch with other axes, or reorders elements.
    """
    check_single(call)
    given = call.shapes[0]
    if call.op_type == "Squeeze":
        gone = call.axes(call.numbers(1, "axes"))
        if not gone or any(given[axis] != 1 for axis in gone):
            raise call.refused(f"shape {list(given)} without axes {sorted(gone)}", "axes of one element, not the batch")
        return tuple(size for axis, size in enumerate(given) if axis not in gone)
    if call.op_type == "Unsqueeze":
        axes = call.numbers(1, "axes")
        new, sizes = call.axes(axes, len(axes)), iter(given)
        return tuple(1 if axis in new else next(sizes) for axis in range(len(given) + len(axes)))
    wanted = [int(size) for size in call.constant(1, "shape").reshape(-1)]
    if call.attributes.get("allowzero", 0) == 0:
        whole = (BATCH, *given)
        wanted = [whole[axis] if size == 0 and axis < len(whole) else size for axis, size in enumerate(wanted)]
    # A batch size of 1 that was written into the file stands for any.
    if not wanted or wanted[0] not in (BATCH, -1, 1) or wanted.count(-1) > 1 + (wanted[0] == -1):
        raise call.refused(f"a reshape to {_readable(wanted)}", "[batch, ...]", "use torch.flatten(x, 1)")
    rest = [prod(given) if size == -1 and len(wanted) == 2 else size for size in wanted[1:]]
    if rest.count(-1) == 1 and (others := -prod(rest)) > 0:
        rest = [prod(given) // others if size == -1 else size for size in rest]
    if prod(rest) != prod(given) or any(size < 1 for size in rest):
        raise call.refused(f"a reshape of {list(given)} to {_readable(wanted)}", "as many elements, batch first")
    return tuple(rest)


def check_single(call: OnnxCall) -> None:
    """Refuse a node of which more than one input is computed.

    Raises:
        InputError: It is one.
    """
    if len(call.shapes) != 1:
        raise call.refused(f"{len(call.shapes)} inputs that are computed", "one, the others constants")


def check_factor(call: OnnxCall, place: int, wanted: float) -> None:
    """Refuse a product with another number than one over the number of elements.

    Raises:
        InputError: It is one.
    """
    if (call.constant(place, "factor") != wanted).any():
        raise call.refused("a sum times a number", f"{wanted}, one over the number of elements")


def onnx_affine(call: OnnxCall) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Scale and shift per channel of a sum, difference, product or quotient with a constant, ``[channels]`` each.

    Raises:
        InputError: Two tensors are multiplied, or the constant is not one number per channel.
    """
    if len(call.constants) != 1 or len(call.shapes) != 1:
        raise call.refused(f"{call.op_type} of two tensors", "with a constant", "see the supported operators")
    (place, constant), given = next(iter(call.constants.items())), call.shapes[0]
    channels, rank = given[0], len(given)
    shape = (1,) * (rank + 1 - constant.ndim) + constant.shape
    if len(shape) != rank + 1 or shape[1] not in (1, channels) or prod(shape) != shape[1]:
        raise call.refused(
            f"a constant of shape {list(constant.shape)} with a tensor of {list(given)}", "one per channel"
        )
    values = np.broadcast_to(np.asarray(constant, np.float64).reshape(-1), (channels,))
    ones, zeros = np.ones(channels), np.zeros(channels)
    if call.op_type == "Mul":
        return values * ones, zeros
    if call.op_type == "Div":
        if place == 0 or not values.all():
            raise call.refused("a quotient by a tensor, or by zero", "a tensor divided by a constant")
        return 1 / values, zeros
    if call.op_type == "Sub":
        return (ones, -values) if place == 1 else (-ones, values * ones)
    return ones, values * ones


def _per_axis(call: OnnxCall, key: str, rank: int, default: int) -> Shape:
    given: tuple[Any, ...] = tuple(call.attributes.get(key, (default,) * rank))
    if len(given) != rank:
        raise call.refused(f"{key} {list(given)}", f"{rank} numbers")
    return given


def _readable(sizes: list[int]) -> list[int | str]:
    return ["batch" if size == BATCH else size for size in sizes]
