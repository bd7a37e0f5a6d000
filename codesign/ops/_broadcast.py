"""Operations on two tensors, element by element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.op import Op, QonnxWriter, Shape

if TYPE_CHECKING:
    from torch import Tensor


class Pairwise(Op):
    """Of two tensors, element by element, one ONNX node; axes of one element go along with others."""

    #: What the result is called in messages.
    result: ClassVar[str]

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """That of both inputs; axes of one element go along with others.

        Raises:
            InputError: The shapes don't fit.
        """
        if len(inputs) == 2 and len(inputs[0]) == len(inputs[1]):
            pairs = list(zip(*inputs, strict=True))
            if all(one == other or 1 in (one, other) for one, other in pairs):
                return tuple(other if one == 1 else one for one, other in pairs)
        found = f"{self.result} of tensors of shapes {', '.join(str(list(shape)) for shape in inputs)}"
        wanted = "two tensors of as many axes, each equal in length or 1"
        raise InputError(f"layer {name!r}", found, wanted, "use unsqueeze or view for axes that are missing")

    def signed(self, inputs: list[bool]) -> bool:
        """If either can be negative."""
        return any(inputs)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One node."""
        writer.add(self.onnx_types[0], inputs, output, name)


def summed(gradients: Tensor, shape: Shape) -> Tensor:
    """Gradients ``[batch, directions, ...]`` at an input that went along with a larger tensor.

    Args:
        gradients: At the output.
        shape: The input's, the batch axis left out.
    """
    axes = [axis + 2 for axis, size in enumerate(shape) if size != gradients.shape[axis + 2]]
    return gradients.sum(axes, keepdim=True) if axes else gradients


def aligned(inputs: list[Codes]) -> tuple[list[Codes], int]:
    """Codes at one fraction, the finest of all, and that fraction."""
    single = [x.align() for x in inputs]
    fraction = max(int(x.fraction) for x in single)  # type: ignore[arg-type]
    return [x.align(fraction) for x in single], fraction


def largest(inputs: list[Interval]) -> tuple[list[float], int]:
    """The largest magnitude of each input in codes of the finest fraction, and that fraction.

    In floats: fractions may lie so far apart that aligning them would leave int64.
    """
    fraction = max(x.fraction for x in inputs)
    ends = [float(max(-int(x.low.min()), int(x.high.max()), 0)) for x in inputs]
    return [end * 2.0 ** (fraction - x.fraction) for end, x in zip(ends, inputs, strict=True)], fraction
