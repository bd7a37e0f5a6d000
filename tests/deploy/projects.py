"""A small RTL project whose outputs are known without alkaid: sums of its inputs, a few cycles later."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codesign.hdl.interface import SUFFIXES, HdlName, Interface, Port

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sums:
    """Each output element is the sum of all inputs' elements and its own number, modulo its width.

    Args:
        widths: Elements and width of each input.
        made: Elements and width of each output.
        stages: Cycles from an input to its output.
        top: The top module.
        language: What the project says that it is written in; the text is Verilog, which is what GHDL would make of it.
    """

    widths: tuple[tuple[int, int], ...]
    made: tuple[tuple[int, int], ...]
    stages: int
    top: str = "sums"
    language: HdlName = "verilog"

    def ports(self, way: str, each: Sequence[tuple[int, int]]) -> tuple[Port, ...]:
        return tuple(Port(f"{way}_{i}", f"{way}{i}", (n,), False, width, width) for i, (n, width) in enumerate(each))

    @property
    def interface(self) -> Interface:
        given, made = self.ports("in", self.widths), self.ports("out", self.made)
        return Interface(self.top, (f"sums{SUFFIXES[self.language]}",), 5.0, self.stages, 1, given, made)

    def expected(self, codes: Sequence[Codes]) -> list[Codes]:
        """Outputs ``[events, elements]``."""
        total = sum(values.sum(1) for values in codes)
        return [(total[:, None] + np.arange(n)) % 2**width for n, width in self.made]

    def write(self, folder: Path) -> Interface:
        """Write the project."""
        folder.mkdir(parents=True)
        interface = self.interface
        terms = [f"{p.name}[{i * p.width} +: {p.width}]" for p in interface.inputs for i in range(p.elements)]
        parts = [
            f"assign {p.name}[{i * p.width} +: {p.width}] = total[{self.stages - 1}] + 64'd{i};"
            for p in interface.outputs
            for i in range(p.elements)
        ]
        given = "".join(f"input wire [{p.bits - 1}:0] {p.name}, " for p in interface.inputs)
        made = "".join(f"output wire [{p.bits - 1}:0] {p.name}, " for p in interface.outputs)
        (folder / interface.files[0]).write_text(f"""
module {self.top} (input wire clk, input wire reset, input wire in_valid, {given}{made}output wire out_valid);
  reg [63:0] total[0:{self.stages - 1}];
  reg [{self.stages - 1}:0] valid;
  integer i;
  always @(posedge clk) begin
    total[0] <= {" + ".join(f"{{1'b0, {term}}}" for term in terms)};
    for (i = 1; i < {self.stages}; i = i + 1) total[i] <= total[i - 1];
    valid <= reset ? 0 : (valid << 1) | in_valid;
  end
  assign out_valid = valid[{self.stages - 1}];
  {" ".join(parts)}
endmodule
""")
        interface.write(folder)
        return interface


def random_codes(ports: Sequence[Port], events: int, seed: int) -> list[Codes]:
    """Codes ``[events, elements]`` of each port."""
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 2**port.width, (events, port.elements)) for port in ports]
