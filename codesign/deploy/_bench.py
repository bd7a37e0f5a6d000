"""A core's test bench, compiled and run on the test split."""

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from codesign.deploy._stream import StreamCore, stream
from codesign.design import Check, Design
from codesign.hdl.ghdl import as_verilog, why_not_simulated
from codesign.hdl.interface import Interface
from codesign.hdl.play import play
from codesign.hdl.verilator import compile_bench, compile_player, find_verilator
from codesign.passes import Context


class Options(Protocol):
    """What the pass says of it."""

    @property
    def events(self) -> int:
        """Events of the test split; 0 for all."""
        ...

    @property
    def compiler(self) -> str:
        """The C++ compiler."""
        ...

    @property
    def timeout_s(self) -> float:
        """Longest time of one call."""
        ...


def run_bench(
    options: Options, design: Design, interface: Interface, core: StreamCore | None, project: Path, context: Context
) -> Check:
    """Send events of the test split through the core.

    Args:
        options: The pass.
        design: For the reference and its data.
        interface: Of the RTL project.
        core: The streams around it; None for the project as it is.
        project: Its folder.
        context: For its folder and the seed.

    Returns:
        Events that come out as other integers, not at all, in another order, or too often. Breaches of the streams'
        protocol count too.
    """
    if why := why_not_simulated(interface):
        return Check("numpy", "ip", 0, 0, "not_checked", why)
    verilator, quantized, log = find_verilator(), design.quantized, context.work / "ip.log"
    codes = quantized.encode([x[: options.events or None] for x in design.dataset.split("test").inputs])
    values = quantized.run(codes)
    context.progress("ip: compiling the test bench", 0, 2)
    own = as_verilog(interface, project, log, options.timeout_s)
    wanted = [values[port.tensor] for port in own.outputs]
    count = len(next(iter(codes.values())).values)
    if core is None:
        player = compile_player(verilator, own, project, options.compiler, log, options.timeout_s)
        context.progress("ip: running it", 1, 2)
        found = play(player, own, list(codes.values()), wanted, context.seed, log, options.timeout_s)
        wrong, told = (
            found.mismatches,
            f"fixed latency, {found.latency} cycles, pauses and resets, {found.cycles} cycles",
        )
    else:
        core = replace(core, interface=own)  # GHDL may give the top module its name in another case
        (project / core.file).write_text(core.verilog())
        player = compile_bench(
            verilator, core.name, (*own.files, core.file), core.bench(), project, options.compiler, log,
            options.timeout_s,
        )  # fmt: skip
        context.progress("ip: running it", 1, 2)
        given, made = (
            [code.align(int(port.fixed.fraction)).values for code, port in zip(each, ports, strict=True)]
            for each, ports in ((codes.values(), own.inputs), (wanted, own.outputs))
        )
        streamed = stream(player, core, given, made, context.seed + 1, log, options.timeout_s)
        wrong = streamed.mismatches + streamed.breaches
        told = f"AXI4-Stream, stalls on both sides, {streamed.cycles} cycles"
    context.progress("ip: compared", 2, 2)
    detail = f"{told} played; Verilator {verilator.version}"
    return Check("numpy", "ip", count, wrong, "differs" if wrong else "exact", detail)
