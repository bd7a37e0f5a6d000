"""Numbers in words."""

import pytest

from codesign.describe import amount


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.002, "0.002"),
        (3.25, "3.25"),
        (89.99, "89.99"),
        (350_000.0, "350,000"),
        (1234.56, "1,235"),
        (-2, "-2"),
    ],
)
def test_an_amount_keeps_the_digits_that_matter(value: float, text: str) -> None:
    assert amount(value) == text
