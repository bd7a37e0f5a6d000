"""A mapped netlist as Yosys writes it in JSON: which cells there are, which nets they are on, what they compute.

Nets are numbered: 0 and 1 are the constants, as in Yosys, where all others begin at 2.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import ToolError

Words = npt.NDArray[np.uint64]
Nets = npt.NDArray[np.int64]

#: Yosys's gates on bits, 64 in a word: those that functions in liberty files become. The order of inputs is no matter.
GATES: Mapping[str, Callable[..., Words]] = {
    "$_BUF_": np.positive,
    "$_NOT_": np.invert,
    "$_AND_": np.bitwise_and,
    "$_OR_": np.bitwise_or,
    "$_XOR_": np.bitwise_xor,
}
#: Yosys's register on a rising edge, without reset.
REGISTER = "$_DFF_P_"


@dataclass(frozen=True)
class Cell:
    """A standard cell.

    Args:
        name: Of the cell.
        area_um2: Its area.
        inputs, outputs: Its pins.
        capacitances: Of the pins, in the library's unit.
        gates: What it is made of, each after those that it reads: kind, pins, nets inside.
        nets: Nets inside of its pins.
    """

    name: str
    area_um2: float
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    capacitances: Mapping[str, float]
    gates: tuple[tuple[str, Mapping[str, int]], ...]
    nets: Mapping[str, int]

    @property
    def clock(self) -> str | None:
        """The pin that its registers' clocks are; None for a cell without registers.

        Raises:
            ToolError: They are on no pin, or on several.
        """
        clocks = {nets["C"] for kind, nets in self.gates if kind == REGISTER}
        pins = [pin for pin in self.inputs if self.nets[pin] in clocks]
        if len(pins) != len(clocks) or len(pins) > 1:
            raise ToolError("simulation of the netlist", f"the clock of cell {self.name}", "a pin of its own")
        return pins[0] if pins else None

    def outcome(self, values: Mapping[str, Words], zero: Words) -> dict[str, Words]:
        """What its outputs are for what its inputs are; a register's output is what it will be after a clock edge.

        Raises:
            ToolError: It has a part that is not known: a latch, a reset, a bus keeper.
        """
        inside = {0: zero, 1: ~zero} | {self.nets[pin]: values[pin] for pin in self.inputs}
        for kind, nets in self.gates:
            if kind == REGISTER:
                inside[nets["Q"]] = inside[nets["D"]]
                continue
            if kind not in GATES:
                raise ToolError("simulation of the netlist", f"{kind} in cell {self.name}", f"{', '.join(GATES)}")
            inside[nets["Y"]] = GATES[kind](*(inside[net] for pin, net in nets.items() if pin != "Y"))
        return {pin: inside[self.nets[pin]] for pin in self.outputs}


@dataclass(frozen=True)
class Netlist:
    """A netlist of standard cells.

    Args:
        nets: How many there are.
        ports: Nets of the top module's ports, the lowest bit first.
        instances: Names of the instances of each cell.
        connections: Nets of the instances' pins, ``[instances]``, by cell and pin.
    """

    nets: int
    ports: Mapping[str, Nets]
    instances: Mapping[str, Sequence[str]]
    connections: Mapping[str, Mapping[str, Nets]]

    def loads(self, cells: Mapping[str, Cell]) -> npt.NDArray[np.float64]:
        """The sum of the pins' capacitances on each net, ``[nets]``, in the library's unit."""
        found = np.zeros(self.nets)
        for name, pins in self.connections.items():
            for pin in cells[name].inputs:
                np.add.at(found, pins[pin], cells[name].capacitances[pin])
        return found


def read_cells(path: Path) -> dict[str, Cell]:
    """The cells of a library that Yosys read (``read_liberty``) and wrote."""
    return {name: _cell(name, module) for name, module in _modules(path).items()}


def read_netlist(path: Path, top: str) -> Netlist:
    """The netlist of a top module."""
    module = _modules(path)[top]
    instances: dict[str, list[str]] = {}
    pins: dict[str, dict[str, list[int]]] = {}
    for name, cell in module["cells"].items():
        instances.setdefault(cell["type"], []).append(name)
        for pin, bits in cell["connections"].items():
            pins.setdefault(cell["type"], {}).setdefault(pin, []).append(_net(bits[0]))
    ports = {name: np.array([_net(bit) for bit in port["bits"]]) for name, port in module["ports"].items()}
    connections = {name: {pin: np.array(nets) for pin, nets in own.items()} for name, own in pins.items()}
    arrays = [*ports.values(), *(nets for own in connections.values() for nets in own.values())]
    return Netlist(max(int(nets.max()) for nets in arrays) + 1, ports, instances, connections)


def _modules(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes())["modules"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError("Yosys", f"no readable {path.name} ({type(error).__name__})", "its write_json") from None


def _cell(name: str, module: dict[str, Any]) -> Cell:
    ports = {pin: port for pin, port in module["ports"].items() if len(port["bits"]) == 1}
    nets = {pin: _net(port["bits"][0]) for pin, port in ports.items()}
    parts = [
        (part["type"], {pin: _net(bits[0]) for pin, bits in part["connections"].items()})
        for part in module["cells"].values()
    ]
    driver = {own[pin]: index for index, (_, own) in enumerate(parts) for pin in ("Y", "Q") if pin in own}
    reads = {
        index: {driver[net] for pin, net in own.items() if pin not in ("Y", "Q") and net in driver}
        for index, (_, own) in enumerate(parts)
    }
    try:
        order = list(TopologicalSorter(reads).static_order())
    except CycleError:  # a cell with a state of its own kind, which is refused when it is used
        order = list(range(len(parts)))
    return Cell(
        name,
        float(module["attributes"].get("area", "0")),
        tuple(pin for pin, port in ports.items() if port["direction"] == "input"),
        tuple(pin for pin, port in ports.items() if port["direction"] == "output"),
        {pin: float(module["netnames"][pin]["attributes"].get("capacitance", "0")) for pin in ports},
        tuple(parts[index] for index in order),
        nets,
    )


def _net(bit: int | str) -> int:
    """The number of a net; what is neither 0 nor 1 is 0, as in a simulation of two values."""
    return bit if isinstance(bit, int) else int(bit == "1")
