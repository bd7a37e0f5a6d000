"""What the tensors of an ONNX file are while it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.given import Quantizer
from codesign.load.onnx_files.tensors import Array, not_finite

#: Operators that move a constant's elements or change its type: name and quantizer stay.
MOVES = ("Identity", "Transpose", "Reshape", "Cast", "Squeeze", "Unsqueeze", "Flatten")


@dataclass(frozen=True)
class Computed:
    """A tensor of the graph, by name."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A value that the file holds or computes from others.

    Args:
        name: Of the tensor in the file that it came from; empty if it was computed.
        values: After its quantizer, if it has one.
        quantizer: The quantizer.
        clip: Smallest and largest integer that a Clip left.
    """

    name: str
    values: Array
    quantizer: Quantizer | None = None
    clip: tuple[float, float] | None = None

    def quantized(self, quantizer: Quantizer) -> Constant:
        """After a quantizer."""
        if not np.isfinite(self.values).all():
            raise not_finite(self.name or quantizer.where, self.values)
        return replace(self, values=quantizer.applied(self.values), quantizer=quantizer)

    def moved(self, change: Callable[[Array], Array]) -> Constant:
        """With its elements moved, and so its quantizer's."""
        moved = replace(self, values=change(self.values))
        if self.quantizer is None:
            return moved

        def whole(each: Array) -> Array:
            return change(np.broadcast_to(each, self.values.shape))

        return replace(moved, quantizer=self.quantizer.reshaped(whole))


@dataclass(frozen=True)
class Integers:
    """What is between QuantizeLinear and DequantizeLinear: what goes in, and the quantizer so far."""

    source: Computed | Constant
    quantizer: Quantizer


Value = Computed | Constant | Integers


def real(values: Sequence[Value | None]) -> list[Array | None]:
    """The values of constants; None for the others."""
    return [value.values if isinstance(value, Constant) else None for value in values]
