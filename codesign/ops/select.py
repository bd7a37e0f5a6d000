"""Parts of a tensor: features and ranges of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._ranges import gathered, sliced, spelt, torch_index
from codesign.ops.flatten import reshaped
from codesign.ops.lookup import Lookup
from codesign.ops.onnx_calls import check_single
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor

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
        return _selected(f"layer {call.path!r}", call.shapes[0], torch_index(call))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Op:
        """From ``Slice``, with ``Reshape`` too, and ``Gather`` of elements in steps; of a table it is a lookup."""
        if call.op_type == "Gather" and 0 in call.constants:
            return Lookup.from_onnx(call)
        check_single(call)
        index = gathered(call) if call.op_type == "Gather" else sliced(call)
        made = _selected(f"layer {call.name!r} ({call.op_type})", call.shapes[0], index)
        if call.op_type != "Slice+Reshape":
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
            raise InputError(where, f"range {spelt(each)} of an axis of {size}", "a range with elements, forwards")
        ranges.append((start, start + (length - 1) * step + 1, step))
        sizes.append(length)
    if all(each == (0, size, 1) for each, size in zip(ranges, shape, strict=True)):
        return reshaped(shape, tuple(sizes))
    return Select(tuple(ranges), tuple(sizes))
