"""Rows of the CSV file, and the coefficients that fit them."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares, nnls

from codesign.allocate.costs import Part
from codesign.allocate.costs.rtl_lut import digit_bits, weight_bits
from codesign.estimate.model.fit import Error, Fit
from codesign.estimate.model.hardware import Placed, levels, node_lut, pipeline_stages, registered, shared
from codesign.estimate.model.terms import Terms
from codesign.hdl.families import FamilyName

FAMILY: FamilyName = "xcup"
#: Networks from this number on are held out: they were drawn after the model's form was settled on those before.
HELD_OUT = 128
#: Powers that are tried, and digits of coefficients.
SHARING, THINNING, DIGITS = np.arange(17) / 40, np.arange(1, 17) / 2, 4
#: Logarithm of a ratio from which on it counts less, and coefficients that are zero.
SCALE, NOTHING = 0.1, 1e-6


@dataclass(frozen=True)
class Row:
    """One network: what is known of it before synthesis, and what synthesis gave.

    Args:
        network: Its number.
        stage_levels: Levels of adders in a pipeline stage.
        ports: Bits that go in and come out.
        terms: Of its operations, one after another.
        parts: What costs see of it.
        cost_lut: The cost ``lut``.
        alkaid_lut: alkaid's own estimate, after tracing.
        latency_cycles, lut, ff, carry: What was made, counted.
        seconds: Time of tracing, writing and synthesis.
        yosys, alkaid: Versions.
    """

    network: int
    stage_levels: int
    ports: float
    terms: tuple[Terms, ...]
    parts: tuple[Part, ...]
    cost_lut: float
    alkaid_lut: float
    latency_cycles: int
    lut: int
    ff: int
    carry: int
    seconds: float
    yosys: str
    alkaid: str


#: Columns with a number for each operation, or for each layer with weights, with spaces between them.
TERMS = [field.name for field in fields(Terms)]
PARTS = ["channels", "fan_in", "weight_bits", "activation_bits", "nonzero"]
PLAIN = [field.name for field in fields(Row) if field.name not in ("terms", "parts")]
COLUMNS = [*PLAIN[:3], *TERMS, *(f"part_{name}" for name in PARTS), *PLAIN[3:]]


def write_rows(file: Path, rows: Sequence[Row]) -> None:
    """Write all rows, by number."""
    partial = file.with_suffix(".partial")
    with partial.open("w", newline="") as out:
        table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        table.writeheader()
        for row in sorted(rows, key=lambda row: row.network):
            plain = {name: getattr(row, name) for name in PLAIN}
            terms = {name: " ".join(f"{getattr(each, name):.10g}" for each in row.terms) for name in TERMS}
            parts = {f"part_{name}": " ".join(str(getattr(each, name)) for each in row.parts) for name in PARTS}
            table.writerow(plain | terms | parts)
    partial.replace(file)


def read_rows(file: Path) -> list[Row]:
    """Rows that are there; none without a file."""
    if not file.is_file():
        return []
    with file.open(newline="") as given:
        return [_row(each) for each in csv.DictReader(given)]


def _row(given: dict[str, str]) -> Row:
    kinds = {field.name: field.type for field in (*fields(Row), *fields(Terms))}

    def typed(name: str, text: str) -> Any:
        return {int: int, float: float, str: str}[kinds[name]](text)  # type: ignore[index]

    lists = zip(*([typed(name, text) for text in given[name].split()] for name in TERMS), strict=True)
    sizes = zip(*([int(text) for text in given[f"part_{name}"].split()] for name in PARTS), strict=True)
    parts = (Part("fc", "linear", positions=1, **dict(zip(PARTS, each, strict=True))) for each in sizes)
    plain = {name: typed(name, given[name]) for name in PLAIN}
    return Row(terms=tuple(Terms(*each) for each in lists), parts=tuple(parts), **plain)


def fit_rows(rows: Sequence[Row]) -> Fit:
    """Coefficients from the first rows, and their errors on those held out."""
    known, unknown = ([row for row in rows if (row.network >= HELD_OUT) == out] for out in (False, True))
    lut = np.array([row.lut for row in known], float)
    ff = np.array([row.ff for row in known], float)

    def adders(sharing: float) -> list[list[float]]:
        return [[sum(shared(t, sharing) for t in row.terms), sum(t.cut for t in row.terms)] for row in known]

    def registers(thinning: float) -> list[list[float]]:
        return [[_registers(row, *slow, thinning)[1]] for row in known]

    # Between the last register of sums and that of outputs, half a stage is free, on average.
    cycles = np.array([row.latency_cycles for row in known], float)
    units = ((1, 0), (0, 1))
    depths = [[sum(levels(t, *unit) for t in row.terms) / row.stage_levels for unit in units] for row in known]
    _, slow = _solve(lambda _: depths, cycles, 1.5)
    sharing, (per_sum, per_cut) = _solve(adders, lut, powers=SHARING)
    fixed = np.array([_registers(row, *slow, 1.0)[0] for row in known])
    thinning, (per_registered,) = _solve(registers, ff, fixed, THINNING)
    _, (per_bit, per_weight) = _solve(lambda _: [_part_terms(row) for row in known], lut)
    versions = {(row.yosys, row.alkaid) for row in rows}
    (yosys, alkaid), nothing = versions.pop(), Error(0.0, 0.0)
    if versions:
        raise SystemExit(f"rows of several versions of Yosys and alkaid: {versions}")
    fit = Fit(
        FAMILY, yosys, alkaid, len(known), len(unknown), max(row.lut for row in rows),
        per_sum, sharing, per_cut, *slow, per_registered, thinning,
        per_bit, per_weight, nothing, nothing, nothing, nothing,
    )  # fmt: skip
    return errors(fit, unknown)


def errors(fit: Fit, rows: Sequence[Row]) -> Fit:
    """The fit with its errors on these rows."""
    predictions = [predict(fit, row) for row in rows]
    found = {
        name: error([each[name] for each in predictions], [getattr(row, counted) for row in rows])
        for name, counted in (("lut", "lut"), ("ff", "ff"), ("latency_cycles", "latency_cycles"), ("part_lut", "lut"))
    }
    return replace(fit, **found)


def predict(fit: Fit, row: Row) -> dict[str, float]:
    """What the fit says of a row, by name of its error."""
    slow = fit.levels_per_doubling, fit.levels_per_bit
    fixed, left = _registers(row, *slow, fit.thinning)
    bit, weight = _part_terms(row)
    return {
        "lut": sum(node_lut(terms, fit) for terms in row.terms),
        "ff": fixed + fit.ff_per_sum * left,
        "latency_cycles": pipeline_stages(_chain(row, *slow), row.stage_levels) + 1,
        "part_lut": fit.part_per_bit * bit + fit.part_per_weight * weight,
    }


def error(predicted: Sequence[float], counted: Sequence[float]) -> Error:
    """Relative error, its median and its 90 % quantile, to a tenth of a percent."""
    off = np.abs(np.array(predicted, float) / np.array(counted, float) - 1)
    return Error(round(float(np.median(off)), 3), round(float(np.quantile(off, 0.9)), 3))


def _chain(row: Row, per_doubling: float, per_bit: float) -> list[Placed]:
    placed, start = list[Placed](), 0.0
    for terms in row.terms:
        placed.append(Placed(terms, start, start + levels(terms, per_doubling, per_bit)))
        start = placed[-1].end
    return placed


def _registers(row: Row, per_doubling: float, per_bit: float, thinning: float) -> tuple[float, float]:
    placed = _chain(row, per_doubling, per_bit)
    stages = pipeline_stages(placed, row.stage_levels)
    return row.ports + stages + 1, registered(placed, stages, thinning)


def _part_terms(row: Row) -> list[float]:
    return [sum(map(digit_bits, row.parts)), sum(map(weight_bits, row.parts))]


def _solve(
    terms: Callable[[float], Sequence[Sequence[float]]],
    wanted: np.ndarray,
    known: float | np.ndarray = 0.0,
    powers: Sequence[float] | np.ndarray = (0.0,),
) -> tuple[float, list[float]]:
    """The power and the coefficients, none negative, whose sums on top of what is known are nearest to what is wanted.

    Near by their ratio: least squares of its logarithm, beyond ``SCALE`` nearly its absolute value, so that a few
    networks that are like no others do not decide.
    """
    found: list[tuple[float, float, list[float]]] = []
    for power in powers:
        made = np.array(terms(power))
        start = np.maximum(nnls(made / wanted[:, np.newaxis], 1 - known / wanted)[0], 0.01)
        fit = least_squares(
            lambda x, made=made: np.log((known + made @ x) / wanted), start, bounds=(0, np.inf), loss="soft_l1",
            f_scale=SCALE, xtol=1e-12, ftol=1e-12, gtol=1e-12,
        )  # fmt: skip
        found.append((fit.cost, float(power), fit.x.tolist()))
    _, power, coefficients = min(found)
    return power, [float(f"{each:.{DIGITS}g}") if each > NOTHING else 0.0 for each in coefficients]
