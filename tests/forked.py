"""The command line in forked processes that have the heavy libraries loaded, which takes seconds each time otherwise.

The server that is forked has imported libraries and nothing of codesign's. What a command gets is what it would get in
a process of its own: folder, arguments, environment, no input, its output in files.
"""

import multiprocessing
import os
import runpy
import sys
import tempfile
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

#: What builds import. A library that is not installed is passed over.
LIBRARIES = [
    "torch", "torch._dynamo", "safetensors.torch", "onnx", "onnxruntime", "qonnx.core.modelwrapper", "hls4ml",
    "scipy.optimize", "scipy.stats", "matplotlib.figure", "matplotlib.backends.backend_svg",
]  # fmt: skip
TIMEOUT_S = 300


def forked(module: str, arguments: tuple[str, ...], cwd: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    """Run ``python -m MODULE ARGUMENTS`` to its end.

    Returns:
        Exit code, what went to standard output, and to standard error.
    """
    with tempfile.TemporaryDirectory(prefix="codesign-tests-") as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        process = _server().Process(target=_child, args=(module, arguments, cwd, environment, out, err))
        process.start()
        process.join(TIMEOUT_S)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{module} {' '.join(arguments)} took over {TIMEOUT_S} s")
        return process.exitcode, out.read_text("utf-8"), err.read_text("utf-8")


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    return context


def _child(
    module: str, arguments: tuple[str, ...], cwd: Path, environment: dict[str, str], out: Path, err: Path
) -> None:
    for path, descriptor in ((os.devnull, 0), (out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, "w" if n else "r", encoding="utf-8") for n in range(3))
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(cwd))
    sys.argv = [module, *arguments]
    code: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
