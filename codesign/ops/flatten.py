"""Operations that only change a tensor's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._onnx import onnx_shape
from codesign.ops.identity import Identity
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Flatten(Op):
    """All axes but the batch become one.

    Args:
        features: How many elements that must be; None for as many as there are.
    """

    features: int | None = None

    kind: ClassVar[str] = "flatten"
    moves_data: ClassVar[bool] = True
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        "nn.Flatten",
        "torch.flatten",
        "Tensor.flatten",
        "Tensor.view",
        "Tensor.reshape",
        "torch.reshape",
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Flatten", "Reshape", "Squeeze", "Transpose")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Flatten:
        """From the module, the function or the method, when it flattens all but the batch axis."""
        if call.target.endswith(("view", "reshape")):
            return cls._from_view(call)
        if call.module is not None:
            start, end = call.module.start_dim, call.module.end_dim
        else:
            given = dict(zip(("start_dim", "end_dim"), call.arguments, strict=False)) | dict(call.keywords)
            start, end = given.get("start_dim", 0), given.get("end_dim", -1)
        if (start, end) != (1, -1):
            raise InputError(f"layer {call.path!r}", f"flatten of axes {start} to {end}", "axes 1 to -1")
        return cls()

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Op:
        """From ``Flatten``, or from what has its effect, or none: ``Reshape``, ``Squeeze``, ``Transpose``."""
        given = call.shapes[0]
        after = onnx_shape(call)
        if after == given:
            return Identity()
        if after != (prod(given),):
            raise call.refused(
                f"shape {list(given)} to {list(after)}", f"to [{prod(given)}], all axes but the batch in one"
            )
        return cls()

    @classmethod
    def _from_view(cls, call: TorchCall) -> Flatten:
        given: Any = (*call.arguments, *call.keywords.values())
        sizes = given[0] if isinstance(given[0], tuple) else given
        if len(sizes) != 2 or sizes[0] != -1:  # the batch size is -1 in a traced call, whichever way it was said
            found = f"a view of sizes {list(sizes)}"
            raise InputError(f"layer {call.path!r}", found, "[-1, features]", "use torch.flatten(x, 1)")
        return cls(None if sizes[1] == -1 else sizes[1])

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """One axis with all elements."""
        count = prod(inputs[0])
        if self.features not in (None, count):
            raise InputError(
                f"layer {name!r}", f"{self.features} features from a tensor of shape {list(inputs[0])}", f"{count}"
            )
        return (count,)

    def signed(self, inputs: list[bool]) -> bool:
        """As the input."""
        return inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``Tensor.flatten``."""
        return inputs[0].flatten(1)

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Codes are moved, not changed."""
        x = inputs[0].align()
        return Codes(x.values.reshape(len(x.values), -1), x.fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Bounds are moved, not changed."""
        x = inputs[0]
        return Interval(x.low.reshape(-1), x.high.reshape(-1), x.fraction)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Flatten node."""
        writer.add("Flatten", inputs, output, name, axis=1)
