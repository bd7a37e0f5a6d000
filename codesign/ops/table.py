"""Sigmoid and tanh, as lookup tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import atanh, ceil
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor

#: Fraction bits of the result.
FRACTION = 12
#: Fraction bits of the inputs at which the result goes up; with the integer bits they fit float32's mantissa.
POINT = 20
#: Most bits of the input: the table has an entry for each of its codes.
WIDEST = 16

Function = Literal["sigmoid", "tanh"]


@dataclass(frozen=True)
class Table(Op):
    """Sigmoid or tanh, rounded to ``FRACTION`` fraction bits: how many of a list of numbers the input has reached.

    Comparing with the same numbers gives the same integers everywhere; evaluating an exponential does not. In the
    exported file it is a table with an entry for each code of its quantized input.

    Args:
        function: Which one.
    """

    function: Function

    kind: ClassVar[str] = "table"
    arithmetic: ClassVar[bool] = False
    reads_quantized: ClassVar[bool] = True
    piecewise_linear: ClassVar[bool] = False
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("nn.Sigmoid", "F.sigmoid", "torch.sigmoid", "torch.sigmoid_", "Tensor.sigmoid", "Tensor.sigmoid_"),
        *("nn.Tanh", "F.tanh", "torch.tanh", "torch.tanh_", "Tensor.tanh", "Tensor.tanh_"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Sigmoid", "Tanh", "Sub+Mul+Cast+Gather")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Table:
        """From the module, the function or the method."""
        return cls("sigmoid" if "sigmoid" in call.target.lower() else "tanh")

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Table:
        """From ``Sigmoid`` or ``Tanh``, or from a table of either."""
        if call.op_type in ("Sigmoid", "Tanh"):
            return cls("sigmoid" if call.op_type == "Sigmoid" else "tanh")
        low, steps, table = (call.constant(place, "table") for place in (1, 2, 3))
        x = float(low.item()) + np.arange(table.size) / float(steps.item())
        made = (cls("sigmoid"), cls("tanh"))
        found = [each for each in made if np.array_equal(each._look_up(x) * 2.0**-FRACTION, table.reshape(-1))]
        if not found:
            raise call.refused("a table", "one of sigmoid or tanh")
        return found[0]

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape."""
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """A sigmoid is never negative; tanh where its input is."""
        return self.function == "tanh" and inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """The rounded value, with the gradient of the function itself."""
        import torch

        x = inputs[0]
        smooth = x.sigmoid() if self.function == "sigmoid" else x.tanh()
        reached = torch.bucketize(x.detach().contiguous(), torch.tensor(thresholds(self.function)).to(x), right=True)
        rounded = (reached - self._below).to(x) * 2.0**-FRACTION
        return smooth + (rounded - smooth).detach()  # exactly the rounded one: the two are within half an LSB

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """How many thresholds are reached; real values of codes are exact in float64."""
        return Codes(self._look_up(inputs[0].real()), FRACTION)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends.

        Raises:
            InputError: The input has too many codes for a table.
        """
        x = inputs[0]
        if (width := int(x.smallest_format().width)) > WIDEST:
            found = f"an input of {width} bits"
            raise InputError(f"table of {self.function}", found, f"at most {WIDEST}", "use fewer activation bits")
        low, high = (self._look_up(Codes(end, x.fraction).real()) for end in (x.low, x.high))
        return Interval(low, high, FRACTION)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """Sub, Mul and Cast make the input's code an index; Gather looks it up."""
        x = writer.input_ranges[0]
        low, high = int(x.low.min()), int(x.high.max())
        values = self._look_up(np.ldexp(np.arange(low, high + 1, dtype=np.float64), -x.fraction))
        names = {
            "low": writer.constant(f"{name}.low", np.array(low * 2.0**-x.fraction)),
            "steps": writer.constant(f"{name}.steps", np.array(2.0**x.fraction)),
            "table": writer.constant(f"{name}.table", values * 2.0**-FRACTION),
        }
        above = writer.add("Sub", [inputs[0], names["low"]], f"{output}.above", f"{name}.sub")
        code = writer.add("Mul", [above, names["steps"]], f"{output}.code", f"{name}.mul")
        index = writer.add("Cast", [code], f"{output}.index", f"{name}.cast", to=7)  # onnx's number of int64
        writer.add("Gather", [names["table"], index], output, name, axis=0)

    @property
    def _below(self) -> int:
        """Minus the smallest code."""
        return 2**FRACTION if self.function == "tanh" else 0

    def _look_up(self, x: npt.NDArray[np.float64]) -> IntArray:
        return np.searchsorted(thresholds(self.function), x, side="right").astype(np.int64) - self._below


@cache
def thresholds(function: Function) -> npt.NDArray[np.float64]:
    """The inputs from which on the rounded function is one code higher, ascending, multiples of ``2**-POINT``.

    ``f(x) >= (k + 1/2) 2**-FRACTION`` for ``x`` from the inverse of the right side on; the sigmoid is
    ``(tanh(x / 2) + 1) / 2``.
    """
    steps = 2**FRACTION
    if function == "sigmoid":
        found = [2 * atanh((2 * code + 1) / steps - 1) for code in range(steps)]
    else:
        found = [atanh((code + 0.5) / steps) for code in range(-steps, steps)]
    return np.array([ceil(x * 2**POINT) for x in found]) * 2.0**-POINT
