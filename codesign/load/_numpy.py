"""A numpy function on words, traced: what it does to the words of one sample becomes calls of torch."""

import inspect
import operator
from collections.abc import Callable, Sequence
from types import CellType, FunctionType
from typing import Any, cast

import numpy as np
from torch import fx, nn
from torch.fx.proxy import GraphAppendingTracer, Proxy

from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.load._traced import HINT, Traced, call

#: A function of arrays of words ``[samples, ..., features]``.
Function = Callable[..., Any]


class Table(np.ndarray[Any, Any]):
    """An array that takes traced words for an index."""

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, Traced):
            return call(operator.getitem, np.asarray(self), index)
        return super().__getitem__(index)

    def take(self, indices: Any, *args: Any, **options: Any) -> Any:
        """What ``numpy.take`` calls."""
        return self[indices] if isinstance(indices, Traced) else super().take(indices, *args, **options)


def trace(function: Function, formats: Sequence[Fixed]) -> fx.GraphModule:
    """The calls of a function, from the real numbers that the words stand for.

    Args:
        function: Of one array of words for each input.
        formats: Of the inputs.

    Raises:
        InputError: It does something that no operation stands for.
    """
    graph, root = fx.Graph(), nn.Module()
    tracer = GraphAppendingTracer(graph)
    names = _names(function, len(formats))
    real = [Traced(Proxy(graph.placeholder(name), tracer), root) for name in names]
    words = [_words(x, fixed) for x, fixed in zip(real, formats, strict=True)]
    try:
        result = _indexable(function)(*words)
    except InputError:
        raise
    except Exception as error:
        found = f"{function.__name__} raised {type(error).__name__} while it was traced: {error}"
        raise InputError("preprocess", found, "", HINT) from error
    results: list[Any] = list(cast(Any, result)) if isinstance(result, tuple) else [result]
    if not all(isinstance(each, Traced) for each in results):
        found = f"{function.__name__} gave {', '.join(type(each).__name__ for each in results)}"
        raise InputError("preprocess", found, "arrays made from the words")
    graph.output(tuple(each.proxy.node for each in results))
    return fx.GraphModule(root, graph)


def _names(function: Function, count: int) -> list[str]:
    names = list(inspect.signature(function).parameters)
    if len(names) != count:
        found = f"{function.__name__} of {len(names)} arguments"
        raise InputError("preprocess", found, f"{count}, as the data has input arrays")
    return names


def _words(x: Traced, fixed: Fixed) -> Traced:
    fraction = np.asarray(fixed.fraction)
    if not fraction.any():
        return x
    words = x * np.ldexp(1.0, fraction)
    return words.floor() if fraction.ndim else words  # which says that they are whole where the points differ


def _indexable(function: Function) -> Function:
    """The function with the arrays that it and its neighbours see around them made tables."""
    if not isinstance(function, FunctionType):
        return function
    around: dict[str, Any] = {}

    def rebuilt(own: FunctionType) -> FunctionType:
        cells = tuple(CellType(_table(cell.cell_contents)) for cell in own.__closure__ or ())
        defaults = tuple(map(_table, own.__defaults__ or ()))
        made = FunctionType(own.__code__, around, own.__name__, defaults, cells)
        made.__kwdefaults__ = own.__kwdefaults__
        return made

    for name, value in function.__globals__.items():
        neighbour = isinstance(value, FunctionType) and value.__globals__ is function.__globals__
        around[name] = rebuilt(value) if neighbour else _table(value)
    return rebuilt(function)


def _table(value: Any) -> Any:
    return value.view(Table) if type(value) is np.ndarray else value
