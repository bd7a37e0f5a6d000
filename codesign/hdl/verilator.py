"""Verilator: finding one that can be trusted, and compiling a project into a program that plays cycles."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from codesign import tools
from codesign.hdl.interface import Interface
from codesign.outside import Tool
from codesign.templates import filled

#: alkaid warns of older ones: they may miscompile its Verilog (https://github.com/verilator/verilator/pull/7012).
OLDEST = "5.048"
#: The package's binary.
PROGRAM = "bin/verilator_bin"
VERILATOR = Tool("Verilator", "verilator", "verilator", PROGRAM, OLDEST)
#: Lint that says nothing of what is simulated.
QUIET = ("-Wno-lint", "-Wno-style", "-Wno-TIMESCALEMOD", "-Wno-fatal")
#: Simulation is short, so that compiling counts.
FLAGS = ("-O1", "-std=c++17", "-w", "-pthread")
RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
#: Bytes of source that are compiled at once: what every file includes takes longer than this.
UNIT_BYTES = 200_000


@dataclass(frozen=True)
class Verilator:
    """A Verilator to be used.

    Args:
        program: The compiler.
        root: The folder that it calls VERILATOR_ROOT, with its C++ runtime in ``include``.
        version: As in "5.048".
    """

    program: Path
    root: Path
    version: str


def find_verilator() -> Verilator:
    """The one to be used.

    The package's own script is not run: it asks for a configured make, and its binary says no version.

    Raises:
        InputError: There is none.
    """
    found = VERILATOR.find()
    if found.packaged:
        return Verilator(found.path / PROGRAM, found.path, found.version)
    root = Path(tools.answer([found.path, "--getenv", "VERILATOR_ROOT"]))
    return Verilator(found.path, root, found.version)


def compile_player(
    verilator: Verilator, interface: Interface, project: Path, compiler: str, log: Path, timeout_s: float
) -> Path:
    """Compile a project and a program that plays cycles on its top module.

    Args:
        verilator: The compiler of Verilog.
        interface: What the project says of itself.
        project: Its folder; the program goes below it.
        compiler: The C++ compiler, as found on PATH.
        log: Takes what the tools print.
        timeout_s: Longest time of one call.

    Returns:
        The program: ``player CYCLES.bin OUT.bin``.
    """
    player = filled(Path(__file__).with_name("player.cpp.j2"), {"interface": interface})
    return compile_bench(verilator, interface.top, interface.files, player, project, compiler, log, timeout_s)


def compile_bench(
    verilator: Verilator,
    top: str,
    files: Sequence[str],
    bench: str,
    project: Path,
    compiler: str,
    log: Path,
    timeout_s: float,
) -> Path:
    """Compile a project and a program that drives its top module, which is the class ``Top`` there.

    Args:
        verilator: The compiler of Verilog.
        top: The top module.
        files: Its files, relative to the project.
        bench: The program in C++.
        project: The project's folder; the program goes below it.
        compiler: The C++ compiler, as found on PATH.
        log: Takes what the tools print.
        timeout_s: Longest time of one call.

    Returns:
        The program.
    """
    made = (project / "simulation").resolve()  # tools are run in folders of their own
    made.mkdir()
    command = [
        verilator.program, "--cc", "-O3", *QUIET, "--top-module", top, "--prefix", "Top", "--Mdir", made,
        *files,
    ]  # fmt: skip
    environment = {**os.environ, "VERILATOR_ROOT": str(verilator.root)}
    tools.run(command, project, log, timeout_s, environment)
    (made / "player.cpp").write_text(bench)
    include = verilator.root / "include"
    sources = [*(include / name for name in RUNTIME), *_joined(sorted(made.glob("*.cpp")))]
    common = [*FLAGS, f"-I{include}", f"-I{include / 'vltstd'}", "-I."]

    def compiled(source: Path) -> str:
        output = f"{source.stem}.o"
        tools.run([compiler, *common, "-c", source, "-o", output], made, log, timeout_s)
        return output

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        objects = list(pool.map(compiled, sources))
    tools.run([compiler, *FLAGS, *objects, "-o", "player"], made, log, timeout_s)
    return made / "player"


def _joined(sources: Sequence[Path]) -> list[Path]:
    """Files that include some of the sources each, in order, as Verilator's own make does."""
    units: list[Path] = []
    size = UNIT_BYTES
    for source in sources:
        if size >= UNIT_BYTES:
            units.append(source.with_name(f"unit{len(units)}.cpp"))
            size = 0
        with units[-1].open("a") as unit:
            unit.write(f'#include "{source.name}"\n')
        size += source.stat().st_size
    return units
