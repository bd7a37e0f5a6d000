"""Quantizers in a graph, where the file has them, until the layers around them have their final form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NoReturn

from codesign.arrays import FloatArray
from codesign.errors import ContractError
from codesign.fixed import Codes
from codesign.given import Quantizer
from codesign.interval import Interval
from codesign.ops.op import Op, QonnxWriter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Marker(Op):
    """A quantizer of a tensor."""

    quantizer: Quantizer

    kind: ClassVar[str] = "quantizer"

    @classmethod
    def from_torch(cls, call: TorchCall) -> NoReturn:
        """Torch networks have none."""
        raise _defect()

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's."""
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """As the quantizer has it."""
        return self.quantizer.signed

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """The file's own quantizer, scale and rounding as they are there."""
        return inputs[0].new_tensor(self.quantizer.applied(inputs[0].detach().numpy()))

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> NoReturn:
        """Not defined: formats stand beside the graph."""
        raise _defect()

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> NoReturn:
        """Not defined: formats stand beside the graph."""
        raise _defect()

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> NoReturn:
        """Not defined: formats stand beside the graph."""
        raise _defect()


def _defect() -> ContractError:
    return ContractError("quantizer", "still in the graph after loading", "a format beside the graph")
