"""Writing an emulator's sources, and compiling them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np

import codesign
from codesign.deploy._kernel import LENGTH, kernel
from codesign.deploy._program import Program
from codesign.deploy._vectors import NARROW, WIDE
from codesign.deploy.format.manifest import Manifest
from codesign.fixed import Fixed
from codesign.hdl.circuit import Circuit
from codesign.templates import filled

#: Files of the emulator's folder by the templates, or plain files, that they are made of.
FILES = {
    "name.cpp.j2": "{name}.cpp",
    "name.h.j2": "{name}.h",
    "program.h.j2": "{name}_program.h",
    "exports.map.j2": "exports.map",
    "Makefile.j2": "Makefile",
    "emulator.h": "include/emulator.h",
    "host.cpp": "host.cpp",
    "host.py": "host.py",
}
SOURCE = Path(__file__).with_name("emulator_files")
#: What the Makefile requires, too.
FLAGS = (
    *("-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-Iinclude", "-O2"),
    *("-shared", "-Wl,--version-script=exports.map"),
)


@dataclass(frozen=True)
class Library:
    """An emulator to be written.

    Args:
        name: Of the model.
        version: Of the model.
        circuit: What is computed.
        program: The same as steps.
        shapes: Shapes of tensors by name.
    """

    name: str
    version: int
    circuit: Circuit
    program: Program
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def file(self) -> str:
        """Name of the compiled library."""
        return f"{self.name}_v{self.version}.so"

    @property
    def symbols(self) -> list[str]:
        """Its own functions, beside those of the interface."""
        return [f"{self.name}_{end}" for end in ("predict", "predict_codes", "inputs", "outputs")]

    def steps(self) -> list[float]:
        """What the code of each output is worth."""
        return [2.0**-place for place in self._elements(self.circuit.outputs, "fraction")]

    def command(self, compiler: str) -> Sequence[str]:
        """What compiles it, in its folder."""
        return [compiler, *FLAGS, f"-Wl,-soname,{self.file}", f"{self.name}.cpp", "-o", self.file]

    def write(self, folder: Path) -> None:
        """Write its sources into a new folder."""
        (folder / "include").mkdir(parents=True)
        values = self._values()
        for source, target in FILES.items():
            text = filled(SOURCE / source, values) if source.endswith(".j2") else (SOURCE / source).read_text()
            (folder / target.format(name=self.name)).write_text(text)

    def describe(self, folder: Path, manifest: Manifest) -> None:
        """Write what it says of itself, once that is known: ``manifest.json`` and ``README.md``."""
        manifest.write(folder)
        values = {**self._values(), "manifest": manifest.record()}
        (folder / "README.md").write_text(filled(SOURCE / "README.md.j2", values))

    def _values(self) -> dict[str, Any]:
        """What the templates are filled with."""
        found, given, made = self.program, self.circuit.inputs, self.circuit.outputs
        codes = [*(step.code for step in found.steps), *(output.code for output in found.outputs)]
        bits = {found.input_bits, found.output_bits, *(step.value.bits for step in found.steps)}
        wide = WIDE in bits or any("wide(" in code for code in codes)  # a sum on a finer grid than its result's
        return {
            "name": self.name,
            "version": self.version,
            "codesign": codesign.__version__,
            "alkaid": version_of("alkaid"),
            "inputs": found.inputs,
            "outputs": len(found.outputs),
            "input_bits": found.input_bits,
            "output_bits": found.output_bits,
            "types": {NARROW: "N", WIDE: "W"},
            "wide": wide,
            "kernel": kernel(found, LENGTH),
            "tables": [[f"{code % 2**NARROW}u" for code in table] for table in found.tables],
            "scales": [repr(2.0**place) for place in self._elements(given, "fraction")],
            "least": [f"{low}.0" for low in self._elements(given, "low")],
            "most": [f"{high}.0" for high in self._elements(given, "high")],
            "steps": list(map(repr, self.steps())),
            "symbols": self.symbols,
            "ap_input": ap_type(given),
            "ap_result": ap_type(made),
        }

    def _elements(self, formats: Mapping[str, Fixed], what: str) -> list[int]:
        """A number of the format of each element, tensors one after another."""
        parts = [np.broadcast_to(getattr(fixed, what), self.shapes[name]) for name, fixed in formats.items()]
        return [int(number) for part in parts for number in part.reshape(-1)]


def ap_type(formats: Mapping[str, Fixed]) -> str:
    """A type of ``ap_fixed.h`` that holds every number of some tensors."""
    each = [fixed.envelope() for fixed in formats.values()]
    whole = Fixed(
        np.array([one.signed for one in each]),
        np.array([one.width for one in each]),
        np.array([one.integer for one in each]),
    ).envelope()
    width = max(int(whole.width), 1)
    return f"ap_{'' if whole.signed else 'u'}fixed<{width}, {width - int(whole.fraction)}>"
