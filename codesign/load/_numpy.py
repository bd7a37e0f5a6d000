"""A numpy function on words, traced: what it does to the words of one sample becomes calls of torch."""

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from types import CellType, FunctionType
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn
from torch.fx.proxy import GraphAppendingTracer, Proxy

from codesign.errors import InputError
from codesign.fixed import Fixed

#: A function of arrays of words ``[samples, ..., features]``.
Function = Callable[..., Any]
_HINT = "work on words with + - * >> //, clip, minimum, maximum, stack, concatenate, and tables made before"


class Traced:
    """Stands for an array of words while a function is traced."""

    __array_priority__ = 1000

    def __init__(self, proxy: Proxy, root: nn.Module) -> None:
        self.proxy, self.root = proxy, root

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> "Traced":
        """A torch call on arguments, this among them."""
        plain = tuple(_plain(self, each) for each in arguments)
        made = cast(Any, self.proxy.tracer).create_proxy("call_function", function, plain, options)
        return Traced(made, self.root)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> "Traced":
        name = ufunc.__name__
        if method != "__call__" or options or name not in UFUNCS:
            raise _unknown(f"numpy.{name}" + (f".{method}" if method != "__call__" else ""), [*options])
        return UFUNCS[name](self, *inputs)

    def __array_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any], options: Mapping[str, Any]
    ) -> "Traced":
        name = function.__name__
        if name not in FUNCTIONS:
            raise _unknown(f"numpy.{name}", [])
        return FUNCTIONS[name](self, *args, **options)

    def __array__(self, *_: Any, **__: Any) -> Any:
        found = "words made a plain array, as by an index of a table made in the function"
        raise InputError("preprocess", found, "", "make the table outside, beside the function")

    def __bool__(self) -> bool:
        raise InputError("preprocess", "a branch on the data", "the same calls for all words", "use minimum and maximum")

    def __iter__(self) -> Any:
        raise InputError("preprocess", "a loop over samples", "all samples at once", "x[:, 0] is the first feature")

    def __getitem__(self, index: Any) -> "Traced":
        return self.call(operator.getitem, self, index)

    @property
    def shape(self) -> Any:
        """The shape, the number of samples first."""
        return self.proxy.shape

    @property
    def ndim(self) -> Any:
        """The number of axes."""
        return self.proxy.ndim

    def __add__(self, other: Any) -> "Traced":
        return self.call(operator.add, self, other)

    def __sub__(self, other: Any) -> "Traced":
        return self.call(operator.sub, self, other)

    def __rsub__(self, other: Any) -> "Traced":
        return self.call(operator.sub, other, self)

    def __mul__(self, other: Any) -> "Traced":
        return self.call(operator.mul, self, other)

    def __truediv__(self, other: Any) -> "Traced":
        return self.call(operator.truediv, self, other)

    def __floordiv__(self, other: Any) -> "Traced":
        return (self / other).floor()

    def __rshift__(self, places: Any) -> "Traced":
        return (self * _power(-np.asarray(places))).floor()

    def __lshift__(self, places: Any) -> "Traced":
        return self * _power(places)

    def __neg__(self) -> "Traced":
        return self.call(operator.neg, self)

    __radd__, __rmul__ = __add__, __mul__

    def floor(self) -> "Traced":
        """The largest whole numbers that are not larger."""
        return self.call(torch.floor, self)

    def clip(self, a_min: Any = None, a_max: Any = None) -> "Traced":
        """Within limits."""
        low = self if a_min is None else self.larger(a_min)
        return low if a_max is None else low.smaller(a_max)

    def larger(self, other: Any) -> "Traced":
        """The larger of both."""
        if isinstance(other, Traced):
            return (self - other).positive() + other
        return self.call(torch.clamp_min, self, other)

    def smaller(self, other: Any) -> "Traced":
        """The smaller of both."""
        if isinstance(other, Traced):
            return self - (self - other).positive()
        return self.call(torch.clamp_max, self, other)

    def positive(self) -> "Traced":
        """Zero where it is negative."""
        return self.call(torch.relu, self)

    def astype(self, kind: Any) -> "Traced":
        """Conversion to whole numbers; floats need none."""
        return Traced(self.proxy.long(), self.root) if np.issubdtype(kind, np.integer) else self

    def sum(self, axis: Any = None, keepdims: bool = False) -> "Traced":
        """The sum over axes."""
        return self.call(torch.sum, self, axis, keepdim=keepdims)

    def reshape(self, *shape: Any) -> "Traced":
        """Another shape."""
        return self.call(torch.reshape, self, shape[0] if len(shape) == 1 else shape)


class Table(np.ndarray[Any, Any]):
    """An array that takes traced words for an index."""

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, Traced):
            return index.call(operator.getitem, np.asarray(self), index)
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
        raise InputError("preprocess", found, "", _HINT) from error
    results: list[Any] = list(cast(Any, result)) if isinstance(result, tuple | list) else [result]
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


def _plain(own: Traced, value: Any) -> Any:
    """An argument of a torch call: words by their proxies, arrays by a buffer's."""
    if isinstance(value, Traced):
        return value.proxy
    if isinstance(value, list | tuple):
        return type(cast(Any, value))(_plain(own, each) for each in cast(Any, value))
    if isinstance(value, np.ndarray) and value.ndim:
        return _constant(own, cast(Any, value))
    return cast(Any, value).item() if isinstance(value, np.ndarray | np.generic) else value


def _constant(own: Traced, values: npt.NDArray[Any]) -> Proxy:
    """A buffer with an array's numbers."""
    name = f"constant{len(list(own.root.buffers()))}"
    own.root.register_buffer(name, torch.tensor(np.asarray(values, np.float64)))
    return cast(Any, own.proxy.tracer).create_proxy("get_attr", name, (), {})


def _power(places: Any) -> Any:
    """Two to the number of places that a word is shifted by."""
    if isinstance(places, Traced):
        raise _unknown("a shift by a word", [])
    return np.ldexp(1.0, np.asarray(places))


def _unknown(what: str, options: Sequence[str]) -> InputError:
    found = what + (f" with {', '.join(options)}" if options else "")
    return InputError("preprocess", f"{found}, for which there is no operation", "", _HINT)


def _either(one: Any, other: Any, choose: Callable[[Traced, Any], Traced]) -> Traced:
    """A symmetric call with the words first."""
    return choose(one, other) if isinstance(one, Traced) else choose(other, one)


def _shifted(words: Any, shift: Callable[[Traced], Traced]) -> Traced:
    if not isinstance(words, Traced):
        raise _unknown("a shift by a word", [])
    return shift(words)


#: What numpy calls on single numbers become, given the words that are traced.
UFUNCS: Mapping[str, Callable[..., Traced]] = {
    "add": lambda own, one, other: own.call(operator.add, one, other),
    "subtract": lambda own, one, other: own.call(operator.sub, one, other),
    "multiply": lambda own, one, other: own.call(operator.mul, one, other),
    "divide": lambda own, one, other: own.call(operator.truediv, one, other),
    "floor_divide": lambda own, one, other: own.call(operator.truediv, one, other).floor(),
    "right_shift": lambda own, one, other: _shifted(one, lambda words: words >> other),
    "left_shift": lambda own, one, other: _shifted(one, lambda words: words << other),
    "negative": lambda own, one: -one,
    "square": lambda own, one: one * one,
    "floor": lambda own, one: one.floor(),
    "maximum": lambda own, one, other: _either(one, other, Traced.larger),
    "minimum": lambda own, one, other: _either(one, other, Traced.smaller),
}

#: What numpy calls on whole arrays become.
FUNCTIONS: Mapping[str, Callable[..., Traced]] = {
    "clip": lambda own, words, a_min=None, a_max=None: words.clip(a_min, a_max),
    "concatenate": lambda own, arrays, axis=0: own.call(torch.cat, list(arrays), axis),
    "stack": lambda own, arrays, axis=0: own.call(torch.stack, list(arrays), axis),
    "sum": lambda own, words, axis=None, keepdims=False: words.sum(axis, keepdims),
    "expand_dims": lambda own, words, axis: own.call(torch.unsqueeze, words, axis),
    "reshape": lambda own, words, shape: words.reshape(shape),
}
