"""`deploy.ip`: the network as a core for a block design, with constraints, a packaging script and a test bench."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from codesign.deploy._stream import FILES, StreamCore
from codesign.deploy.format.base import Format
from codesign.deploy.format.manifest import Manifest, Part, Tensor, tensors_of
from codesign.deploy.format.proof import Proof
from codesign.design import Artifact, Check, Design
from codesign.errors import InputError
from codesign.hdl.interface import Interface
from codesign.passes import Context
from codesign.tcl import tcl
from codesign.templates import filled
from codesign.tools import require_time
from codesign.transpile.firmware.backends import BACKENDS
from codesign.transpile.firmware.project import function_for, hls4ml_config

#: What is inside beside the network.
OWN = Part("templates of the modules, scripts and constraints", "Apache-2.0", "the codesign authors")
RTL_PARTS = (OWN, Part("static/, adders, multiplexers and multipliers", "LGPL-3.0-or-later", "alkaid"))
HLS_PARTS = (OWN, Part("firmware/nnet_utils/ and the project's files around it", "Apache-2.0", "hls4ml"))


@dataclass(frozen=True)
class Ip(Format):
    """Make a core with AXI4-Stream or of fixed latency, and run its test bench with random stalls.

    Of the RTL project; or else of hls4ml's, which goes along with a script that exports it, and is not run.

    Args:
        form: ``axi4_stream``: valid and ready on both sides; ``fixed_latency``: valid alone, the RTL as it is.
        beat_bits: Bits of AXI4-Stream's tdata, with tlast at an event's last beat; 0 for an event in a beat of its own.
        version: Of the core, from 0.
        events: Events of the test split for the test bench, from its first on; 0 for all.
        compiler: C++ compiler for the simulation, as found on PATH.
        timeout_s: Longest time that one call of a tool may take, in seconds.
    """

    form: Literal["axi4_stream", "fixed_latency"] = "axi4_stream"
    beat_bits: int = 0
    version: int = 1
    events: int = 0
    compiler: str = "g++"
    timeout_s: float = 1800.0

    reads: ClassVar[tuple[str, ...]] = (*Format.reads, "dataset", "quantized", "target")
    optional: ClassVar[tuple[str, ...]] = ("artifacts.rtl", "artifacts.hls4ml")
    any_of: ClassVar[tuple[str, ...]] = optional
    writes: ClassVar[tuple[str, ...]] = ("artifacts.ip", "checks")
    distributions: ClassVar[tuple[str, ...]] = ("jinja2",)
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_time(f"{self.name}, timeout_s", self.timeout_s)
        if self.beat_bits < 0 or self.beat_bits % 8:
            raise InputError(f"{self.name}, beat_bits", f"{self.beat_bits}", "whole bytes, such as 64; or 0")
        if self.beat_bits and self.form != "axi4_stream":
            raise InputError(f"{self.name}, beat_bits", f"{self.beat_bits} for {self.form!r}", "0: it has no beats")
        self.require_least(version=0, events=0)

    def files(self) -> tuple[Path, ...]:
        """The templates."""
        return tuple(sorted(FILES.iterdir()))

    def programs(self) -> tuple[str, ...]:
        """The C++ compiler; Verilator is looked for elsewhere too."""
        return (self.compiler,)

    def versions(self) -> Mapping[str, str]:
        """Verilator, and GHDL, which VHDL needs."""
        from codesign.hdl.ghdl import ghdl_version
        from codesign.hdl.verilator import VERILATOR

        return {VERILATOR.name: VERILATOR.find().said, **ghdl_version()}

    def make(self, design: Design, context: Context, proof: Proof) -> Mapping[str, object]:
        """Write, and run the test bench."""
        with context.store.scratch() as scratch:
            folder = scratch / "ip"
            source = "rtl" if "rtl" in design.artifacts else "hls4ml"
            context.store.take_out(design.artifacts[source].digest, folder, folder=True)
            if source == "rtl":
                shutil.copytree(folder, scratch / "project")
                made = self._rtl(design, folder, scratch / "project", context)
            else:
                made = self._hls(design, folder)
            checks = {"numpy->ip": made.check}
            proof = Proof.of({**design.checks, **checks}, self.name, self.allow_unproven)
            step = (self.name, made.name, self.version)
            Manifest.of(design.report, step, made.tensors, proof, made.parts, made.more).write(folder)
            digest = context.store.put_folder(folder)
        return {"artifacts": {"ip": Artifact("ip", digest, folder=True)}, "checks": checks}

    def _rtl(self, design: Design, folder: Path, project: Path, context: Context) -> "_Made":
        """The RTL project with the core around it."""
        from codesign.deploy._bench import run_bench

        interface, target = Interface.read(folder), design.target
        core = StreamCore.of(interface, self.beat_bits) if self.form == "axi4_stream" else None
        top, clock = (core.name, "aclk") if core else (interface.top, "clk")
        files = list(interface.files)
        if core:
            (folder / core.file).write_text(core.verilog())
            (folder / "bench.cpp").write_text(core.bench())
            files.append(core.file)
        constraint = f"create_clock -name {clock} -period {interface.clock_ns} [get_ports {clock}]\n"
        for suffix in ("xdc", "sdc"):
            (folder / f"clock.{suffix}").write_text(constraint)
        packaged = target.part.lower().startswith(BACKENDS["Vivado"].parts)
        if packaged:
            values = {
                "part": target.part, "files": files, "top": top, "version": self.version, "streams": core is not None,
                "description": f"A neural network: one event per clock, {interface.stages} cycles",
            }  # fmt: skip
            (folder / "package.tcl").write_text(filled(FILES / "package.tcl.j2", values, tcl))
        check = run_bench(self, design, interface, core, project, context)
        more = {
            "form": self.form,
            "top": top,
            "clock_ns": interface.clock_ns,
            "latency_cycles": interface.stages,
            "latency": "fixed" if core is None else "of the pipeline; what streams wait for comes on top",
            "packaging": "package.tcl" if packaged else "none: the part is not one of Vivado's",
        }
        if core:
            more |= {
                side: {"tdata_bits": way.width, "beats": way.beats, "bits": way.size}
                for side, way in (("s_axis", core.inputs), ("m_axis", core.outputs))
            }
        return _Made(check, interface.top, tensors_of(interface), RTL_PARTS, more)

    def _hls(self, design: Design, folder: Path) -> "_Made":
        """The project of hls4ml's with a script that exports it."""
        top, quantized = function_for(self.name, folder, "Vitis"), design.quantized
        config, clock_ns = hls4ml_config(folder), design.target.clock_ns
        values = {"top": top, "config": config, "clock_ns": clock_ns, "version": self.version}
        (folder / "export.tcl").write_text(filled(FILES / "export.tcl.j2", values, tcl))
        check = Check("numpy", "ip", 0, 0, "not_checked", "the core is made by Vitis HLS, which is not run here")
        shapes = quantized.graph.inputs
        inputs = [Tensor.of(name, shape, quantized.formats[name]) for name, shape in shapes.items()]
        more = {"form": "hls", "top": top, "packaging": "export.tcl", "outputs_in": "firmware/defines.h, result_t"}
        return _Made(check, top, (inputs, []), HLS_PARTS, more)


@dataclass(frozen=True)
class _Made:
    """A core, and what its manifest says of it."""

    check: Check
    name: str
    tensors: tuple[list[Tensor], list[Tensor]]
    parts: tuple[Part, ...]
    more: Mapping[str, object]
