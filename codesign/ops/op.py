"""What an operation knows. Adding an operation is adding one file to this folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy.typing as npt

from codesign.arrays import FloatArray, IntArray
from codesign.errors import ContractError, InputError
from codesign.fixed import Codes
from codesign.interval import Interval

if TYPE_CHECKING:
    from torch import Tensor

    from codesign.graph import Graph, Node

Shape = tuple[int, ...]


@dataclass(frozen=True)
class BatchSize:
    """What stands for the size of the batch in a traced call: nothing is computed from it."""

    def __str__(self) -> str:
        return "the batch size"

    __repr__ = __str__


@dataclass(frozen=True)
class Parameter:
    """A parameter or constant that a traced call is given directly.

    Args:
        name: Its name in the graph.
        shape: Its shape.
        values: Its numbers, float64, if training does not change them.
    """

    name: str
    shape: Shape
    values: FloatArray | None = field(default=None, compare=False)


@dataclass(frozen=True)
class TorchCall:
    """One call in a traced torch network, as an operation's ``from_torch`` sees it.

    Args:
        path: The user's name of the call: the module path, or the traced node's name.
        target: ``nn.NAME`` for a module, ``torch.NAME`` / ``F.NAME`` for a function, ``Tensor.NAME`` for a method.
        module: The module, if it is one.
        arguments: Positional arguments that are no tensors, for functions and methods; a ``Parameter`` for parameters.
        keywords: Keyword arguments that are no tensors.
        shapes: Shapes of the tensors, the batch axis left out.
        first: Positional arguments before the first tensor.
    """

    path: str
    target: str
    module: Any = None
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict[str, Any])
    shapes: tuple[Shape, ...] = ()
    first: int = 0

    def options(self, *names: str) -> dict[str, Any]:
        """Options by name: the module's, or those given by position and by keyword.

        Args:
            names: All options, in torch's order.
        """
        if self.module is not None:
            return {name: getattr(self.module, name) for name in names if hasattr(self.module, name)}
        return dict(zip(names, self.arguments, strict=False)) | dict(self.keywords)

    def axes(self, given: int | Sequence[int]) -> Shape:
        """Axes of the first tensor, counted from 0 behind the batch axis.

        Args:
            given: One axis or several as torch counts them: the batch is 0, and -1 the last.

        Raises:
            InputError: One is the batch axis, or none of the tensor's.
        """
        axes = (given,) if isinstance(given, int) else tuple(given)
        return _behind_batch(f"layer {self.path!r}", axes, len(self.shapes[0]) + 1)


class OnnxParameter(Protocol):
    """Gives the graph a parameter of the operation that is being made."""

    def __call__(self, role: str, values: npt.NDArray[Any], place: int | None = None, transposed: bool = False) -> str:
        """The parameter's name.

        Args:
            role: Its role in the operation.
            values: Its values, as the graph shall have them.
            place: Of the input that it was made of, whose name and number format it keeps.
            transposed: Whether that was transposed.
        """
        ...


@dataclass(frozen=True)
class OnnxCall:
    """One node of an ONNX file, as an operation's ``from_onnx`` sees it.

    Args:
        name: The layer's name in the graph.
        op_type: ONNX's word for the operation, as in ``Op.onnx_types``.
        shapes: Shapes of the inputs that are computed, in order, the batch axis left out.
        constants: Values of the other inputs, by their place among all.
        attributes: By name; texts as ``str``, lists as tuples.
        outputs: How many outputs something reads.
        parameter: Gives the graph a parameter.
    """

    name: str
    op_type: str
    shapes: tuple[Shape, ...]
    constants: Mapping[int, npt.NDArray[Any]]
    attributes: Mapping[str, Any]
    outputs: int
    parameter: OnnxParameter

    def refused(self, found: str, wanted: str = "", next_step: str = "") -> InputError:
        """The error that says what of this node is not supported."""
        return InputError(f"layer {self.name!r} ({self.op_type})", found, wanted, next_step)

    def constant(self, place: int, what: str) -> npt.NDArray[Any]:
        """The values of an input that must be constant.

        Raises:
            InputError: It is computed, or not there.
        """
        if place not in self.constants:
            raise self.refused(f"no constant {what}", f"{what} as numbers in the file")
        return self.constants[place]

    def numbers(self, place: int, attribute: str) -> tuple[int, ...]:
        """Whole numbers that are an input of newer nodes and an attribute of older ones; none if it has neither."""
        given = self.constants[place].reshape(-1).tolist() if place in self.constants else ()
        return tuple(int(number) for number in given or self.attributes.get(attribute, ()))

    def axes(self, given: Sequence[int], added: int = 0) -> Shape:
        """Axes of the first tensor, counted from 0 behind the batch axis.

        Args:
            given: As ONNX counts them: the batch is 0, and -1 the last.
            added: Axes that it has more when they are counted.

        Raises:
            InputError: One is the batch axis, or none of the tensor's.
        """
        return _behind_batch(f"layer {self.name!r} ({self.op_type})", given, len(self.shapes[0]) + 1 + added)


def _behind_batch(where: str, axes: Sequence[int], rank: int) -> Shape:
    for axis in axes:
        if not (0 < axis < rank or -rank < axis < 0):
            what = "the batch" if axis in (0, -rank) else f"one of {rank}"
            raise InputError(where, f"axis {axis}, {what}", "axes behind the batch")
    return tuple(axis % rank - 1 for axis in axes)


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
        """Write one ONNX node, its output of int64 after a Cast; returns ``output``.

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
