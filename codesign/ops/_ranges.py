"""Indexes and ranges of axes, as the networks that come in have them."""

from __future__ import annotations

import sys
from typing import Any, cast

from codesign.errors import InputError
from codesign.ops.onnx_calls import BATCH
from codesign.ops.op import OnnxCall, TorchCall

#: An end of a range that is no end: files say so, or a larger number.
FARTHEST = 2**31 - 1


def torch_index(call: TorchCall) -> list[Any]:
    """A number, a range or a new axis (None) for each axis behind the batch, of ``x[...]``, ``select`` and ``narrow``.

    Raises:
        InputError: It reaches the batch axis, or is more than numbers, ranges and new axes.
    """
    word = call.target.rpartition(".")[2]
    if word in ("getitem", "__getitem__"):
        return _bracketed(call, call.arguments[0] if call.arguments else None)
    names = {"slice": ("dim", "start", "end", "step"), "select": ("dim", "index"), "narrow": ("dim", "start", "length")}
    given = call.options(*names[word])
    if word == "slice" and _whole_batch(**given):
        return _bracketed(call, Ellipsis)
    (axis,) = call.axes(given.get("dim", 0))
    if word == "select":
        part: int | slice = given["index"]
    elif word == "narrow":
        part = slice(given["start"], given["start"] + given["length"])
    else:
        part = slice(given.get("start"), given.get("end"), given.get("step"))
    return _bracketed(call, (slice(None),) * (axis + 1) + (part,))


def _bracketed(call: TorchCall, given: Any) -> list[Any]:
    """What stands between the brackets of ``x[...]`` for each axis behind the batch, and None for new ones.

    Raises:
        InputError: It reaches the batch axis, leaves nothing, or is more than numbers, ranges and new axes.
    """
    where, shape = f"layer {call.path!r}", call.shapes[0]
    index = list(cast(tuple[Any, ...], given)) if isinstance(given, tuple) else [given]
    if (
        any(not (each is None or each is Ellipsis or isinstance(each, int | slice)) for each in index)
        or not call.arguments
    ):
        found = "an index that is a tensor or a list"
        hint = "for a table, put the table first: table[x.long()]"
        raise InputError(where, found, "numbers, ranges, ... and None", hint)
    named = sum(each is not None and each is not Ellipsis for each in index)
    if Ellipsis not in index:
        index.append(Ellipsis)
    place = index.index(Ellipsis)
    index[place : place + 1] = [slice(None)] * (len(shape) + 1 - named)
    if not index or index[0] != slice(None) or named > len(shape) + 1:
        raise InputError(where, f"[{', '.join(map(spelt, index))}]", "all of the batch: x[:, ...] or x[..., ...]")
    return index[1:]


def _whole_batch(dim: int = 0, start: Any = None, end: Any = None, step: Any = None) -> bool:
    """Whether it is the ``:`` of ``x[:, 0]``, which ``torch.export`` writes as a slice of its own."""
    return dim == 0 and start in (None, 0) and (end is None or end == sys.maxsize) and step in (None, 1)


def sliced(call: OnnxCall) -> list[slice]:
    """What a ``Slice`` leaves of each axis behind the batch.

    Raises:
        InputError: It cuts the batch, or numbers don't fit.
    """
    starts, ends = (call.constant(place, what).reshape(-1).tolist() for place, what in ((1, "starts"), (2, "ends")))
    rank = len(call.shapes[0]) + 1
    axes = [axis % rank if -rank <= axis < rank else rank for axis in call.numbers(3, "axes") or range(len(starts))]
    steps = call.numbers(4, "steps") or (1,) * len(starts)
    index = [slice(None)] * rank
    if not len(starts) == len(ends) == len(axes) == len(steps) == len(set(axes)) or rank in axes:
        raise call.refused(f"a slice of axes {axes} from {starts} to {ends}", "a start and an end for each axis")
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if axis == 0 and (start, step) == (0, 1) and (end == BATCH or end >= FARTHEST):
            continue
        if axis == 0 or step < 1:
            what = "a slice of the batch" if axis == 0 else f"steps of {step}"
            raise call.refused(what, "all of the batch; ranges forwards")
        index[axis] = slice(int(start), int(end), int(step))
    return index[1:]


def gathered(call: OnnxCall) -> list[int | slice]:
    """What a ``Gather`` of one element of an axis, or of some in steps, leaves of each axis behind the batch.

    Raises:
        InputError: They are in no order that steps have, or those of the batch.
    """
    indices = call.constant(1, "indices")
    (axis,), shape = call.axes([call.attributes.get("axis", 0)]), call.shapes[0]
    size, places = shape[axis], [int(each) for each in indices.reshape(-1)]
    if indices.ndim > 1 or not places or not all(-size <= each < size for each in places):
        raise call.refused(f"elements {places[:9]} of an axis of {size}", "a number, or a list of numbers, in range")
    first, *rest = (each % size for each in places)
    step = rest[0] - first if rest else 1
    if step < 1 or any(each != first + step * place for place, each in enumerate(rest, 1)):
        raise call.refused(f"elements {places[:9]}", "elements in steps, forwards", "use slices, and concatenate them")
    part = first if indices.ndim == 0 else slice(first, first + step * len(places), step)
    return [part if other == axis else slice(None) for other in range(len(shape))]


def spelt(each: Any) -> str:
    ends = [each.start, each.stop] if type(each) is slice else [each]
    return ":".join("" if end is None else str(end) for end in ends)
