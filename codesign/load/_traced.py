"""What stands for an array of words while a numpy function is traced: its calls become calls of torch."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, cast

import numpy as np
import torch
from torch import nn
from torch.fx.proxy import Proxy

from codesign.errors import InputError

#: What a function may do instead.
HINT = "work on words with + - * >> //, clip, minimum, maximum, stack, concatenate, and tables made before"


class Traced:
    """Stands for an array of words.

    Args:
        proxy: Of torch's tracer.
        root: Gets the constants that the words meet.
    """

    def __init__(self, proxy: Proxy, root: nn.Module) -> None:
        self.proxy, self.root = proxy, root

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> "Traced":
        name = ufunc.__name__
        if method == "__call__" and not options and name in UNARY:
            return UNARY[name](*inputs)
        if method == "__call__" and not options and name in BINARY:
            return BINARY[name](*inputs)
        raise unknown(f"numpy.{name}{'' if method == '__call__' else f'.{method}'}", *options)

    def __array_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any], options: Mapping[str, Any]
    ) -> "Traced":
        name = function.__name__
        if name not in FUNCTIONS:
            raise unknown(f"numpy.{name}")
        return FUNCTIONS[name](*args, **options)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        found = "words made a plain array, as by an index of a table made in the function"
        raise InputError("preprocess", found, "", "make the table outside, beside the function")

    def __bool__(self) -> NoReturn:
        raise InputError("preprocess", "a branch on the data", "the same calls for all words", "use minimum, maximum")

    def __iter__(self) -> Iterator[Any]:
        raise InputError("preprocess", "a loop over samples", "all samples at once", "x[:, 0] is the first feature")

    def __getitem__(self, index: Any) -> "Traced":
        return call(operator.getitem, self, index)

    def __add__(self, other: Any) -> "Traced":
        return call(operator.add, self, other)

    def __sub__(self, other: Any) -> "Traced":
        return call(operator.sub, self, other)

    def __rsub__(self, other: Any) -> "Traced":
        return call(operator.sub, other, self)

    def __mul__(self, other: Any) -> "Traced":
        return call(operator.mul, self, other)

    def __truediv__(self, other: Any) -> "Traced":
        return _divided(self, other)

    def __floordiv__(self, other: Any) -> "Traced":
        return _divided(self, other).floor()

    def __rshift__(self, places: Any) -> "Traced":
        return (self * _power(places, -1)).floor()

    def __lshift__(self, places: Any) -> "Traced":
        return self * _power(places, 1)

    def __neg__(self) -> "Traced":
        return call(operator.neg, self)

    __radd__, __rmul__ = __add__, __mul__

    @property
    def shape(self) -> Any:
        """The shape, the number of samples first."""
        return self.proxy.shape

    @property
    def ndim(self) -> Any:
        """The number of axes."""
        return self.proxy.ndim

    def floor(self) -> "Traced":
        """The largest whole numbers that are not larger."""
        return call(torch.floor, self)

    def larger(self, other: Any) -> "Traced":
        """The larger of both."""
        if isinstance(other, Traced):
            return call(torch.relu, self - other) + other
        return call(torch.clamp_min, self, other)

    def smaller(self, other: Any) -> "Traced":
        """The smaller of both."""
        if isinstance(other, Traced):
            return self - call(torch.relu, self - other)
        return call(torch.clamp_max, self, other)

    def clip(self, a_min: Any = None, a_max: Any = None) -> "Traced":
        """Within limits."""
        low = self if a_min is None else self.larger(a_min)
        return low if a_max is None else low.smaller(a_max)

    def astype(self, kind: Any) -> "Traced":
        """Conversion to whole numbers; floats need none.

        Raises:
            InputError: A type so narrow that numbers could wrap around or lose digits in it.
        """
        if np.dtype(kind).itemsize < 4:
            found = f"a conversion to {np.dtype(kind)}, in which numbers wrap around or lose digits"
            raise InputError("preprocess", found, "32 bits or more", "use astype(np.int32), and np.clip for the range")
        return Traced(self.proxy.long(), self.root) if np.issubdtype(kind, np.integer) else self

    def sum(self, axis: Any = None, keepdims: bool = False) -> "Traced":
        """The sum over axes."""
        return call(torch.sum, self, axis, keepdim=keepdims)

    def reshape(self, *shape: Any) -> "Traced":
        """Another shape."""
        return call(torch.reshape, self, shape[0] if len(shape) == 1 else shape)


def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Traced:
    """A torch call on arguments, words among them."""
    own = next(_words(arguments))
    plain = tuple(_plain(own, each) for each in arguments)
    made = cast(Any, own.proxy.tracer).create_proxy("call_function", function, plain, options)
    return Traced(made, own.root)


def unknown(what: str, *options: str) -> InputError:
    """A call that no operation stands for."""
    found = what + (f" with {', '.join(options)}" if options else "")
    return InputError("preprocess", f"{found}, for which there is no operation", "", HINT)


def _words(arguments: Sequence[Any]) -> Iterator[Traced]:
    for each in arguments:
        if isinstance(each, Traced):
            yield each
        elif isinstance(each, list):
            yield from _words(cast(list[Any], each))


def _plain(own: Traced, value: Any) -> Any:
    """An argument of a torch call: words by their proxies, arrays by a buffer's."""
    if isinstance(value, Traced):
        return value.proxy
    if isinstance(value, list):
        return [_plain(own, each) for each in cast(list[Any], value)]
    if isinstance(value, tuple):
        return tuple(_plain(own, each) for each in cast(tuple[Any, ...], value))
    if not isinstance(value, np.ndarray | np.generic):
        return value
    if not value.ndim:
        return cast(Any, value).item()
    name = f"constant{len(list(own.root.buffers()))}"
    own.root.register_buffer(name, torch.tensor(np.asarray(value, np.float64)))
    return cast(Any, own.proxy.tracer).create_proxy("get_attr", name, (), {})


def _power(places: Any, sign: int) -> Any:
    """Two to the number of places that a word is shifted by."""
    if isinstance(places, Traced):
        raise unknown("a shift by a word")
    return np.ldexp(1.0, sign * np.asarray(places))


def _ordered(one: Any, other: Any) -> tuple[Traced, Any]:
    """Operands of a symmetric call, words first."""
    return (one, other) if isinstance(one, Traced) else (other, one)


def _divided(one: Any, other: Any) -> Traced:
    return call(torch.div, one, other)


def _shifted(one: Any, other: Any, sign: int) -> Traced:
    if not isinstance(one, Traced):
        raise unknown("a shift by a word")
    return one >> other if sign < 0 else one << other


def _clip(words: Traced, a_min: Any = None, a_max: Any = None) -> Traced:
    return words.clip(a_min, a_max)


def _concatenate(arrays: Sequence[Any], axis: int = 0) -> Traced:
    return call(torch.cat, list(arrays), axis)


def _stack(arrays: Sequence[Any], axis: int = 0) -> Traced:
    return call(torch.stack, list(arrays), axis)


def _expand_dims(words: Traced, axis: int) -> Traced:
    return call(torch.unsqueeze, words, axis)


#: What numpy calls on single numbers become.
UNARY: Mapping[str, Callable[[Traced], Traced]] = {
    "negative": lambda words: -words,
    "square": lambda words: words * words,
    "floor": lambda words: words.floor(),
}
BINARY: Mapping[str, Callable[[Any, Any], Traced]] = {
    "add": lambda one, other: call(operator.add, one, other),
    "subtract": lambda one, other: call(operator.sub, one, other),
    "multiply": lambda one, other: call(operator.mul, one, other),
    "divide": _divided,
    "floor_divide": lambda one, other: _divided(one, other).floor(),
    "right_shift": lambda one, other: _shifted(one, other, -1),
    "left_shift": lambda one, other: _shifted(one, other, 1),
    "maximum": lambda one, other: Traced.larger(*_ordered(one, other)),
    "minimum": lambda one, other: Traced.smaller(*_ordered(one, other)),
}
#: What numpy calls on whole arrays become.
FUNCTIONS: Mapping[str, Callable[..., Traced]] = {
    "clip": _clip,
    "concatenate": _concatenate,
    "stack": _stack,
    "sum": Traced.sum,
    "expand_dims": _expand_dims,
    "reshape": Traced.reshape,
}
