"""Limits: clamp, hardtanh, ReLU6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from codesign.arrays import FloatArray, IntArray
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops.dyadic import Constant, Dyadics, constant, require_fit
from codesign.ops.onnx_calls import check_single
from codesign.ops.op import OnnxCall, Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor

#: Files say this number, or infinity, where there is no limit.
LARGEST = float(np.finfo(np.float32).max)
#: Options in torch's order, and their defaults, by the call's name without what it belongs to.
OPTIONS: Mapping[str, tuple[tuple[str, str], dict[str, float]]] = {
    "hardtanh": (("min_val", "max_val"), {"min_val": -1.0, "max_val": 1.0}),
    "relu6": (("", ""), {"min_val": 0.0, "max_val": 6.0}),
    "clamp": (("min", "max"), {}),
    "clamp_min": (("min", ""), {}),
    "clamp_max": (("max", ""), {}),
    "maximum": (("min", ""), {}),
    "minimum": (("max", ""), {}),
}


@dataclass(frozen=True)
class Clip(Op):
    """``min(max(x, low), high)``.

    Args:
        low: The least value, or one for each feature; None for no limit.
        high: The largest value, likewise; None for no limit.
    """

    low: Constant | None
    high: Constant | None

    kind: ClassVar[str] = "clip"
    arithmetic: ClassVar[bool] = False
    keeps_offset: ClassVar[bool] = True
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("nn.Hardtanh", "nn.ReLU6", "F.hardtanh", "F.hardtanh_", "F.relu6", "F.relu6_"),
        *("torch.clamp", "torch.clamp_", "torch.clip", "torch.clip_", "torch.clamp_min", "torch.clamp_max"),
        *("torch.maximum", "torch.minimum"),
        *("Tensor.clamp", "Tensor.clamp_", "Tensor.clip", "Tensor.clip_", "Tensor.clamp_min", "Tensor.clamp_max"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Clip", "Max", "Min", "Max+Min")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Clip:
        """From the modules, functions and methods above, if few bits hold the limits."""
        word = call.target.partition(".")[2].lower().rstrip("_").replace("clip", "clamp")
        names, defaults = OPTIONS[word]
        given = defaults | call.options(*names)
        found = (given.get("min_val", given.get("min")), given.get("max_val", given.get("max")))
        if len(call.shapes) != 1 or found == (None, None):
            raise InputError(
                f"layer {call.path!r}", f"{len(call.shapes)} tensors and no limit", "one with a constant limit"
            )
        return cls._between(call.path, *found, len(call.shapes[0]))

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Clip:
        """From ``Clip``, ``Max`` or ``Min`` with constants; a limit at the end of floats is none."""
        check_single(call)
        limits, none = call.constants, np.array(inf)
        if call.op_type in ("Clip", "Max+Min"):
            low, high = limits.get(1, -none), limits.get(2, none)
        elif call.op_type == "Max":
            low, high = reduce(np.maximum, limits.values()), none
        else:
            low, high = -none, reduce(np.minimum, limits.values())
        ends = None if np.all(low <= -LARGEST) else low, None if np.all(high >= LARGEST) else high
        return cls._between(call.name, *ends, len(call.shapes[0]))

    @classmethod
    def _between(cls, path: str, lowest: Any, highest: Any, rank: int) -> Clip:
        """With limits as dyadic numbers.

        Raises:
            InputError: They take too many bits, or a lower one comes last.
        """
        low, high = (
            None if value is None else constant(path, "a limit at", value, rank) for value in (lowest, highest)
        )
        if low is not None and high is not None and np.any(low.values > high.values):
            found = f"limits {low.values.tolist()} to {high.values.tolist()}"
            raise InputError(f"layer {path!r}", found, "the lower one first")
        return cls(low, high)

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape."""
        require_fit(name, "limits", self.low, inputs[0])
        require_fit(name, "limits", self.high, inputs[0])
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """As the input, where the limits leave that side of zero."""
        if self.high is not None and np.any(self.high.values < 0):
            return True
        return inputs[0] and (self.low is None or bool(np.any(self.low.values < 0)))

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """``torch.clamp``."""
        x = inputs[0]
        for limit, clamp in ((self.low, x.__class__.clamp_min), (self.high, x.__class__.clamp_max)):
            x = x if limit is None else clamp(x, limit.like(x))
        return x

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Exact at the finest fraction of input and limits."""
        x = inputs[0].align()
        fraction = self._finest(int(np.max(x.fraction)))
        return Codes(self._clip(x.align(fraction).values, fraction), fraction)

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Monotone: the ends map to the ends."""
        fraction = self._finest(inputs[0].fraction)
        x = inputs[0].align(fraction)
        return Interval(self._clip(x.low, fraction), self._clip(x.high, fraction), fraction)

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """Of the input and the limits, which are compared."""
        x = inputs[0]
        limits = [float(np.max(np.abs(limit.values))) for limit in (self.low, self.high) if limit is not None]
        own = float(max(-int(x.low.min()), int(x.high.max()))) * 2.0**-x.fraction
        return max([own, *limits]) * 2.0 ** self._finest(x.fraction)

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """One Clip node; Max, Min or both where there is one limit, or one for each feature."""
        ends = {"low": self.low, "high": self.high}
        given = {end: limit for end, limit in ends.items() if limit is not None}
        limits = [writer.constant(f"{name}.{end}", limit.values) for end, limit in given.items()]
        several = any(isinstance(limit, Dyadics) for limit in given.values())
        if len(limits) == 2 and not several:
            writer.add("Clip", [inputs[0], *limits], output, name)
        elif len(limits) == 2:
            raised = writer.add("Max", [inputs[0], limits[0]], f"{output}.raised", name)
            writer.add("Min", [raised, limits[1]], output, f"{name}.min")
        else:
            writer.add({"low": "Max", "high": "Min"}[next(iter(given))], [inputs[0], *limits], output, name)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """What was cut off passes nothing."""
        return [gradients * (inputs[0] == output).to(gradients).unsqueeze(1)]

    def _finest(self, fraction: int) -> int:
        return max([fraction, *(limit.fraction for limit in (self.low, self.high) if limit is not None)])

    def _clip(self, codes: IntArray, fraction: int) -> IntArray:
        codes = codes if self.low is None else np.maximum(codes, self.low.at(fraction))
        return codes if self.high is None else np.minimum(codes, self.high.at(fraction))
