"""What an RTL project says of itself, ``interface.json``: all that simulation and synthesis know of it.

Whatever writes a project with this file and these ports can be verified and synthesized, however it is built inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from codesign.fixed import Fixed
from codesign.ops.op import Shape
from codesign.typed import adapter

#: The languages of a project, with the ends of its files' names.
HdlName = Literal["verilog", "vhdl"]
SUFFIXES: Mapping[HdlName, str] = MappingProxyType({"verilog": ".v", "vhdl": ".vhd"})
#: Its name in the project's folder.
INTERFACE = "interface.json"


@dataclass(frozen=True)
class Port:
    """A tensor of the network as a vector of the top module.

    Args:
        name: Of the port.
        tensor: The network's own name.
        shape: Without the batch axis; elements in C order, the first in the lowest bits.
        signed, width, integer: The format of every element, as in ``Fixed``.
    """

    name: str
    tensor: str
    shape: Shape
    signed: bool
    width: int
    integer: int

    @property
    def fixed(self) -> Fixed:
        """The format of every element."""
        return Fixed(self.signed, self.width, self.integer)

    @property
    def elements(self) -> int:
        """Their number."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def bits(self) -> int:
        """Width of the vector."""
        return self.elements * self.width

    @property
    def record(self) -> int:
        """Bytes that a simulation hands it over in: whole 64 bits."""
        return -(-self.bits // 64) * 8


@dataclass(frozen=True)
class Interface:
    """An RTL project. Its top module has ``clk``, ``reset``, ``in_valid`` and ``out_valid`` beside the ports.

    Args:
        top: The top module.
        files: Verilog files, or VHDL files, relative to the project.
        clock_ns: The clock period that it was made for.
        stages: Clock cycles from an input to its output, as its maker has it.
        initiation_interval: Clock cycles from one input to the next.
        inputs, outputs: The network's, in its order.
    """

    top: str
    files: tuple[str, ...]
    clock_ns: float
    stages: int
    initiation_interval: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def language(self) -> HdlName:
        """What the files are written in."""
        return "vhdl" if self.files[0].endswith(SUFFIXES["vhdl"]) else "verilog"

    def write(self, folder: Path) -> None:
        """Write the file into a project's folder."""
        (folder / INTERFACE).write_bytes(adapter(Interface).dump_json(self, indent=1) + b"\n")

    @classmethod
    def read(cls, folder: Path) -> "Interface":
        """The interface of a project."""
        found: Interface = adapter(cls).validate_json((folder / INTERFACE).read_bytes())
        return found
