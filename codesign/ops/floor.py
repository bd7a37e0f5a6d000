"""Rounding to whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.identity import Identity
from codesign.ops.onnx_calls import FLOATS, check_single
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor

#: What torch calls the types of whole numbers, those left out that hold few.
WHOLE = ("torch.int32", "torch.int64", "torch.int", "torch.long")
#: ONNX's numbers for int32 and int64; and those of a float, in which the whole numbers go on.
INTEGERS, INT64, FLOAT = (6, 7), 7, 1


@dataclass(frozen=True)
class Floor(Op):
    """The largest whole number that is not larger: what shifting a word to the right leaves.

    Args:
        towards_zero: Whether it stands for a conversion to whole numbers, which rounds negative numbers up. Those
            are then only taken where they are whole already.
    """

    towards_zero: bool = False

    kind: ClassVar[str] = "floor"
    arithmetic: ClassVar[bool] = False
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("torch.floor", "torch.floor_", "Tensor.floor", "Tensor.floor_", "Tensor.long", "Tensor.int", "Tensor.to"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Floor", "Cast", "Cast+Cast")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Floor:
        """From ``floor``, ``long()``, ``int()`` and ``to()`` with a type of whole numbers."""
        if call.target.endswith(".to"):
            given = [str(each) for each in (*call.arguments, *call.keywords.values())]
            if len(given) != 1 or given[0] not in WHOLE:
                found = f"to({', '.join(given)})"
                raise InputError(
                    f"layer {call.path!r}", found, "to(torch.long)", "numbers keep their type by themselves"
                )
        return cls(towards_zero="floor" not in call.target)

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Floor | Identity:
        """From ``Floor``, and ``Cast`` to whole numbers; numbers keep their type by themselves, so back is nothing."""
        check_single(call)
        if call.op_type == "Floor":
            return cls()
        kind = call.attributes.get("to")
        if kind not in (*FLOATS, *INTEGERS):
            raise call.refused(f"a conversion to type {kind}", "floats, int32 or int64")
        return cls(towards_zero=True) if kind in INTEGERS else Identity()

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape."""
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.floor`` or ``torch.trunc``, with the gradient of the number itself."""
        x = inputs[0]
        whole = x.trunc() if self.towards_zero else x.floor()
        return x + (whole - x).detach()

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """A shift to the right."""
        x = inputs[0].align()
        return Codes(x.values >> max(int(np.max(x.fraction)), 0), min(int(np.max(x.fraction)), 0))

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends.

        Raises:
            InputError: Numbers that are not whole could be rounded up.
        """
        x = inputs[0]
        if self.towards_zero and x.fraction > 0 and x.low.min() < 0:
            found = "numbers below zero made whole, which torch rounds towards zero"
            raise InputError(
                "conversion to whole numbers", found, "rounding down, as shifts do", "use torch.floor first"
            )
        shift = max(x.fraction, 0)
        return Interval(x.low >> shift, x.high >> shift, x.fraction - shift)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """Of the input."""
        return float(max(-int(inputs[0].low.min()), int(inputs[0].high.max())))

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Floor node, or Cast to whole numbers and back."""
        if not self.towards_zero:
            writer.add("Floor", inputs, output, name)
            return
        whole = writer.add("Cast", inputs, f"{output}.whole", name, to=INT64)
        writer.add("Cast", [whole], output, f"{name}.back", to=FLOAT)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """All of it."""
        return [gradients]
