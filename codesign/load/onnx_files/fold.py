"""What an ONNX file computes from constants and shapes alone."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from codesign.errors import InputError
from codesign.load.onnx_files.file import OnnxFile
from codesign.load.onnx_files.tensors import MOST_ELEMENTS, Array, array
from codesign.ops.onnx_calls import BATCH

Options = Mapping[str, Any]
_TYPES: dict[int, Any] = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_,
    10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip


def fold(where: str, op_type: str, inputs: Sequence[Array | None], options: Options) -> Array:
    """The value of a node whose inputs are all constant.

    Args:
        where: The node, for messages.
        op_type: Its operator.
        inputs: Values; None for an optional one that is not given.
        options: Its attributes.

    Raises:
        InputError: The operator is not one that is computed here, or its inputs don't fit.
    """
    if op_type not in FOLDED:
        known = f"one of {', '.join(sorted(FOLDED))}"
        raise InputError(where, f"{op_type} of constants, which is not computed when loading", known)
    given = [value for value in inputs if value is not None]
    if op_type in _ARITHMETIC and any((value == BATCH).any() for value in given):
        raise InputError(where, f"{op_type} of the batch size", "a network that treats samples one by one")
    try:
        if op_type in _ARITHMETIC and prod(np.broadcast_shapes(*(value.shape for value in given))) > MOST_ELEMENTS:
            raise InputError(where, "a constant too large", f"at most {MOST_ELEMENTS} elements")
        with np.errstate(all="ignore"):  # what is not finite is found where it is used
            return np.asarray(FOLDED[op_type](list(inputs), options))
    except InputError:
        raise
    except Exception as error:  # numpy raises anything at what does not fit
        shapes = [list(value.shape) for value in given]
        raise InputError(where, f"{op_type} of constants of shapes {shapes}: {error}", "shapes that fit") from error


def _axes(inputs: Sequence[Any], options: Options) -> tuple[int, ...]:
    given = inputs[1].reshape(-1).tolist() if len(inputs) > 1 and inputs[1] is not None else options.get("axes", ())
    return tuple(int(axis) for axis in given)


def _reshape(inputs: Sequence[Any], options: Options) -> Array:
    sizes = [int(size) for size in inputs[1].reshape(-1)]
    if not options.get("allowzero", 0):
        sizes = [inputs[0].shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return inputs[0].reshape(sizes)


def _slice(inputs: Sequence[Any], options: Options) -> Array:
    starts, ends = (value.reshape(-1).tolist() for value in inputs[1:3])
    axes = inputs[3].reshape(-1).tolist() if len(inputs) > 3 and inputs[3] is not None else range(len(starts))
    steps = inputs[4].reshape(-1).tolist() if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    chosen = [slice(None)] * inputs[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        chosen[axis] = slice(start, end, step)
    return inputs[0][tuple(chosen)]


def _squeeze(inputs: Sequence[Any], options: Options) -> Array:
    axes = _axes(inputs, options)
    return np.squeeze(inputs[0], axes or None)


def _divide(inputs: Sequence[Any], options: Options) -> Array:
    first, second = inputs
    if first.dtype.kind in "iu":
        return (np.trunc(first / second)).astype(first.dtype)
    return first / second


def _filled(inputs: Sequence[Any], options: Options) -> Array:
    sizes = [int(size) for size in inputs[0].reshape(-1)]
    if prod(sizes) > MOST_ELEMENTS:
        raise ValueError("too many elements")
    value = numpy_helper.to_array(options["value"]) if "value" in options else np.zeros(1, np.float32)
    return np.full(sizes, value.reshape(-1)[0])


def _clip(inputs: Sequence[Any], options: Options) -> Array:
    low, high = (inputs[place] if len(inputs) > place else None for place in (1, 2))
    return inputs[0] if low is None and high is None else np.clip(inputs[0], low, high)


_ARITHMETIC: dict[str, Callable[[list[Any], Options], Any]] = {
    "Add": lambda x, _: x[0] + x[1],
    "Sub": lambda x, _: x[0] - x[1],
    "Mul": lambda x, _: x[0] * x[1],
    "Div": _divide,
    "Neg": lambda x, _: -x[0],
    "Sqrt": lambda x, _: np.sqrt(x[0]),
    "Reciprocal": lambda x, _: 1 / x[0],
    "Mod": lambda x, options: np.fmod(x[0], x[1]) if options.get("fmod", 0) else np.mod(x[0], x[1]),
    "Clip": _clip,
}
FOLDED: dict[str, Callable[[list[Any], Options], Any]] = {
    **_ARITHMETIC,
    "Identity": lambda x, _: x[0],
    "Cast": lambda x, options: x[0].astype(_TYPES[options["to"]]),
    "Concat": lambda x, options: np.concatenate(x, options["axis"]),
    "ConstantOfShape": _filled,
    "Flatten": lambda x, options: x[0].reshape(prod(x[0].shape[: options.get("axis", 1)]), -1),
    "Gather": lambda x, options: np.take(x[0], x[1], options.get("axis", 0)),
    "Reshape": _reshape,
    "Shape": lambda x, options: np.array(x[0].shape[slice(options.get("start", 0), options.get("end"))], np.int64),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": lambda x, options: np.transpose(x[0], options.get("perm")),
    "Unsqueeze": lambda x, options: np.expand_dims(x[0], _axes(x, options)),
}


def literal(where: str, file: OnnxFile, options: Options) -> Array:
    """The value of a Constant node.

    Raises:
        InputError: It holds no numbers.
    """
    if isinstance(options.get("value"), TensorProto):
        return array(file, options["value"])
    for key, kind in _LITERALS.items():
        if key in options:
            return np.array(options[key], kind)
    raise InputError(where, f"a constant of {', '.join(options) or 'nothing'}", "numbers")


_LITERALS = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
