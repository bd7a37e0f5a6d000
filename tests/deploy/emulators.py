"""Emulators of networks in memory, compiled and loaded into this process."""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign import tools
from codesign.deploy._compare import expected, flat
from codesign.deploy._library import Library
from codesign.deploy._program import program
from codesign.hdl.circuit import trace_network
from codesign.quantized import Quantized


@dataclass(frozen=True)
class Loaded:
    """A compiled emulator."""

    library: Library
    quantized: Quantized
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / self.library.file

    def call(self, function: str, values: np.ndarray) -> np.ndarray:
        """Run ``predict`` on floats, or ``predict_codes``."""
        own = ctypes.CDLL(str(self.path))[f"{self.library.name}_{function}"]
        own.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        given = np.ascontiguousarray(values)
        found = np.empty((len(given), len(self.library.program.outputs)), given.dtype)
        assert own(given.ctypes.data, found.ctypes.data, len(given)) == 0
        return found

    def assert_exact(self, inputs: list[np.ndarray]) -> None:
        """Both interfaces give the reference's integers."""
        codes, wanted = expected(self.library, self.quantized, inputs)
        np.testing.assert_array_equal(self.call("predict_codes", codes), wanted)
        reals = (wanted * np.array(self.library.steps())).astype(np.float32)
        np.testing.assert_array_equal(self.call("predict", flat(inputs)), reals)


def written(quantized: Quantized, folder: Path, name: str = "toy", version: int = 1) -> Library:
    """The sources of an emulator."""
    circuit = trace_network(quantized)
    library = Library(name, version, circuit, program(circuit.logic), quantized.graph.shapes())
    library.write(folder)
    return library


def compiled(quantized: Quantized, folder: Path, name: str = "toy", version: int = 1, flags: Any = ()) -> Loaded:
    """A library of its own, in a new folder."""
    library = written(quantized, folder, name, version)
    command = [*library.command("g++"), *flags]
    tools.run(command, folder, folder / "log", 600)
    return Loaded(library, quantized, folder)
