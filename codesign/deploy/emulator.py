"""`deploy.emulator`: the firmware's integers as a shared library, for CMS software and for anything that calls C."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from codesign.deploy.format.base import Format
from codesign.deploy.format.manifest import Manifest, Part, Tensor
from codesign.deploy.format.proof import Proof
from codesign.design import Artifact, Check, Design
from codesign.hdl.guard import alkaid_runs, require_alkaid
from codesign.passes import Context
from codesign.tools import require_time
from codesign.words import EMULATOR_FILES, require_c_name

if TYPE_CHECKING:
    from codesign.deploy._library import Library

#: Templates of what is given out, and the rest of it.
SOURCE = Path(__file__).with_name("emulator_files")
#: What is inside beside the network.
PARTS = (
    Part("what surrounds the program: interfaces, hosts, Makefile", "Apache-2.0", "the codesign authors"),
    Part("the program: the network's own operations; alkaid found them, and none of its code is inside", "", "you"),
    Part("include/emulator.h, which matches the one of hls4mlEmulatorExtras", "Apache-2.0", "the codesign authors"),
)


@dataclass(frozen=True)
class Emulator(Format):
    """Compile the integer network as a library with CMS's hls4mlEmulator interface and a plain C interface.

    What is compiled is the program of integer operations that alkaid traces of every operation's own integer forward,
    as for RTL, for many samples at once. The whole test split and corners of the input range are run through it.

    Args:
        project: Name of the model, a C identifier: the library is PROJECT_vVERSION.so.
        version: Of the model, from 0.
        compiler: C++ compiler, as found on PATH.
        timeout_s: Longest time that one call of it may take, in seconds.
        most_products: Most products with weights in one input, positions counted; more is refused.
    """

    project: str = "network"
    version: int = 1
    compiler: str = "g++"
    timeout_s: float = 3600.0
    most_products: int = 200_000

    reads: ClassVar[tuple[str, ...]] = (*Format.reads, "dataset", "quantized")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.emulator", "checks")
    early: ClassVar[tuple[str, ...]] = ("graph",)
    distributions: ClassVar[tuple[str, ...]] = ("alkaid", "jinja2")
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_c_name(f"{self.name}, project", self.project, EMULATOR_FILES)
        self.require_least(version=0)
        require_time(f"{self.name}, timeout_s", self.timeout_s)
        require_alkaid(self.name)

    def files(self) -> tuple[Path, ...]:
        """The templates, and what is given out as it is."""
        return tuple(sorted(path for path in SOURCE.iterdir() if path.is_file()))

    def programs(self) -> tuple[str, ...]:
        """The C++ compiler."""
        return (self.compiler,)

    def refuse(self, design: Design) -> None:
        """A network too large to unroll, or with an operation that can't be traced, is refused before training."""
        from codesign.hdl.circuit import require_small, require_traceable

        require_small(design.graph, self.most_products, self.name)
        require_traceable(design.graph)

    def make(self, design: Design, context: Context, proof: Proof) -> Mapping[str, object]:
        """Trace, write, compile, compare."""
        from codesign import tools
        from codesign.deploy._compare import compared, write_test_set
        from codesign.deploy._library import Library
        from codesign.deploy._program import program

        quantized, log = design.quantized, context.work / "emulator.log"
        context.progress("emulator: tracing", 0, 3)
        with alkaid_runs(log):
            from codesign.hdl.circuit import trace_network

            circuit = trace_network(quantized)
        library = Library(self.project, self.version, circuit, program(circuit.logic), quantized.graph.shapes())
        with context.store.scratch() as scratch:
            folder = scratch / "emulator"
            library.write(folder)
            context.progress(f"{self.compiler}: {library.file}", 1, 3)
            tools.run(library.command(self.compiler), folder, log, self.timeout_s)
            context.progress("emulator: test split", 2, 3)
            test = design.dataset.split("test").inputs
            check = compared(library, quantized, test, folder, context, self.compiler)
            checks: dict[str, Check] = {"numpy->emulator": check}
            proof = Proof.of({**design.checks, **checks}, self.name, self.allow_unproven)
            library.describe(folder, self._manifest(design, library, proof))
            write_test_set(library, quantized, test, folder / "test")
            digest = context.store.put_folder(folder)
        context.progress("emulator: compared", 3, 3)
        return {"artifacts": {"emulator": Artifact("emulator", digest, folder=True)}, "checks": checks}

    def _manifest(self, design: Design, library: "Library", proof: Proof) -> Manifest:
        inputs, outputs = (
            [Tensor.of(name, library.shapes[name], fixed) for name, fixed in formats.items()]
            for formats in (library.circuit.inputs, library.circuit.outputs)
        )
        exact = all(int(fixed.width) <= 24 + bool(fixed.signed) for fixed in library.circuit.outputs.values())
        more = {"library": library.file, "symbols": ["create_model", "destroy_model", *library.symbols]}
        more |= {"outputs_exact_in_float32": exact}
        step = (self.name, self.project, self.version)
        return Manifest.of(design.report, step, (inputs, outputs), proof, PARTS, more)
