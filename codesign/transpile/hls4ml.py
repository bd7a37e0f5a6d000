"""`transpile.hls4ml`: a C++ project for high-level synthesis, and its bit-accurate simulation library."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from codesign.capture import output_to
from codesign.design import Artifact, Design
from codesign.errors import CodesignError, ToolError
from codesign.passes import Context, Pass
from codesign.tools import require_time
from codesign.transpile.firmware.backends import BACKENDS
from codesign.transpile.firmware.compile import Compilation, compile_project, compiler_of
from codesign.transpile.firmware.options import Firmware
from codesign.words import HLS4ML_FILES, require_c_name


@dataclass(frozen=True)
class Hls4ml(Firmware, Pass):
    """Convert the QONNX file with hls4ml and compile its simulation.

    Every precision is set from the integer network: accumulators are exactly as wide as interval arithmetic proves
    necessary. The simulation library is what `verify.exact` runs.

    Args:
        project: Name of the project and of its top function; a C identifier that is no keyword.
        compiler: C++ compiler, as found on PATH.
        timeout_s: Longest time that one compilation may take, in seconds.
    """

    project: str = "network"
    compiler: str = "g++"
    timeout_s: float = 1800.0

    reads: ClassVar[tuple[str, ...]] = ("quantized", "artifacts.qonnx", "target")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.hls4ml",)
    early: ClassVar[tuple[str, ...]] = ("graph", "target")
    distributions: ClassVar[tuple[str, ...]] = ("hls4ml", "qonnx", "onnx", "da4ml")

    def __post_init__(self) -> None:
        super().__post_init__()
        require_c_name("transpile.hls4ml, project", self.project, HLS4ML_FILES)
        require_time(f"{self.name}, timeout_s", self.timeout_s)

    def programs(self) -> tuple[str, ...]:
        """The compiler; a vendor's own only if it is there."""
        compiler = compiler_of(self.backend, self.compiler)
        return () if BACKENDS[self.backend].vendors and not shutil.which(compiler) else (compiler,)

    def refuse(self, design: Design) -> None:
        """A network or a target that this route doesn't make firmware for is refused before anything is trained."""
        from codesign.transpile.firmware.allowed import require_allowed

        self.check_layers(design.graph)
        self.check_target(design.target)
        require_allowed(design.graph, self.backend, self.io_type)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Convert, write, compile."""
        import onnx

        log, compiler = context.work / "hls4ml.log", compiler_of(self.backend, self.compiler)
        with context.store.scratch() as scratch:
            folder = scratch / "project"
            context.progress("hls4ml: converting", 0, 4)
            try:
                with output_to(log):
                    from codesign.transpile._hls4ml import convert, write_project
                    from codesign.transpile.firmware.allowed import require_allowed

                    require_allowed(design.quantized.graph, self.backend, self.io_type)
                    model = onnx.load_model_from_string(
                        context.store.path(design.artifacts["qonnx"].digest).read_bytes()
                    )
                    converted, interface = convert(model, design.quantized, design.target, self, self.project, folder)
                    more = {"compiler": compiler, "made_for": f"{self.backend}, {self.io_type}"}
                    write_project(converted, interface | more, self.project, folder)
            except CodesignError:
                raise
            except Exception as error:
                raise ToolError("hls4ml", f"{type(error).__name__}: {error}", "", f"log: {log}") from error
            compile_project(self.backend, Compilation(folder, self.project, compiler, log, self.timeout_s), context)
            digest = context.store.put_folder(folder)
        return {"artifacts": {"hls4ml": Artifact("hls4ml", digest, folder=True)}}
