"""Parts of a tensor: features and ranges of features."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._onnx import BATCH, check_single
from codesign.ops.flatten import reshaped
from codesign.ops.lookup import Lookup
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor

#: An end of a range that is no end: files say so, or a larger number.
FARTHEST = 2**31 - 1
#: First, last-plus-one and step along an axis.
Range = tuple[int, int, int]
T = TypeVar("T", "Tensor", IntArray)


@dataclass(frozen=True)
class Select(Op):
    """Elements in ranges of every axis, in another shape where axes are taken away or added.

    Args:
        ranges: Along each axis behind the batch.
        sizes: Shape of the result, the batch axis left out.
    """

    ranges: tuple[Range, ...]
    sizes: Shape

    kind: ClassVar[str] = "select"
    arithmetic: ClassVar[bool] = False
    moves_data: ClassVar[bool] = True
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("operator.getitem", "Tensor.__getitem__", "aten.slice"),
        *("torch.select", "Tensor.select", "torch.narrow", "Tensor.narrow"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Slice", "Gather", "Slice+Reshape")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Op:
        """From ``x[...]`` with numbers, ranges and new axes, ``select`` and ``narrow``; ``table[x]`` is a lookup."""
        if call.first == 1:
            return Lookup.from_torch(call)
        if call.target == "operator.getitem":
            return _indexed(call, call.arguments[0] if call.arguments else None)
        names = {
            "slice": ("dim", "start", "end", "step"),
            "select": ("dim", "index"),
            "narrow": ("dim", "start", "length"),
        }
        given = call.options(*names[call.target.rpartition(".")[2]])
        if call.target == "aten.slice" and _whole_batch(**given):
            return _indexed(call, Ellipsis)
        (axis,) = call.axes(given.get("dim", 0))
        if "index" in given:
            part: int | slice = given["index"]
        elif "length" in given:
            part = slice(given["start"], given["start"] + given["length"])
        else:
            part = slice(given.get("start"), given.get("end"), given.get("step"))
        return _indexed(call, (slice(None),) * (axis + 1) + (part,))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Op:
        """From ``Slice``, with ``Reshape`` too, and ``Gather`` of elements in steps; of a table it is a lookup."""
        if call.op_type == "Gather":
            return Lookup.from_onnx(call) if 0 in call.constants else _gathered(call)
        check_single(call)
        made = _selected(f"layer {call.name!r} ({call.op_type})", call.shapes[0], _sliced(call))
        if call.op_type == "Slice":
            return made
        sizes = tuple(int(size) for size in call.constant(5, "shape").reshape(-1)[1:])
        if not isinstance(made, Select) or prod(sizes) != prod(made.sizes) or min(sizes, default=1) < 1:
            raise call.refused(f"a part in the shape {list(sizes)}", "as many elements as the part has")
        return cls(made.ranges, sizes)

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The sizes."""
        return self.sizes

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """Slicing and ``Tensor.reshape``."""
        return self._part(inputs[0], 1).reshape(len(inputs[0]), *self.sizes)

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Codes are moved, not changed."""
        x = inputs[0].align()
        return Codes(self._part(x.values, 1).reshape(len(x.values), *self.sizes), x.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Bounds are moved, not changed."""
        low, high = (self._part(end, 0).reshape(self.sizes) for end in (inputs[0].low, inputs[0].high))
        return Interval(low, high, inputs[0].fraction)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """Slice, and Reshape where axes come or go."""
        kept = tuple(len(range(*each)) for each in self.ranges)
        columns = zip(("starts", "ends", "steps"), zip(*self.ranges, strict=True), strict=True)
        starts, ends, steps = (writer.constant(f"{name}.{word}", np.array(column)) for word, column in columns)
        axes = writer.constant(f"{name}.axes", np.arange(1, len(self.ranges) + 1))
        place, own = (output, name) if kept == self.sizes else (f"{output}.part", f"{name}.slice")
        part = writer.add("Slice", [inputs[0], starts, ends, axes, steps], place, own, shape=kept)
        if part != output:
            sizes = writer.constant(f"{name}.shape", np.array([0, *self.sizes]))
            writer.add("Reshape", [part, sizes], output, name)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Zero outside the part."""
        whole = gradients.new_zeros(*gradients.shape[:2], *inputs[0].shape[1:])
        part = self._part(whole, 2)
        part.copy_(gradients.reshape(part.shape))
        return [whole]

    def _part(self, values: T, leading: int) -> T:
        """The ranges of a tensor with that many axes before its own."""
        return values[(slice(None),) * leading + tuple(slice(*each) for each in self.ranges)]


def _indexed(call: TorchCall, given: Any) -> Op:
    """From what stands between the brackets of ``x[...]``.

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
        raise InputError(where, f"[{', '.join(map(_spelt, index))}]", "all of the batch: x[:, ...] or x[..., ...]")
    return _selected(where, shape, index[1:])


def _whole_batch(dim: int = 0, start: Any = None, end: Any = None, step: Any = None) -> bool:
    """Whether it is the ``:`` of ``x[:, 0]``, which ``torch.export`` writes as a slice of its own."""
    return dim == 0 and start in (None, 0) and (end is None or end == sys.maxsize) and step in (None, 1)


def _sliced(call: OnnxCall) -> list[slice]:
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


def _gathered(call: OnnxCall) -> Op:
    """From ``Gather`` of one element of an axis, or of some in steps.

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
    index = [part if other == axis else slice(None) for other in range(len(shape))]
    return _selected(f"layer {call.name!r} ({call.op_type})", shape, index)


def _selected(where: str, shape: Shape, index: Sequence[Any]) -> Op:
    """From one entry for each axis behind the batch, and None for new ones; only a change of shape, where all stays."""
    ranges: list[Range] = []
    sizes: list[int] = []
    for each in index:
        if each is None:
            sizes.append(1)
            continue
        size = shape[len(ranges)]
        if isinstance(each, int):
            if not -size <= each < size:
                raise InputError(where, f"element {each} of an axis of {size}", f"0 to {size - 1}")
            ranges.append((each % size, each % size + 1, 1))
            continue
        start, stop, step = each.indices(size)
        length = len(range(start, stop, step))
        if step < 1 or not length:
            raise InputError(where, f"range {_spelt(each)} of an axis of {size}", "a range with elements, forwards")
        ranges.append((start, start + (length - 1) * step + 1, step))
        sizes.append(length)
    if all(each == (0, size, 1) for each, size in zip(ranges, shape, strict=True)):
        return reshaped(shape, tuple(sizes))
    return Select(tuple(ranges), tuple(sizes))


def _spelt(each: Any) -> str:
    ends = [each.start, each.stop] if type(each) is slice else [each]
    return ":".join("" if end is None else str(end) for end in ends)
