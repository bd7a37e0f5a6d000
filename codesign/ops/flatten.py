"""Operations that only change a tensor's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.identity import Identity
from codesign.ops.onnx_calls import onnx_shape
from codesign.ops.op import BatchSize, OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Flatten(Op):
    """All axes but the batch become one."""

    kind: ClassVar[str] = "flatten"
    arithmetic: ClassVar[bool] = False
    moves_data: ClassVar[bool] = True
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = ("nn.Flatten", "torch.flatten", "Tensor.flatten")
    onnx_types: ClassVar[tuple[str, ...]] = ("Flatten",)

    @classmethod
    def from_torch(cls, call: TorchCall) -> Flatten | Reshape | Identity:
        """From the module, the function or the method; the batch axis stays."""
        given = call.options("start_dim", "end_dim")
        start, end = given.get("start_dim", 0), given.get("end_dim", -1)
        if start in (0, -len(call.shapes[0]) - 1):
            raise InputError(f"layer {call.path!r}", f"flatten of axes {start} to {end}", "axes 1 to -1")
        (first, last), shape = call.axes((start, end)), call.shapes[0]
        return reshaped(shape, (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :]))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Flatten | Reshape | Identity:
        """From ``Flatten`` of all axes but the batch."""
        axis = call.attributes.get("axis", 1)
        if axis not in (1, -len(call.shapes[0])):
            raise call.refused(f"flatten from axis {axis}", "axis 1")
        return reshaped(call.shapes[0], (prod(call.shapes[0]),))

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """One axis with all elements."""
        return (prod(inputs[0]),)

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``Tensor.flatten``."""
        return inputs[0].flatten(1)

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Codes are moved, not changed."""
        x = inputs[0].align()
        return Codes(x.values.reshape(len(x.values), prod(x.values.shape[1:])), x.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Bounds are moved, not changed."""
        x = inputs[0]
        return Interval(x.low.reshape(-1), x.high.reshape(-1), x.fraction)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Flatten node."""
        writer.add("Flatten", inputs, output, name, axis=1)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """In the input's shape."""
        return [gradients.reshape(*gradients.shape[:2], *inputs[0].shape[1:])]


@dataclass(frozen=True)
class Reshape(Op):
    """The same elements in another shape, the batch axis kept.

    Args:
        sizes: The shape, the batch axis left out.
    """

    sizes: Shape

    kind: ClassVar[str] = "reshape"
    arithmetic: ClassVar[bool] = False
    moves_data: ClassVar[bool] = True
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("Tensor.view", "Tensor.reshape", "torch.reshape", "nn.Unflatten", "torch.unflatten", "Tensor.unflatten"),
        *("torch.squeeze", "Tensor.squeeze", "torch.unsqueeze", "Tensor.unsqueeze"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Reshape", "Squeeze", "Unsqueeze")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Flatten | Reshape | Identity:
        """From views, ``unflatten``, ``squeeze`` and ``unsqueeze``; the batch axis stays first."""
        shape = call.shapes[0]
        if call.target.endswith(("view", "reshape")):
            return _from_view(call)
        if call.target.lower().endswith("unflatten"):
            given = call.options("dim", "sizes" if call.module is None else "unflattened_size")
            axis, sizes = call.axes(given.pop("dim"))[0], tuple(next(iter(given.values())))
            return reshaped(shape, (*shape[:axis], *_whole(sizes, shape[axis]), *shape[axis + 1 :]))
        given: Any = call.options("dim").get("dim")
        if call.target.endswith("unsqueeze"):
            rank = len(shape) + 2
            if given not in range(1, rank) and given not in range(1 - rank, 0):
                raise InputError(f"layer {call.path!r}", f"a new axis {given}", "an axis behind the batch")
            axis = int(given) % rank - 1
            return reshaped(shape, (*shape[:axis], 1, *shape[axis:]))
        if given is None:
            raise InputError(
                f"layer {call.path!r}", "squeeze of all axes", "squeeze(axis)", "the batch may be of one sample"
            )
        axes = call.axes(given)
        return reshaped(shape, tuple(size for axis, size in enumerate(shape) if axis not in axes or size != 1))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Flatten | Reshape | Identity:
        """From ``Reshape``, ``Squeeze`` and ``Unsqueeze``; the batch axis stays first."""
        return reshaped(call.shapes[0], onnx_shape(call))

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The sizes."""
        if prod(self.sizes) != prod(inputs[0]):
            found = f"{list(self.sizes)} from a tensor of shape {list(inputs[0])}"
            raise InputError(f"layer {name!r}", found, f"{prod(inputs[0])} elements for each sample")
        return self.sizes

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``Tensor.reshape``."""
        return inputs[0].reshape(len(inputs[0]), *self.sizes)

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Codes are moved, not changed."""
        x = inputs[0].align()
        return Codes(x.values.reshape(len(x.values), *self.sizes), x.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Bounds are moved, not changed."""
        x = inputs[0]
        return Interval(x.low.reshape(self.sizes), x.high.reshape(self.sizes), x.fraction)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Reshape node; 0 stands for the batch."""
        writer.add("Reshape", [inputs[0], writer.constant(f"{name}.shape", np.array([0, *self.sizes]))], output, name)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """In the input's shape."""
        return [gradients.reshape(*gradients.shape[:2], *inputs[0].shape[1:])]


def reshaped(given: Shape, wanted: Shape) -> Flatten | Reshape | Identity:
    """What gives a tensor another shape, if it is another."""
    if given == wanted:
        return Identity()
    return Flatten() if given and len(wanted) == 1 else Reshape(wanted)


def _from_view(call: TorchCall) -> Flatten | Reshape | Identity:
    """From ``view(batch, ...)`` or ``view(-1, ...)``.

    Raises:
        InputError: The batch axis does not stay first.
    """
    given: Any = (*call.arguments, *call.keywords.values())
    sizes = given[0] if isinstance(given[0], tuple) else given
    others = sizes[1:]
    numbers = all(isinstance(size, int) for size in others)
    batch = bool(sizes) and (isinstance(sizes[0], BatchSize) or sizes[0] == -1)
    if not batch or not others or not numbers or (sizes[0] == -1 and -1 in others):
        found = f"a view of sizes [{', '.join(map(str, sizes))}]"
        raise InputError(f"layer {call.path!r}", found, "[-1, features, ...]", "use torch.flatten(x, 1)")
    if len(others) == 1 and others[0] not in (-1, count := prod(call.shapes[0])):
        found = f"{others[0]} features from a tensor of shape {list(call.shapes[0])}"
        raise InputError(f"layer {call.path!r}", found, f"{count}")
    return reshaped(call.shapes[0], _whole(others, prod(call.shapes[0])))


def _whole(sizes: Shape, count: int) -> Shape:
    """Sizes with the number that -1 stands for."""
    known = prod(size for size in sizes if size != -1)
    return tuple(count // known if size == -1 and known else size for size in sizes)
