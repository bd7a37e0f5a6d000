"""The coefficients are those of the committed rows, the rows those of the code, and the errors those of the product."""

import sys
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest

from codesign.estimate.model.fit import Error, read_fit
from codesign.estimate.model.hardware import estimate

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
sys.path.append(str(BENCHMARKS))

import estimates  # noqa: E402
from estimates_fit import HELD_OUT, Row, fit_rows, read_rows, write_rows  # noqa: E402
from estimates_networks import draw  # noqa: E402

ROWS = read_rows(BENCHMARKS / "estimates.csv")
OUT = [row for row in ROWS if row.network >= HELD_OUT]


def test_rows_are_many_and_each_counts_once() -> None:
    assert len({row.network for row in ROWS}) == len(ROWS) >= 200
    fit = read_fit()
    assert (fit.fitted, fit.held_out) == (len(ROWS) - len(OUT), len(OUT))
    assert len(OUT) >= 50


def test_coefficients_are_those_of_the_rows() -> None:
    assert asdict(fit_rows(ROWS)) == asdict(read_fit())


def test_coefficients_depend_on_the_rows() -> None:
    """The comparison can fail."""
    some = [row for row in ROWS if row.network % 5]
    assert asdict(fit_rows(some)) != asdict(read_fit())


def test_no_coefficient_is_negative() -> None:
    fit = read_fit()
    assert all(value >= 0 for value in asdict(fit).values() if isinstance(value, float))
    assert fit.lut_per_sum > 0
    assert fit.part_per_bit > 0


def test_rows_are_of_the_networks_that_are_drawn(tmp_path: Path) -> None:
    """What the code finds in each network now is what the file says."""
    counted = [field.name for field in fields(Row)]
    again: list[Row] = []
    for row in ROWS:
        found = estimates.known(draw(row.network))
        again.append(Row(**{name: found.get(name, getattr(row, name)) for name in counted}))
    write_rows(tmp_path / "again.csv", again)
    assert (tmp_path / "again.csv").read_text() == (BENCHMARKS / "estimates.csv").read_text()


@pytest.mark.parametrize(("name", "counted"), [("lut", "lut"), ("ff", "ff"), ("latency_cycles", "latency_cycles")])
def test_errors_are_those_of_the_product_on_networks_held_out(name: str, counted: str) -> None:
    off: list[float] = []
    for row in OUT:
        drawn = draw(row.network)
        off.append(abs(getattr(estimate(drawn.quantized, drawn.stage_levels), name) / getattr(row, counted) - 1))
    stated: Error = getattr(read_fit(), name)
    assert stated.median == pytest.approx(np.median(off), abs=5.1e-4)
    assert stated.most == pytest.approx(np.quantile(off, 0.9), abs=5.1e-4)


def test_the_error_of_the_cost_is_that_on_networks_held_out() -> None:
    from codesign.allocate.costs.rtl_lut import part_lut

    off = [abs(sum(map(part_lut, row.parts)) / row.lut - 1) for row in OUT]
    assert read_fit().part_lut == Error(round(float(np.median(off)), 3), round(float(np.quantile(off, 0.9)), 3))


def test_rows_are_read_as_they_are_written(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", ROWS[::-1])
    assert read_rows(tmp_path / "rows.csv") == ROWS
    assert read_rows(tmp_path / "none.csv") == []


def test_the_docs_state_the_errors() -> None:
    docs, fit = BENCHMARKS.parent / "docs/reference", read_fit()
    rtl = (docs / "rtl.md").read_text()
    assert f"{len(ROWS)} syntheses" in rtl
    for name, stated in (("lut", fit.lut), ("ff", fit.ff), ("latency_cycles", fit.latency_cycles)):
        assert f"| `estimated_{name}` | {stated} |" in rtl
    assert all(str(fit.part_lut) in text for text in (rtl, (docs / "costs.md").read_text()))


def test_the_words_of_an_error() -> None:
    assert str(Error(0.084, 0.172)) == "median error 8 %, 90 % within 17 %"
