"""Calls and nodes of the networks that come in, as an operation's ``from_torch`` and ``from_onnx`` see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy.typing as npt

from codesign.arrays import FloatArray
from codesign.errors import InputError

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
