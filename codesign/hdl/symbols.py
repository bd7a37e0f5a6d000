"""Integer codes that are wires: numpy arrays of alkaid's variables, on which every integer forward runs as it stands.

The one place where numpy's functions meet alkaid's. What alkaid's arrays take is left to them; here is what they do not
take, or take in another sense than integers have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.arrays import IntArray
from codesign.hdl.alkaid import FVariable, FVArray, HWConfig

Values = npt.NDArray[Any]
#: A single wire, and an array of them.
Variable = Array = Any

#: Bits in which alkaid's solver, its added constants and its tables hold numbers.
WEIGHT_BITS, CONSTANT_BITS, TABLE_BITS = 24, 31, 16


class LimitError(Exception):
    """alkaid does not hold a number.

    Args:
        found: What was found.
        wanted: What it holds.
    """

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(f"{found}, wanted {wanted}")
        self.found, self.wanted = found, wanted


class Symbols(FVArray):
    """Codes of a tensor, each a variable with its own range and step; numpy's functions build the circuit."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Shifts and matrix products are as for integers."""
        if ufunc in _LIMITED:
            _require_bits(inputs, _LIMITED[ufunc])
        if method == "__call__" and ufunc in _UFUNCS:
            return self._as_symbols(_UFUNCS[ufunc](*inputs))
        return self._as_symbols(FVArray.__array_ufunc__(self, ufunc, method, *inputs, **options))

    def __array_function__(self, func: Any, types: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Reading a table is as for integers."""
        if func in _FUNCTIONS:
            return self._as_symbols(_FUNCTIONS[func](*args, **kwargs))
        return self._as_symbols(FVArray.__array_function__(self, func, types, args, kwargs))

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Symbols:
        """Themselves: a symbol has no other type."""
        return self

    def _as_symbols(self, found: Any) -> Any:
        """Whatever the library gives: arrays of its own, bare variables for single elements, plain arrays."""
        if isinstance(found, FVariable):
            found = FVArray(np.array(found, object), self.solver_options, self.hwconf)
        return found.view(Symbols) if isinstance(found, FVArray) else found


def symbols(low: IntArray, high: IntArray) -> Symbols:
    """Codes of an input.

    Args:
        low: Smallest codes, ``[batch, ...]``.
        high: Largest codes, of the same shape.
    """
    # Adders of any width for one unit of delay; products are adder graphs at most 2 adders deeper than the least.
    # Its tables for inputs of one bit fail where such an input is negated.
    config, options = HWConfig(1, -1, -1), {"hard_dc": 2, "binary_lut": False}
    return FVArray.from_lhs(low, high, np.ones(low.shape), config, 0.0, options).view(Symbols)


def ends(values: Values) -> list[tuple[int, int]]:
    """The smallest and the largest code that each element can have, in C order."""
    variables: list[Variable] = np.asarray(values, object).reshape(-1).tolist()
    return [(int(variable.low), int(variable.high)) for variable in variables]


def _each(function: Callable[..., Variable], x: Symbols, *others: Any) -> Array:
    """A function of single variables, and of numbers that broadcast against them."""
    arrays = np.broadcast_arrays(np.asarray(x), *others)
    found = [function(*each) for each in zip(*(array.reshape(-1).tolist() for array in arrays), strict=True)]
    result = np.empty(len(found), object)
    result[:] = found
    return FVArray(result.reshape(arrays[0].shape), x.solver_options, x.hwconf)


def _up(x: Symbols, places: Any) -> Array:
    return _each(_scaled, x, places)


def _down(x: Symbols, places: Any) -> Array:
    return _each(_floored, x, places)


def _scaled(variable: Variable, shift: int) -> Variable:
    return variable * 2.0**shift


def _floored(variable: Variable, shift: int) -> Variable:
    """What is behind the binary point is dropped; nothing overflows, as the integer bits stay."""
    moved = variable * 2.0**-shift
    signed, integer, _ = moved.kif
    return moved.quantize(signed, max(integer, 1 - signed), 0)


def _product(left: Any, right: Any) -> Array:
    """Matrix products over stacks of matrices; alkaid has them for single ones, symbols first."""
    x = left if isinstance(left, Symbols) else right
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    lefts, rights = (np.broadcast_to(np.asarray(each), (*stack, *each.shape[-2:])) for each in (left, right))
    found = np.empty((*stack, left.shape[-2], right.shape[-1]), object)
    for place in np.ndindex(stack):
        if x is left:
            found[place] = [_combined(row, rights[place], x) for row in lefts[place]]
        else:
            found[place] = np.transpose([_combined(column, lefts[place].T, x) for column in rights[place].T])
    return FVArray(found, x.solver_options, x.hwconf)


def _combined(row: Values, matrix: Values, like: Symbols) -> Values:
    """``row @ matrix``; alkaid does not take products in which nothing varies, as of padding."""
    if not np.any(matrix[[variable.low != variable.high for variable in row]]):
        return np.array([int(variable.low) for variable in row], object) @ matrix
    return np.asarray(FVArray(row, like.solver_options, like.hwconf) @ matrix)


def _clipped(x: Symbols, low: IntArray, high: IntArray) -> Array:
    _require_bits([low, high], CONSTANT_BITS)
    return _each(_saturated, x, low, high)


def _saturated(variable: Variable, low: int, high: int) -> Variable:
    """Within ``low`` and ``high``: above ``2^k - 1`` a code is known by any higher bit, which takes no subtraction."""
    raised = variable.max_of(low)
    bits = high.bit_length()
    # alkaid mixes up steps where a choice is between a constant and a single bit that is shifted.
    if raised.low < 0 or raised.high <= high or high + 1 != 1 << bits or raised.step != 1:
        return raised.min_of(high)
    above = raised.quantize(0, raised.kif[1], -bits).unary_bit_op("any")
    return above.msb_mux(high, raised.quantize(0, bits, 0))


def _taken(table: IntArray, index: Symbols, axis: int) -> Array:
    def entries(values: Values) -> Values:
        return table[values.astype(np.int64)]

    return _each(partial(_tabulated, entries), index)


def _reached(thresholds: npt.NDArray[np.float64], x: Symbols, side: Any = "left") -> Array:
    def counts(values: Values) -> Values:
        return np.searchsorted(thresholds, values, side)

    return _each(partial(_tabulated, counts), x)


def _tabulated(function: Callable[[Values], Values], variable: Variable) -> Variable:
    """A function of one variable, from its value at every one that the variable can have."""
    if variable.low == variable.high:
        return FVariable.from_const(float(function(np.array([float(variable.low)]))[0]), variable.hwconf)
    low, high, step = float(variable.low), float(variable.high), float(variable.step)
    count = round((high - low) / step) + 1
    if count > 2**TABLE_BITS:
        raise LimitError(f"a table of {count:,} entries", f"at most {2**TABLE_BITS:,}")
    table = function(low + step * np.arange(count))
    _require_bits([table], WEIGHT_BITS)
    return variable.lookup(table.astype(np.float64))


def _require_bits(operands: Sequence[Any], most: int) -> None:
    """Refuse constants with more bits, zeros at the end left out.

    Raises:
        LimitError: There is one.
    """
    for each in operands:
        if not isinstance(each, FVArray):
            mantissas, _ = np.frexp(np.asarray(each, np.float64))
            whole = np.abs(np.ldexp(mantissas, 53).astype(np.int64))  # a float64 has 53 bits
            bits = int((whole // np.maximum(whole & -whole, 1)).max(initial=0)).bit_length()
            if bits > most:
                raise LimitError(f"a constant of {bits} bits", f"at most {most}")


_UFUNCS: dict[Any, Callable[..., Any]] = {
    np.left_shift: _up,
    np.ldexp: _up,
    np.right_shift: _down,
    np.matmul: _product,
}
_FUNCTIONS: dict[Any, Callable[..., Any]] = {np.clip: _clipped, np.take_along_axis: _taken, np.searchsorted: _reached}
_LIMITED: dict[Any, int] = {
    np.add: CONSTANT_BITS,
    np.subtract: CONSTANT_BITS,
    np.maximum: CONSTANT_BITS,
    np.minimum: CONSTANT_BITS,
    np.multiply: WEIGHT_BITS,
    np.matmul: WEIGHT_BITS,
}
