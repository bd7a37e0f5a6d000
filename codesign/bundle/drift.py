"""The integers beside the float network on some data: what they decide, how far apart they are, what saturates."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from codesign.arrays import FloatArray
from codesign.deploy.format.manifest import Tensor
from codesign.fixed import Fixed, quantize
from codesign.verify.hops.float64 import Float64, Watch, in_float64

#: Samples that are run at once: what lies between layers stays small.
CHUNK = 4096
#: Shares of samples whose shift is at most the number given.
QUANTILES = (0.01, 0.5, 0.99)


@dataclass(frozen=True)
class Shift:
    """How much larger an output of the integers is than that of the float network.

    Args:
        output: The tensor, and the element's number.
        mean: Over all samples.
        quantiles: At ``QUANTILES``.
    """

    output: str
    mean: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Saturated:
    """How many values left the range of their format, and were cut off at its end.

    Args:
        name: The tensor; for an input, with the element's number.
        count: Values that were.
        values: All values.
    """

    name: str
    count: int
    values: int

    @property
    def share(self) -> float:
        """The count beside all values."""
        return self.count / self.values


@dataclass(frozen=True)
class Drift:
    """What some data gives.

    Args:
        samples: How many there are.
        agreeing: Samples on which the largest output is the same; None for a network that doesn't classify.
        shifts: By element of the outputs.
        inputs: By element of the inputs.
        layers: By tensor that has a format.
    """

    samples: int
    agreeing: int | None
    shifts: tuple[Shift, ...]
    inputs: tuple[Saturated, ...]
    layers: tuple[Saturated, ...]

    def alike(self, other: "Drift") -> bool:
        """Whether both are of the same tensors, with samples, so that one can be held beside the other."""
        return self._form() == other._form()

    def _form(self) -> object:
        shifts = [(each.output, len(each.quantiles)) for each in self.shifts]
        return self.samples > 0, shifts, [(each.name, each.values > 0) for each in (*self.inputs, *self.layers)]


def drift(
    integers: Path, floats: Path, tensors: Sequence[Tensor], inputs: Sequence[FloatArray], decides: bool
) -> Drift:
    """Run some data through both networks.

    Args:
        integers: The QONNX file.
        floats: The float network's ONNX file.
        tensors: The inputs, with their formats.
        inputs: ``[samples, ...]`` each, as the input quantizers see them.
        decides: Whether the largest output is a decision.

    Raises:
        InputError: A value is NaN or infinite.
    """
    counts: dict[str, list[int]] = {}
    found: dict[str, list[Float64]] = {}
    wanted: dict[str, list[Float64]] = {}
    total, names = len(inputs[0]), {tensor.name for tensor in tensors}
    saturated = [_outside(x, tensor.fixed).reshape(total, -1).sum(0) for x, tensor in zip(inputs, tensors, strict=True)]
    exact = in_float64(onnx.load_model_from_string(integers.read_bytes()), _counter(counts, names))
    in_floats = in_float64(onnx.load_model_from_string(floats.read_bytes()))
    for start in range(0, total, CHUNK):
        part = {tensor.name: np.asarray(x[start : start + CHUNK]) for tensor, x in zip(tensors, inputs, strict=True)}
        coded = {
            name: quantize(x, tensor.fixed, "floor").real()
            for (name, x), tensor in zip(part.items(), tensors, strict=True)
        }
        _gather(found, exact(coded))
        _gather(wanted, in_floats(part))
    whole = {name: np.concatenate(parts).reshape(total, -1) for name, parts in found.items()}
    beside = {name: np.concatenate(parts).reshape(total, -1) for name, parts in wanted.items()}
    same = sum(np.count_nonzero(whole[name].argmax(1) == beside[name].argmax(1)) for name in whole)
    return Drift(
        total,
        int(same) if decides else None,
        tuple(shift for name in whole for shift in _shifts(name, whole[name] - beside[name])),
        tuple(
            Saturated(f"{tensor.name}[{index}]", int(count), total)
            for tensor, each in zip(tensors, saturated, strict=True)
            for index, count in enumerate(each)
        ),
        tuple(Saturated(name, *numbers) for name, numbers in counts.items()),
    )


def _outside(x: FloatArray, fixed: Fixed) -> npt.NDArray[np.bool_]:
    """Which values the format does not reach, once they are rounded down."""
    codes = np.floor(np.ldexp(np.asarray(x, np.float64), np.asarray(fixed.fraction)))
    return (codes < fixed.low) | (codes > fixed.high)


def _counter(counts: dict[str, list[int]], inputs: Collection[str]) -> Watch:
    """Counts what quantizers between layers cut off; those of parameters round to nearest, and cut off nothing."""

    def watch(node: onnx.NodeProto, given: Float64, scale: Float64, made: Float64) -> None:
        if node.input[0] not in inputs and any(attribute.s == b"FLOOR" for attribute in node.attribute):
            # Scales are powers of two: both sides are exact.
            own = counts.setdefault(node.output[0], [0, 0])
            own[0] += int(np.count_nonzero(np.floor(given / scale) * scale != made))
            own[1] += made.size

    return watch


def _gather(parts: dict[str, list[Float64]], found: Mapping[str, Float64]) -> None:
    for name, values in found.items():
        parts.setdefault(name, []).append(np.asarray(values, np.float64))


def _shifts(name: str, differences: Float64) -> list[Shift]:
    """By element of an output, of differences ``[samples, elements]``."""
    quantiles = np.quantile(differences, QUANTILES, axis=0).T
    return [
        Shift(f"{name}[{index}]", float(mean), tuple(map(float, each)))
        for index, (mean, each) in enumerate(zip(differences.mean(0), quantiles, strict=True))
    ]
