"""Running external tools: an argument list, a working directory, a log, a time limit; never a shell."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from math import inf
from pathlib import Path
from typing import IO, Any

from codesign.errors import InputError, ToolError

#: How to get a program, by its name.
INSTALL = {
    "g++": "install a C++ compiler (Debian, Ubuntu: apt-get install g++)",
    "ghdl": "install it (Debian, Ubuntu: apt-get install ghdl), or set transpile.rtl.language to verilog",
    "ecppack": "install Project Trellis, or take nextpnr-ecp5 off PATH for pip install 'codesign[rtl]'",
    "sta": "install OpenSTA (Debian, Ubuntu: apt-get install opensta)",
}


def require_time(where: str, timeout_s: float) -> None:
    """Refuse a time limit that is none.

    Raises:
        InputError: It is not positive, or no number.
    """
    if not 0 < timeout_s < inf:
        raise InputError(where, f"{timeout_s}", "a positive number of seconds")


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
        _, said, complained = _finish(argv, timeout_s, subprocess.PIPE, subprocess.PIPE)
    except subprocess.TimeoutExpired:
        raise ToolError(Path(argv[0]).name, f"no answer to {' '.join(argv[1:])} in {timeout_s:g} s") from None
    except OSError as error:
        raise ToolError(Path(argv[0]).name, f"cannot be run: {error.strerror}") from None
    return (said or complained).decode(errors="replace").strip()


def _finish(
    argv: Sequence[str],
    timeout_s: float,
    out: int | IO[bytes],
    errors: int | IO[bytes],
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, bytes, bytes]:
    """Run a program to its end; out of time, or interrupted, it is killed with all that it started.

    Returns:
        Exit status, and what came of output and errors where they are pipes.
    """
    process = None
    try:
        with _signals_wait():  # so that no program is there that this process does not know of
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                cwd=cwd,
                env=environment,
                start_new_session=True,
            )
        said, complained = process.communicate(timeout=timeout_s)
    except BaseException:
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a session has the number of its first process
            process.communicate()
        raise
    return process.returncode, said or b"", complained or b""


@contextmanager
def _signals_wait() -> Generator[None]:
    """Signals that end a process, and that it doesn't ignore, come after what is done inside.

    They are not blocked, for a program that is started inside would never see them.
    """
    came: list[int] = []
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # no other may say what is done about signals
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)


def python_path() -> dict[str, str]:
    """This process's environment, in which a new Python finds the modules that this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}


def run(
    command: Sequence[str | Path],
    cwd: Path,
    log: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    output: Path | None = None,
) -> None:
    """Run a tool to its end; what it prints is appended to the log.

    Args:
        command: Program and arguments.
        cwd: Working directory.
        log: File for its standard output and error.
        timeout_s: Seconds after which it is killed.
        environment: Its whole environment; None to hand on this process's.
        output: File for its standard output, written anew; None for the log.

    Raises:
        InputError: The program is not on PATH.
        ToolError: It failed or ran out of time; the message ends with the last lines of the log.
    """
    program = Path(command[0]).name
    argv = [str(find(str(command[0]))), *(str(part) for part in command[1:])]
    before = log.stat().st_size if log.is_file() else 0
    with log.open("ab") as said, output.open("wb") if output else nullcontext(said) as out:
        try:
            status, _, _ = _finish(argv, timeout_s, out, said, cwd, environment)
        except OSError as error:
            raise ToolError(program, f"cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise ToolError(program, f"not finished after {timeout_s:g} s", "", f"log: {log}") from None
    if status != 0:
        tail = log.read_bytes()[before:].decode(errors="replace").strip().splitlines()[-5:]
        said = f"last lines: {' | '.join(tail)}" if tail else "it said nothing"
        raise ToolError(program, _ended(status), "exit status 0", f"log: {log}; {said}")


def _ended(status: int) -> str:
    """How a program ended, in words."""
    if status >= 0:
        return f"exit status {status}"
    return f"killed by signal {-status} ({signal.strsignal(-status)})" + ("; was memory short?" if status == -9 else "")
