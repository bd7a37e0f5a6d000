"""What the makers of Verilog are given, and what they give back."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codesign.fixed import Codes, Fixed, requantize
from codesign.quantized import Quantized

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Made:
    """Verilog that was written into a folder.

    Args:
        top: Its top module.
        stages: Clock cycles from an input to its output.
        outputs: What the maker's interpreter gives for the inputs, ``[samples, outputs]``, real numbers.
        seconds: From weights to Verilog.
    """

    top: str
    stages: int
    outputs: Floats
    seconds: float


@dataclass(frozen=True)
class Mlp:
    """Linear layers with ReLU and rounding between them.

    Args:
        formats: Of the input, and of what each ReLU gives.
        weights, biases: Real numbers, ``[outputs, inputs]`` and ``[outputs]``.
    """

    formats: tuple[Fixed, ...]
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.weights[0].shape[1]

    @property
    def low(self) -> int:
        """Smallest code of an input."""
        return int(np.max(self.formats[0].low))

    @property
    def high(self) -> int:
        """Largest code of an input."""
        return int(np.max(self.formats[0].high))

    def run(self, codes: Ints) -> Floats:
        """The outputs as real numbers; all are exact in float64."""
        x: Floats = codes * 2.0 ** -float(np.max(self.formats[0].fraction))
        for weight, bias, fixed in zip(self.weights, self.biases, (*self.formats[1:], None), strict=True):
            x = x @ weight.T + bias
            if fixed is not None:
                fraction = int(np.max(fixed.fraction))
                cut = np.floor(np.maximum(x, 0) * 2.0**fraction).astype(np.int64)
                x = requantize(Codes(cut, fraction), fixed).real()
        return x

    def write(self, path: Path, codes: Ints) -> None:
        """For a program that has no codesign: arrays, formats as rows of sign, integer bits, fraction bits."""
        kif = [[bool(f.signed), int(f.integer) - bool(f.signed), int(f.fraction)] for f in self.formats]
        layers = {f"weight{i}": weight for i, weight in enumerate(self.weights)}
        layers |= {f"bias{i}": bias for i, bias in enumerate(self.biases)}
        np.savez(path, kif=np.array(kif), codes=codes, **layers)  # type: ignore[arg-type]


def mlp_of(quantized: Quantized) -> Mlp:
    """The layers of a network of ``linear`` and ``relu``, in order."""
    graph = quantized.graph
    assert {node.op.kind for node in graph.nodes} == {"linear", "relu"}
    parameters = [quantized.parameters(node) for node in graph.weighted()]
    inputs = [quantized.formats[graph.origin(node.inputs[0])] for node in graph.weighted()]
    return Mlp(
        tuple(inputs),
        tuple(each["weight"].real() for each in parameters),
        tuple(each["bias"].real() for each in parameters),
    )
