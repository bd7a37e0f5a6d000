"""What an operation knows. Adding an operation is adding one file to this folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from codesign.arrays import FloatArray, IntArray
from codesign.errors import ContractError
from codesign.fixed import Codes
from codesign.interval import Interval
from codesign.ops._call import BatchSize, OnnxCall, OnnxParameter, Parameter, Shape, TorchCall

if TYPE_CHECKING:
    from torch import Tensor

    from codesign.graph import Graph, Node

__all__ = [
    "BatchSize", "Detail", "OnnxCall", "OnnxParameter", "Op", "Parameter", "QonnxWriter", "Rewritten", "Shape",
    "SquaredGradients", "TorchCall", "Work",
]  # fmt: skip


@dataclass(frozen=True)
class Work:
    """Arithmetic of one operation for one sample.

    Args:
        macs: Multiply-accumulates.
        fan_in: Products summed into one output.
    """

    macs: int
    fan_in: int


#: How fine squared gradients are wanted: totals alone, those of channels too, or those of single elements too.
Detail = Literal["tensor", "channel", "element"]


@dataclass(frozen=True)
class SquaredGradients:
    """Squares of a tensor's per-sample gradients, summed over directions.

    Args:
        totals: Summed over all elements, ``[batch]``.
        channels: Summed over each channel's elements, ``[batch, channels]``; channels are a parameter's first axis, an
            activation's first after the batch. None if not wanted.
        elements: Summed over the batch, of the tensor's shape; None if not wanted.
    """

    totals: Tensor
    channels: Tensor | None = None
    elements: Tensor | None = None


class QonnxWriter(Protocol):
    """Receives the ONNX nodes of an operation."""

    @property
    def input_shapes(self) -> list[Shape]:
        """Shapes of the operation's inputs, the batch axis left out."""
        ...

    @property
    def input_ranges(self) -> list[Interval]:
        """Ranges of the operation's inputs."""
        ...

    def parameter(self, name: str, transpose: bool = False) -> str:
        """Write a quantized parameter (initializer and Quant node); returns the quantized tensor's name."""
        ...

    def constant(self, name: str, values: IntArray | FloatArray) -> str:
        """Write a constant: integers as int64 (shapes, axes), reals as floats; returns its name in the file."""
        ...

    def add(
        self, op_type: str, inputs: Sequence[str], output: str, name: str, shape: Shape | None = None, **attributes: Any
    ) -> str:
        """Write one ONNX node, its output of int64 after a Cast to that; returns ``output``.

        Args:
            op_type: Name of the ONNX operator.
            inputs: Names of the tensors that it reads.
            output: Name of the tensor that it writes.
            name: Name of the node.
            shape: Shape of the output without the batch axis, if it is not the operation's.
            attributes: Attributes of the node.
        """
        ...


class Op(ABC):
    """One operation: shapes, float forward, exact integer forward, intervals, QONNX nodes, costs."""

    #: Name in files and reports.
    kind: ClassVar[str]
    #: Torch calls that this operation stands for, as in ``TorchCall.target``.
    torch_targets: ClassVar[tuple[str, ...]] = ()
    #: ONNX operators (``op_type``) that this operation stands for; ``A+B`` for nodes that ``write_qonnx`` writes one
    #: after the other, called ``NAME`` and ``NAME.more``: constants of all are counted on, attributes are the first's.
    onnx_types: ClassVar[tuple[str, ...]] = ()
    #: True if values are only moved, never changed (so bits pass through).
    moves_data: ClassVar[bool] = False
    #: True if the inputs must be on the grid of a quantizer, as where two activations are multiplied.
    reads_quantized: ClassVar[bool] = False
    #: True if the output is the input wherever it changes at all, so that half an LSB added before the operation
    #: is half an LSB after it.
    keeps_offset: ClassVar[bool] = False
    #: True if it adds or multiplies, so that cost models need a rule for it; False for comparisons, shifts and moves.
    arithmetic: ClassVar[bool] = True
    #: True if the operation is linear between finitely many kinks, so that a network of such
    #: operations has a Hessian equal to its Gauss-Newton matrix almost everywhere.
    piecewise_linear: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def from_torch(cls, call: TorchCall) -> Op:
        """The operation for a traced torch call.

        Raises:
            InputError: The call uses an option that is not supported.
        """

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Op:
        """The operation for a node of an ONNX file; needed if ``onnx_types`` names any.

        Raises:
            InputError: The node uses an option that is not supported.
        """
        raise ContractError(f"operation {cls.kind}", "no from_onnx", "one for an operation with onnx_types")

    def parameters(self) -> dict[str, str]:
        """Parameter names in the graph, by role (``"weight"``, ``"bias"``)."""
        return {}

    @abstractmethod
    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """Output shape without the batch axis.

        Args:
            name: The node's name, for messages.
            inputs: Input shapes without the batch axis.
            parameters: The graph's parameters.

        Raises:
            InputError: The shapes don't fit.
        """

    @abstractmethod
    def signed(self, inputs: list[bool]) -> bool:
        """Whether the output can be negative, given whether each input can."""

    @abstractmethod
    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """Differentiable forward in torch; ``parameters`` by role, tensors with the batch axis first."""

    @abstractmethod
    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Exact forward on integer codes ``[batch, ...]``; ``parameters`` by role."""

    @abstractmethod
    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Range of the output, given the ranges of the inputs."""

    def magnitude(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> float:
        """Upper bound of every partial sum's absolute value, in codes of the output's fraction.

        It decides in which number type the operation is exact: float32 up to 2**24, float64 up to 2**53.
        """
        out = self.interval(inputs, parameters)
        return float(max(abs(int(out.low.min())), abs(int(out.high.max()))))

    @abstractmethod
    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """Write the operation's ONNX nodes, from tensor names ``inputs`` to ``output``."""

    def write_float(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """Write the same for the float network; an operation overrides it if it rounds by itself."""
        self.write_qonnx(writer, name, inputs, output)

    def work(self, inputs: list[Shape], output: Shape) -> Work:
        """Multiply-accumulates for one sample."""
        return Work(0, 0)

    def pull_back(
        self, inputs: list[Tensor], output: Tensor, gradients: Tensor, parameters: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """Gradients at the inputs from gradients at the output, for many directions at once.

        Autograd does it here, one direction after another; an operation overrides it where it can do better.

        Args:
            inputs: ``[batch, ...]`` each.
            output: What ``forward`` gave for them, ``[batch, ...]``.
            gradients: At the output, ``[batch, directions, ...]``.
            parameters: By role.

        Returns:
            ``[batch, directions, ...]`` per input.
        """
        import torch

        with torch.inference_mode(False), torch.enable_grad():
            leaves = [x.clone().requires_grad_() for x in inputs]
            again = self.forward(leaves, parameters)
        rows = [torch.autograd.grad(again, leaves, gradient, retain_graph=True) for gradient in gradients.unbind(1)]
        return [torch.stack(column, 1) for column in zip(*rows, strict=True)]

    def squared_gradients(self, inputs: list[Tensor], gradients: Tensor, detail: Detail) -> dict[str, SquaredGradients]:
        """Squares of the per-sample gradient of each parameter, by role.

        Args:
            inputs: ``[batch, ...]`` each.
            gradients: At the output, ``[batch, directions, ...]``.
            detail: How fine squares are wanted.
        """
        if self.parameters():
            raise ContractError(
                f"operation {self.kind}", "no squared_gradients", "one for an operation with parameters"
            )
        return {}


class Rewritten(Op):
    """An operation that hardware never sees: loading folds it into its neighbours or takes it off."""

    @abstractmethod
    def rewrite(self, graph: Graph, node: Node) -> tuple[Graph, str]:
        """The graph without this node, and a notice for the user (empty if there is nothing to say).

        Raises:
            InputError: The node can't be taken out where it stands.
        """

    def instead(self, graph: Graph, node: Node) -> Graph | None:
        """The graph with operations that hardware has in place of a node that can't go; None if there are none."""
        return None

    def shape(self, name: str, inputs: list[Shape], parameters: Mapping[str, FloatArray]) -> Shape:
        """The input's shape."""
        return inputs[0]

    def signed(self, inputs: list[bool]) -> bool:
        """Not defined before rewriting."""
        raise self._defect()

    def forward(self, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:
        """Not defined before rewriting."""
        raise self._defect()

    def integer(self, inputs: list[Codes], parameters: Mapping[str, Codes]) -> Codes:
        """Not defined before rewriting."""
        raise self._defect()

    def interval(self, inputs: list[Interval], parameters: Mapping[str, Codes]) -> Interval:
        """Not defined before rewriting."""
        raise self._defect()

    def write_qonnx(self, writer: QonnxWriter, name: str, inputs: Sequence[str], output: str) -> None:
        """Not defined before rewriting."""
        raise self._defect()

    def _defect(self) -> ContractError:
        return ContractError(f"operation {self.kind}", "still in the graph after loading", "a graph that was rewritten")
