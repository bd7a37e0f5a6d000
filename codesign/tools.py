"""Running external tools: an argument list, a working directory, a log, a time limit; never a shell."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from codesign.errors import InputError, ToolError

#: How to get a program, by its name.
INSTALL = {
    "g++": "install a C++ compiler (Debian, Ubuntu: apt-get install g++)",
    "sta": "install OpenSTA (Debian, Ubuntu: apt-get install opensta)",
}


def find(program: str) -> Path:
    """The program on PATH.

    Raises:
        InputError: It is not there.
    """
    path = shutil.which(program)
    if path is None:
        raise InputError(f"program {program!r}", "not on PATH", "", INSTALL.get(program, "install it, or fix PATH"))
    return Path(path)


def version(program: str | Path) -> str:
    """First line of ``program --version``.

    Raises:
        InputError: The program is not on PATH.
        ToolError: It says nothing for a minute.
    """
    return answer([program, "--version"]).partition("\n")[0]


def answer(command: Sequence[str | Path], timeout_s: float = 60.0) -> str:
    """What a program prints, for questions that it answers at once.

    Args:
        command: Program and arguments.
        timeout_s: Seconds after which it is killed.

    Raises:
        InputError: The program is not on PATH.
        ToolError: It ran out of time.
    """
    argv = [str(find(str(command[0]))), *(str(part) for part in command[1:])]
    try:
        result = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False,
            timeout=timeout_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ToolError(Path(argv[0]).name, f"no answer to {' '.join(argv[1:])} in {timeout_s:g} s") from None
    except OSError as error:
        raise ToolError(Path(argv[0]).name, f"cannot be run: {error.strerror}") from None
    return (result.stdout or result.stderr).strip()


def python_path() -> dict[str, str]:
    """This process's environment, in which a new Python finds the modules that this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}


def run(
    command: Sequence[str | Path],
    cwd: Path,
    log: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a tool to its end; what it prints is appended to the log.

    Args:
        command: Program and arguments.
        cwd: Working directory.
        log: File for its standard output and error.
        timeout_s: Seconds after which it is killed.
        environment: Its whole environment; None to hand on this process's.

    Raises:
        InputError: The program is not on PATH.
        ToolError: It failed or ran out of time; the message ends with the last lines of the log.
    """
    program = Path(command[0]).name
    argv = [str(find(str(command[0]))), *(str(part) for part in command[1:])]
    with log.open("ab") as out:
        try:
            result = subprocess.run(
                argv, cwd=cwd, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                timeout=timeout_s, check=False, env=environment,
            )  # fmt: skip
        except OSError as error:
            raise ToolError(program, f"cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise ToolError(program, f"not finished after {timeout_s:g} s", "", f"log: {log}") from None
    if result.returncode != 0:
        tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
        raise ToolError(program, f"exit status {result.returncode}", "0", "last lines: " + " | ".join(tail))
