"""Compiling a project's simulation library, ``firmware/PROJECT.so``."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from codesign import tools
from codesign.passes import Context
from codesign.transpile.firmware.backends import BACKENDS, BackendName

#: C++17: the newest standard that the project's headers and every g++ since 7 agree on. Nothing in them throws, and g++
#: takes three times as long for arrays of weights if each of their elements might.
FLAGS = ("-O3", "-fPIC", "-std=c++17", "-fno-gnu-unique", "-w", "-fno-exceptions")
#: What oneAPI's own build adds for its emulation on a CPU.
ONEAPI_FLAGS = ("-fsycl", "-fintelfpga", "-qactypes", "-DFPGA_EMULATOR", "-fconstexpr-steps=134217728")


@dataclass(frozen=True)
class Compilation:
    """What is compiled, and where.

    Args:
        folder: The project.
        project: Its name.
        compiler: As found on PATH.
        log: Takes what compilers print.
        timeout_s: Longest time that one compilation may take, in seconds.
    """

    folder: Path
    project: str
    compiler: str
    log: Path
    timeout_s: float

    @property
    def library(self) -> str:
        """The simulation library, relative to the project."""
        return f"firmware/{self.project}.so"

    def call(self, *arguments: str) -> None:
        """Run the compiler in the project's folder."""
        tools.run([self.compiler, *arguments], self.folder, self.log, self.timeout_s)


def compiler_of(backend: BackendName, common: str) -> str:
    """The compiler that a backend's C++ takes: the common one, or its vendor's own."""
    return BACKENDS[backend].vendors or common


def compile_project(backend: BackendName, given: Compilation, context: Context) -> None:
    """Compile, unless that takes a vendor's compiler that is not on PATH."""
    if not (vendors := BACKENDS[backend].vendors):
        _compile_commonly(given, BACKENDS[backend].includes, context)
    elif shutil.which(vendors):
        context.progress(f"{vendors}: {given.project}", 1, 4)
        _compile_oneapi(given)


def _compile_commonly(given: Compilation, includes: tuple[str, ...], context: Context) -> None:
    parts = {"firmware.o": f"firmware/{given.project}.cpp", "bridge.o": f"{given.project}_bridge.cpp"}
    flags = [*FLAGS, *(f"-I{folder}" for folder in includes)]
    for index, (output, source) in enumerate(parts.items(), 1):
        context.progress(f"{given.compiler}: {source}", index, 4)
        given.call(*flags, "-c", source, "-o", output)
    given.call(*flags, "-shared", *parts, "-o", given.library)
    for output in parts:
        (given.folder / output).unlink()
    context.progress(f"{given.compiler}: linked", 4, 4)


def _compile_oneapi(given: Compilation) -> None:
    sources = (f"src/firmware/{given.project}.cpp", f"src/{given.project}_bridge.cpp")
    (given.folder / "firmware").mkdir(exist_ok=True)
    given.call(*FLAGS[:3], *ONEAPI_FLAGS, "-Isrc", "-Isrc/firmware", "-shared", *sources, "-o", given.library)
