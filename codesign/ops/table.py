"""Sigmoid, tanh, and what a softmax is made of, as lookup tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import atanh, ceil, frexp, ldexp, log
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor

Function = Literal["sigmoid", "tanh", "decay", "reciprocal"]

#: Fraction bits of the result.
FRACTION: Mapping[Function, int] = {"sigmoid": 12, "tanh": 12, "decay": 16, "reciprocal": 16}
#: Most fraction bits of the inputs at which the result changes; there are fewer where float32's mantissa, of so many
#: bits, would not hold them.
POINT, MANTISSA = 20, 24
#: Most bits of the input: the table has an entry for each of its codes.
WIDEST = 16


@dataclass(frozen=True)
class Table(Op):
    """A monotone function rounded to ``FRACTION`` bits: it counts how many of a list of numbers the input has reached.

    Comparing with the same numbers gives the same integers everywhere; evaluating an exponential does not. In the
    exported file it is a table with an entry for each code of its quantized input.

    Args:
        function: Sigmoid; tanh; decay, ``min(exp(-x), 1)``; or reciprocal, ``1 / max(x, 1/2)``.
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
        """From ``Sigmoid`` or ``Tanh``, or from a table of any of the functions."""
        if call.op_type in ("Sigmoid", "Tanh"):
            return cls("sigmoid" if call.op_type == "Sigmoid" else "tanh")
        low, steps, table = (call.constant(place, "table") for place in (1, 2, 3))
        x = float(low.item()) + np.arange(table.size) / float(steps.item())
        made = (cls(function) for function in FRACTION)
        found = [each for each in made if np.array_equal(each._look_up(x).real(), table.reshape(-1))]
        if not found:
            raise call.refused("a table", f"one of {', '.join(FRACTION)}")
        return found[0]

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape."""
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """Tanh where its input is; the others are never negative."""
        return self.function == "tanh" and inputs[0]

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """The rounded value, with the gradient of the function itself."""
        import torch

        x = inputs[0]
        smooth = self._smooth(x)
        reached = torch.bucketize(x.detach().contiguous(), torch.tensor(thresholds(self.function)).to(x), right=True)
        first, step = self._codes
        rounded = (first + step * reached).to(x) * 2.0 ** -FRACTION[self.function]
        return smooth + (rounded - smooth).detach()  # exactly the rounded one: the two are within half an LSB

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """How many thresholds are reached; real values of codes are exact in float64."""
        return self._look_up(inputs[0].real())

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends.

        Raises:
            InputError: The input has too many codes for a table.
        """
        x = inputs[0]
        if (width := int(x.smallest_format().width)) > WIDEST:
            found = f"an input of {width} bits"
            raise InputError(f"table of {self.function}", found, f"at most {WIDEST}", "use fewer activation bits")
        ends = [self._look_up(Codes(end, x.fraction).real()).values for end in (x.low, x.high)]
        return Interval(np.minimum(*ends), np.maximum(*ends), FRACTION[self.function])

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """Sub, Mul and Cast make the input's code an index; Gather looks it up."""
        x = writer.input_ranges[0]
        low, high = int(x.low.min()), int(x.high.max())
        values = self._look_up(np.ldexp(np.arange(low, high + 1, dtype=np.float64), -x.fraction))
        names = {
            "low": writer.constant(f"{name}.low", np.array(low * 2.0**-x.fraction)),
            "steps": writer.constant(f"{name}.steps", np.array(2.0**x.fraction)),
            "table": writer.constant(f"{name}.table", values.real()),
        }
        above = writer.add("Sub", [inputs[0], names["low"]], f"{output}.above", f"{name}.sub")
        code = writer.add("Mul", [above, names["steps"]], f"{output}.code", f"{name}.mul")
        index = writer.add("Cast", [code], f"{output}.index", f"{name}.cast", to=7)  # onnx's number of int64
        writer.add("Gather", [names["table"], index], output, name, axis=0)

    def write_float(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """The function itself."""
        match self.function:
            case "sigmoid" | "tanh":
                writer.add(self.function.capitalize(), inputs, output, name)
            case "decay":
                above = writer.add("Relu", inputs, f"{output}.above", f"{name}.relu")
                below = writer.add("Neg", [above], f"{output}.below", f"{name}.neg")
                writer.add("Exp", [below], output, name)
            case "reciprocal":
                least = writer.constant(f"{name}.least", np.array(0.5))
                above = writer.add("Max", [inputs[0], least], f"{output}.above", f"{name}.max")
                writer.add("Reciprocal", [above], output, name)

    def _smooth(self, x: Tensor) -> Tensor:
        """The function itself."""
        match self.function:
            case "sigmoid":
                return x.sigmoid()
            case "tanh":
                return x.tanh()
            case "decay":
                return x.clamp(min=0).neg().exp()
            case "reciprocal":
                return x.clamp(min=0.5).reciprocal()

    @property
    def _codes(self) -> tuple[int, int]:
        """The code before any number is reached, and what each adds."""
        steps = 2 ** FRACTION[self.function]
        return {"sigmoid": (0, 1), "tanh": (-steps, 1), "decay": (steps, -1), "reciprocal": (2 * steps, -1)}[
            self.function
        ]

    def _look_up(self, x: npt.NDArray[np.float64]) -> Codes:
        first, step = self._codes
        reached = np.searchsorted(thresholds(self.function), x, side="right").astype(np.int64)
        return Codes(first + step * reached, FRACTION[self.function])


@cache
def thresholds(function: Function) -> npt.NDArray[np.float64]:
    """The inputs from which on the rounded function is one code further, ascending, of few bits.

    ``f(x) >= (k + 1/2) 2**-FRACTION`` for ``x`` from the inverse of the right side on, or up to it where ``f`` falls;
    the sigmoid is ``(tanh(x / 2) + 1) / 2``.
    """
    steps = 2 ** FRACTION[function]
    match function:
        case "sigmoid":
            found = [2 * atanh((2 * code + 1) / steps - 1) for code in range(steps)]
        case "tanh":
            found = [atanh((code + 0.5) / steps) for code in range(-steps, steps)]
        case "decay":
            found = [-log((code + 0.5) / steps) for code in reversed(range(steps))]
        case "reciprocal":
            found = [steps / (code + 0.5) for code in reversed(range(2 * steps))]
    return np.array([_few_bits(x) for x in found])


def _few_bits(x: float) -> float:
    """The least number that is not smaller and that a float32 with at most ``POINT`` fraction bits holds."""
    fraction = min(POINT, MANTISSA - frexp(x)[1])
    return ldexp(ceil(ldexp(x, fraction)), -fraction)
