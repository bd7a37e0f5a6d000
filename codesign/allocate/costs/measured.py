"""What synthesis gave, between the points that were measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, cast

import numpy as np

from codesign.allocate.costs._cost import Cost, Measurement, Part
from codesign.errors import InputError

#: A value at widths of weights and activation; NaN where nothing is known.
Table = Callable[[int, int], float]


@dataclass(frozen=True)
class Measured(Cost):
    """A table of measurements per layer and pair of widths, interpolated linearly; nothing outside of them.

    The unit is that of the table: LUTs, cycles, watts. A layer whose channels differ in width counts as its widest.

    Source: the user's own synthesis runs (CSV, see ``docs/reference/costs.md``); between the points, linear
    interpolation on a Delaunay triangulation (``scipy.interpolate.LinearNDInterpolator``). What tables of single
    layers do not show is left out: sharing between layers, and what it takes to connect them.
    """

    unit: ClassVar[str] = "as measured"
    by_channel: ClassVar[bool] = False

    @cached_property
    def tables(self) -> dict[str, Table]:
        """The table of each measured layer."""
        rows: dict[str, list[Measurement]] = {}
        for row in self.hardware.measurements:
            rows.setdefault(row.layer, []).append(row)
        return {layer: _table(found) for layer, found in rows.items()}

    def part(self, part: Part) -> float:
        """The layer's value.

        Raises:
            InputError: It was not measured, or not around these widths.
        """
        if part.node not in self.tables:
            raise InputError(
                f"cost measured, layer {part.node!r}",
                "no measurement",
                "one at least of every layer",
                f"measured: {', '.join(self.tables)}"
                if self.tables
                else "name a table: allocate.measurements=FILE.csv",
            )
        value = self.tables[part.node](part.weight_bits, part.activation_bits)
        if np.isnan(value):
            raise InputError(
                f"cost measured, layer {part.node!r}",
                f"{part.weight_bits} weight bits and {part.activation_bits} activation bits, outside the measured ones",
                f"widths between the measured ones, (weight, activation): {self._points(part.node)}",
                "measure there too, or allow fewer widths",
            )
        return value

    def _points(self, layer: str) -> str:
        rows = sorted(
            (row.weight_bits, row.activation_bits) for row in self.hardware.measurements if row.layer == layer
        )
        return ", ".join(map(str, rows))


def _table(rows: Sequence[Measurement]) -> Table:
    """Interpolation between the rows of one layer; the rows themselves are exact."""
    known = {(row.weight_bits, row.activation_bits): row.value for row in rows}
    points = np.array(list(known), np.float64)
    away = points - points[0]
    between = _on_line(known) if np.linalg.matrix_rank(away) < 2 else _in_plane(known)
    return lambda weight, activation: known[pair] if (pair := (weight, activation)) in known else between(*pair)


def _on_line(known: dict[tuple[int, int], float]) -> Table:
    """Where all points lie on one line, between its ends."""
    points = sorted(known)
    (first, start), (last, end) = points[0], points[-1]
    along = [(weight - first) * (last - first) + (activation - start) * (end - start) for weight, activation in points]

    def value(weight: int, activation: int) -> float:
        beside = (weight - first) * (end - start) - (activation - start) * (last - first)
        place = (weight - first) * (last - first) + (activation - start) * (end - start)
        if beside or not along[0] <= place <= along[-1] or len(points) == 1:
            return np.nan
        return float(np.interp(place, along, [known[point] for point in points]))

    return value


def _in_plane(known: dict[tuple[int, int], float]) -> Table:
    """Within the outline of the points."""
    from scipy import interpolate

    make = cast("Callable[..., Callable[[int, int], Any]]", interpolate.LinearNDInterpolator)  # pyright: ignore[reportUnknownMemberType]
    surface = make(np.array(list(known), np.float64), np.array(list(known.values())))
    return lambda weight, activation: float(surface(weight, activation))
