"""`transpile.hls4ml`: a C++ project for Vitis HLS, and its bit-accurate simulation library."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import ClassVar

from codesign import tools
from codesign.capture import output_to
from codesign.design import Artifact, Design
from codesign.errors import CodesignError, InputError, ToolError
from codesign.passes import Context, Pass
from codesign.transpile._backends import BACKENDS
from codesign.transpile._firmware import Firmware

#: C++17: the newest standard that the project's headers and every g++ since 7 agree on.
FLAGS = ("-O3", "-fPIC", "-std=c++17", "-fno-gnu-unique", "-w")


@dataclass(frozen=True)
class Hls4ml(Firmware, Pass):
    """Convert the QONNX file with hls4ml and compile its simulation.

    Every precision is set from the integer network: accumulators are exactly as wide as interval arithmetic proves
    necessary. The simulation library is what `verify.exact` runs.

    Args:
        project: Name of the project and of its top function; a C identifier.
        compiler: C++ compiler, as found on PATH.
        timeout_s: Longest time that one compilation may take, in seconds.
    """

    project: str = "network"
    compiler: str = "g++"
    timeout_s: float = 1800.0

    reads: ClassVar[tuple[str, ...]] = ("quantized", "artifacts.qonnx", "target")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.hls4ml",)
    early: ClassVar[tuple[str, ...]] = ("graph",)
    distributions: ClassVar[tuple[str, ...]] = ("hls4ml", "qonnx", "onnx")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.project.isascii() and self.project.isidentifier()):
            raise InputError("transpile.hls4ml, project", repr(self.project), "a C identifier")
        if not 0 < self.timeout_s < inf:
            raise InputError("transpile.hls4ml, timeout_s", f"{self.timeout_s}", "a positive number of seconds")

    def programs(self) -> tuple[str, ...]:
        """The compiler."""
        return (self.compiler,)

    def refuse(self, design: Design) -> None:
        """A network with an operation that this route doesn't make is refused before it is trained."""
        from codesign.transpile._allowed import require_allowed

        require_allowed(design.graph)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Convert, write, compile."""
        import onnx

        log = context.work / "hls4ml.log"
        with context.store.scratch() as scratch:
            folder = scratch / "project"
            context.progress("hls4ml: converting", 0, 4)
            try:
                with output_to(log):
                    from codesign.transpile._allowed import require_allowed
                    from codesign.transpile._hls4ml import convert, write_project

                    require_allowed(design.quantized.graph)
                    model = onnx.load_model_from_string(
                        context.store.path(design.artifacts["qonnx"].digest).read_bytes()
                    )
                    converted, ports = convert(model, design.quantized, design.target, self, self.project, folder)
                    write_project(converted, ports, self.project, folder)
            except CodesignError:
                raise
            except Exception as error:
                raise ToolError("hls4ml", f"{type(error).__name__}: {error}", "", f"log: {log}") from error
            self._compile(folder, log, context)
            digest = context.store.put_folder(folder)
        return {"artifacts": {"hls4ml": Artifact("hls4ml", digest, folder=True)}}

    def _compile(self, folder: Path, log: Path, context: Context) -> None:
        """The simulation library, ``firmware/PROJECT.so``."""
        parts = {"firmware.o": f"firmware/{self.project}.cpp", "bridge.o": f"{self.project}_bridge.cpp"}
        flags = [*FLAGS, *(f"-I{folder}" for folder in BACKENDS[self.backend].includes)]
        for index, (output, source) in enumerate(parts.items(), 1):
            context.progress(f"{self.compiler}: {source}", index, 4)
            tools.run([self.compiler, *flags, "-c", source, "-o", output], folder, log, self.timeout_s)
        library = f"firmware/{self.project}.so"
        tools.run([self.compiler, *flags, "-shared", *parts, "-o", library], folder, log, self.timeout_s)
        for output in parts:
            (folder / output).unlink()
        context.progress(f"{self.compiler}: linked", 4, 4)
