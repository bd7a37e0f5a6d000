"""The number format and its integer reference, against python's own fractions."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from codesign.errors import InputError
from codesign.fixed import MAX_WIDTH, Codes, Fixed, quantize, requantize, smallest_format
from tests.strategies import element_formats, formats, quantized_code

REALS = st.floats(-1e6, 1e6) | st.integers(-300, 300).map(lambda number: number / 8)
ROUNDINGS = st.sampled_from(["floor", "nearest_even"])
SHAPE = (2, 3)


def exact(codes: Codes) -> list[Fraction]:
    """The values of codes, each with its own binary point."""
    values, fractions = np.broadcast_arrays(codes.values, codes.fraction)
    return [
        int(value) * Fraction(2) ** -int(fraction) for value, fraction in zip(values.flat, fractions.flat, strict=True)
    ]


@given(st.booleans(), st.integers(0, MAX_WIDTH), st.integers(-60, 60))
def test_range_and_fraction(signed: bool, width: int, integer: int) -> None:
    assume(not (signed and width == 1))
    fixed = Fixed(signed, width, integer)
    assert fixed.fraction == width - integer
    assert fixed.high - fixed.low + 1 == 2**width
    assert fixed.low == (-(2 ** (width - 1)) if signed and width else 0)
    assert all(type(bits) is int for bits in (fixed.low, fixed.high, fixed.fraction))


@given(element_formats(SHAPE))
def test_arrays_are_the_formats_of_their_elements(fixed: Fixed) -> None:
    for index in np.ndindex(SHAPE):
        element = Fixed(fixed.signed, int(fixed.width[index]), int(fixed.integer[index]))
        found = (fixed.low[index], fixed.high[index], fixed.fraction[index])
        assert found == (element.low, element.high, element.fraction)


@given(element_formats(SHAPE))
def test_envelope_holds_every_value_and_no_smaller_one_does(fixed: Fixed) -> None:
    whole = fixed.envelope()
    used = np.asarray(fixed.width) > 0
    lows, highs = exact(Codes(fixed.low, fixed.fraction)), exact(Codes(fixed.high, fixed.fraction))
    lsb = Fraction(2) ** -int(whole.fraction)
    assert int(whole.low) * lsb <= min(lows) <= max(highs) <= int(whole.high) * lsb
    if not used.any():
        assert whole == Fixed(fixed.signed, 0, 0)
        return
    assert int(whole.fraction) == max(np.asarray(fixed.fraction)[used])
    assert int(whole.integer) == max(np.asarray(fixed.integer)[used])


@given(formats().filter(lambda fixed: fixed.width > 0))
def test_envelope_of_one_format_is_itself(fixed: Fixed) -> None:
    assert fixed.envelope() == fixed
    spread = Fixed(fixed.signed, np.full(SHAPE, fixed.width), fixed.integer)
    assert spread.envelope() == fixed


def test_equality() -> None:
    fixed = Fixed(True, 8, 3)
    assert fixed == Fixed(True, 8, 3)
    assert Fixed(True, np.array([8, 4]), 3) == Fixed(True, np.array([8, 4]), 3)
    others = [Fixed(False, 8, 3), Fixed(True, 9, 3), Fixed(True, 8, 4), Fixed(True, np.array([8, 8]), 3), "fixed<8,3>"]
    assert all(fixed != other for other in others)
    with pytest.raises(TypeError):
        hash(fixed)


def test_text() -> None:
    assert str(Fixed(True, 8, 3)) == "fixed<8,3>"
    assert str(Fixed(False, 5, -2)) == "ufixed<5,-2>"
    assert str(Fixed(True, np.array([2, 0, 6]), np.array([1, 0, 2]))) == "fixed<0..6,0..2>"
    assert str(Fixed(True, np.array([2, 6]), 1)) == "fixed<2..6,1..1>"


@pytest.mark.parametrize(
    ("signed", "width"), [(True, 1), (True, -1), (False, -1), (True, 54), (False, 54), (True, np.array([4, 1]))]
)
def test_bad_widths(signed: bool, width: int) -> None:
    with pytest.raises(InputError, match=r"width.*0 to 53 bits"):
        Fixed(signed, width, 0)


@given(st.lists(REALS, min_size=1, max_size=8), formats(), ROUNDINGS)
def test_quantize_is_rounding_and_saturation_by_definition(values: list[float], fixed: Fixed, rounding: str) -> None:
    codes = quantize(np.array(values), fixed, rounding)
    width, integer = int(fixed.width), int(fixed.integer)
    wanted = [quantized_code(Fraction(value), fixed.signed, width, integer, rounding) for value in values]
    assert codes.values.tolist() == wanted
    assert codes.values.dtype == np.int64
    assert codes.fraction == fixed.fraction


@given(st.lists(REALS, min_size=6, max_size=6), element_formats(SHAPE), ROUNDINGS)
def test_quantize_per_element(values: list[float], fixed: Fixed, rounding: str) -> None:
    codes = quantize(np.reshape(values, SHAPE), fixed, rounding)
    bits = zip(values, fixed.width.flat, fixed.integer.flat, strict=True)
    wanted = [quantized_code(Fraction(v), fixed.signed, int(w), int(i), rounding) for v, w, i in bits]
    assert codes.values.reshape(-1).tolist() == wanted


@given(st.integers(2, MAX_WIDTH), st.booleans(), st.floats(-4, 4), ROUNDINGS)
def test_quantize_of_wide_formats(width: int, signed: bool, value: float, rounding: str) -> None:
    found = quantize(np.array([value]), Fixed(signed, width, 2), rounding).values.tolist()
    assert found == [quantized_code(Fraction(value), signed, width, 2, rounding)]


@given(st.lists(REALS, min_size=1, max_size=8), formats(), ROUNDINGS, ROUNDINGS)
def test_quantize_is_idempotent(values: list[float], fixed: Fixed, first: str, second: str) -> None:
    once = quantize(np.array(values), fixed, first)
    again = quantize(once.real(), fixed, second)
    assert again.values.tolist() == once.values.tolist()
    assert requantize(once, fixed).values.tolist() == once.values.tolist()


@pytest.mark.parametrize("rounding", ["floor", "nearest_even"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_quantize_refuses_what_is_no_number(bad: float, rounding: str) -> None:
    with pytest.raises(InputError, match="2 values that are NaN or infinite"):
        quantize(np.array([0.0, bad, 1.0, bad]), Fixed(True, 8, 3), rounding)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=8), st.integers(-8, 30), formats())
def test_requantize_is_the_floor_of_the_exact_value(values: list[int], fraction: int, fixed: Fixed) -> None:
    found = requantize(Codes(np.array(values), fraction), fixed)
    exacts = [value * Fraction(2) ** -fraction for value in values]
    bits = (fixed.signed, int(fixed.width), int(fixed.integer), "floor")
    assert found.values.tolist() == [quantized_code(value, *bits) for value in exacts]
    assert found.fraction == fixed.fraction


@given(
    st.lists(st.integers(-(2**62), 2**62 - 1), min_size=1, max_size=8),
    st.integers(-20, 60),
    st.builds(Fixed, st.booleans(), st.integers(2, MAX_WIDTH), st.integers(-30, 30)),
)
def test_requantize_saturates_what_no_shift_can_hold(values: list[int], fraction: int, fixed: Fixed) -> None:
    found = requantize(Codes(np.array(values), fraction), fixed).values.tolist()
    bits = (fixed.signed, int(fixed.width), int(fixed.integer), "floor")
    assert found == [quantized_code(value * Fraction(2) ** -fraction, *bits) for value in values]


@given(st.lists(st.integers(-(2**30), 2**30), min_size=6, max_size=6), element_formats(SHAPE), element_formats(SHAPE))
def test_requantize_per_element(values: list[int], before: Fixed, after: Fixed) -> None:
    codes = Codes(np.reshape(values, SHAPE), before.fraction)
    found = requantize(codes, after).values.reshape(-1).tolist()
    bits = zip(exact(codes), after.width.flat, after.integer.flat, strict=True)
    assert found == [quantized_code(value, after.signed, int(w), int(i), "floor") for value, w, i in bits]


@given(element_formats(SHAPE), st.integers(0, 5), st.data())
def test_align_and_real_change_no_value(fixed: Fixed, finer: int, data: st.DataObject) -> None:
    drawn = [
        data.draw(st.integers(int(low), int(high))) for low, high in zip(fixed.low.flat, fixed.high.flat, strict=True)
    ]
    codes = Codes(np.reshape(drawn, SHAPE), fixed.fraction)
    aligned = codes.align()
    assert np.ndim(aligned.fraction) == 0
    assert exact(aligned) == exact(codes)
    assert exact(codes.align(int(aligned.fraction) + finer)) == exact(codes)
    assert [Fraction(float(real)) for real in codes.real().flat] == exact(codes)


@given(st.booleans(), st.integers(-50, 50), st.data())
def test_real_is_exact_at_every_width(signed: bool, fraction: int, data: st.DataObject) -> None:
    fixed = Fixed(signed, MAX_WIDTH, MAX_WIDTH - fraction)
    code = data.draw(st.integers(int(fixed.low), int(fixed.high)))
    real = Codes(np.array([code]), fraction).real()
    assert Fraction(float(real[0])) == code * Fraction(2) ** -fraction


@given(st.integers(-(2**50), 2**50), st.integers(0, 2**50), st.integers(-60, 60))
def test_smallest_format_is_smallest(low: int, span: int, fraction: int) -> None:
    high = low + span
    fixed = smallest_format(low, high, fraction)
    assert fixed.fraction == fraction
    assert fixed.low <= low <= high <= fixed.high
    assert fixed.signed == (low < 0)
    narrower = fixed.width - 1
    if narrower > (1 if fixed.signed else -1):
        less = Fixed(fixed.signed, narrower, narrower - fraction)
        assert low < less.low or high > less.high


def test_smallest_format_of_nothing_and_of_too_much() -> None:
    assert smallest_format(0, 0, 7) == Fixed(False, 0, -7)
    assert smallest_format(-1, 0, 0) == Fixed(True, 2, 2)
    assert smallest_format(0, 2**53 - 1, 0).width == 53
    with pytest.raises(InputError, match="54"):
        smallest_format(0, 2**53, 0)
    with pytest.raises(InputError, match="54"):
        smallest_format(-(2**53), 0, 0)


@given(REALS, st.integers(-4, 8))
def test_floor_is_never_above(value: float, fraction: int) -> None:
    codes = quantize(np.array([value]), Fixed(True, 53, 53 - fraction), "floor")
    assert codes.values[0] == floor(Fraction(value) * Fraction(2) ** fraction)
    assert 0 <= Fraction(value) - exact(codes)[0] < Fraction(2) ** -fraction
