"""Power of a mapped netlist from what toggled in simulation, by the energies of the liberty file.

Per clock cycle, with ``a`` the toggles of a net, ``C`` the pins' capacitances on it and ``V`` the supply:

- switching: the sum of ``a C V**2 / 2`` over all nets, the clock's and the inputs' among them;
- internal: the sum over pins of ``a`` times the mean of the energies of a rise and a fall, each from the library's
  table at the slopes of the inputs and the load of the output; over related pins and conditions the mean is taken;
- leakage: the sum of the cells'.

Liberty User Guide, volume 1, chapter "Modeling Power"; energies are in units of capacitance times voltage squared.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codesign.errors import InputError, ToolError
from codesign.synthesize._liberty import Group
from codesign.synthesize._netlist import Cell, Netlist

Values = npt.NDArray[np.float64]

_PREFIXES = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}


@dataclass(frozen=True)
class Power:
    """In mW.

    Args:
        internal, switching, leakage: Its parts.
    """

    internal: float
    switching: float
    leakage: float

    @property
    def total(self) -> float:
        """Their sum."""
        return self.internal + self.switching + self.leakage


@dataclass(frozen=True)
class Units:
    """Of a library, in SI units."""

    volt: float
    farad: float
    watt: float
    second: float

    @classmethod
    def of(cls, library: Group) -> "Units":
        """The library's; what it does not say is as the Liberty User Guide has it."""
        said = library.attributes
        number, _, unit = said.get("capacitive_load_unit", "1,pf").lower().partition(",")
        return cls(
            _unit(said.get("voltage_unit", "1V")),
            _unit(number + unit.strip()),
            _unit(said.get("leakage_power_unit", "1nW")),
            _unit(said.get("time_unit", "1ns")),
        )


@dataclass(frozen=True)
class PowerModel:
    """A netlist with all that its power depends on but the toggles.

    Args:
        library: The library's power tables.
        cells: Its cells.
        netlist: The netlist.
        slopes: Times of rise and fall in ns, by ``instance/pin``.
        clock_ns: The clock period.
    """

    library: Group
    cells: Mapping[str, Cell]
    netlist: Netlist
    slopes: Mapping[str, tuple[float, float]]
    clock_ns: float

    def power(self, toggles: Values) -> Power:
        """Power for the toggles of each net in a clock cycle, ``[nets]``.

        Raises:
            InputError: The library has no supply voltage, or units that are none.
            ToolError: A slope is missing.
        """
        units, second = Units.of(self.library), self.clock_ns * 1e-9
        groups = {group.name: group for group in self.library.of("cell")}
        volt = self.library.numbers("nom_voltage")
        if not volt:
            raise InputError("liberty file", "no nom_voltage", "the supply that its energies are for")
        loads = self.netlist.loads(self.cells)
        charged = 0.5 * float(toggles @ loads) * (volt[0] * units.volt) ** 2
        energy, leakage = 0.0, 0.0
        for name, pins in self.netlist.connections.items():
            leakage += len(self.netlist.instances[name]) * _leakage(groups[name]) * units.watt
            for pin in groups[name].of("pin"):
                if pin.name in pins:
                    tables = self._energies(name, pin, loads, units.second)
                    energy += float(tables @ toggles[pins[pin.name]]) * units.volt**2
        return Power(energy * units.farad / second * 1e3, charged * units.farad / second * 1e3, leakage * 1e3)

    def _energies(self, cell: str, pin: Group, loads: Values, second: float) -> Values:
        """Mean energy of a toggle of a pin of every instance, ``[instances]``, in the library's unit."""
        pins, groups = self.netlist.connections[cell], list(pin.of("internal_power"))
        total = np.zeros(len(pins[pin.name]))
        for group in groups:
            named = group.attributes.get("related_pin", "").split()
            related = [each for each in named if each in pins] or [pin.name]
            slopes = np.mean([self._slopes(cell, each) for each in related], 0) * 1e-9 / second
            for table in (*group.of("rise_power"), *group.of("fall_power")):
                total += _look_up(self.library, table, loads[pins[pin.name]], slopes) / 2
            for table in group.of("power"):  # of both edges alike
                total += _look_up(self.library, table, loads[pins[pin.name]], slopes)
        return total / max(len(groups), 1)

    def _slopes(self, cell: str, pin: str) -> Values:
        """The mean of rise and fall at a pin of every instance, ``[instances]``, in ns."""
        try:
            return np.array([sum(self.slopes[f"{name}/{pin}"]) / 2 for name in self.netlist.instances[cell]])
        except KeyError as error:
            raise ToolError("OpenSTA", f"no slope of {error}", "one of every pin") from None


def _look_up(library: Group, table: Group, loads: Values, slopes: Values) -> Values:
    """A table's values, linear between its points and constant beyond its ends, ``[instances]``."""
    template = next((group for group in library.of("power_lut_template") if group.name == table.name), table)
    values = np.array(table.numbers("values"))
    points = [table.numbers(f"index_{n}") or template.numbers(f"index_{n}") for n in (1, 2, 3)]
    points = [np.array(each) for each in points if each]
    kinds = [template.attributes.get(f"variable_{n}", "") for n in range(1, len(points) + 1)]
    count = len(loads)
    if values.size != np.prod([len(each) for each in points], dtype=int) and values.size != 1:
        found = f"{values.size} values for {' x '.join(str(len(each)) for each in points) or 1} points"
        raise InputError(f"liberty file, {table.kind} {table.name}", found, "a value for each point")
    if not points or values.size == 1:
        return np.full(count, values[0])
    values = np.broadcast_to(values.reshape([len(each) for each in points]), (count, *map(len, points)))
    for grid, kind in zip(points, kinds, strict=True):
        at = np.clip(loads if "capacitance" in kind else slopes, grid[0], grid[-1])
        below = np.clip(np.searchsorted(grid, at, "right") - 1, 0, max(len(grid) - 2, 0))
        above = np.minimum(below + 1, len(grid) - 1)
        span = np.where(above > below, grid[above] - grid[below], 1.0)
        share = ((at - grid[below]) / span).reshape(-1, *[1] * (values.ndim - 2))
        rows = np.arange(count)
        values = values[rows, below] * (1 - share) + values[rows, above] * share
    return values


def _leakage(cell: Group) -> float:
    """What it says of the cell, or the mean over conditions."""
    if found := cell.numbers("cell_leakage_power"):
        return found[0]
    values = [value for group in cell.of("leakage_power") for value in group.numbers("value")]
    return sum(values) / len(values) if values else 0.0


def _unit(text: str) -> float:
    """A unit such as ``1nW`` in its SI unit."""
    match = re.fullmatch(r"([\d.]+)\s*([fpnum]?)(?:V|F|W|s)", text.strip().strip('"'), re.IGNORECASE)
    if match is None:
        raise InputError("liberty file", f"unit {text!r}", "a number with V, F, W or s")
    return float(match[1]) * _PREFIXES[match[2].lower()]
