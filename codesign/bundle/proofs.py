"""The proofs of a build once more, from its bundle alone: test vectors against the integers that lie beside them."""

import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from codesign.bundle.contents import Opened
from codesign.capture import output_to
from codesign.design import Check
from codesign.errors import CodesignError, InputError, ToolError
from codesign.fixed import Codes

#: The C++ compiler, and the longest time that one call of a tool may take.
COMPILER, TIMEOUT_S = "g++", 3600.0
START = "vectors"


@dataclass(frozen=True)
class _Case:
    """What a representation is run on.

    Args:
        bundle: Where it is from.
        inputs: Codes of the test vectors.
        wanted: Codes of what must come out.
        work: A folder for logs and what is compiled.
    """

    bundle: Opened
    inputs: Sequence[Codes]
    wanted: Sequence[Codes]
    work: Path

    def project(self, name: str) -> Path:
        """A copy of a project in the bundle, which tools may write into."""
        folder = self.work / name
        shutil.copytree(self.bundle.path(self.bundle.contents.artifacts[name]), folder)
        return folder

    def not_checked(self, end: str, why: str) -> Check:
        """A hop that could not be run."""
        return Check(START, end, 0, 0, "not_checked", why)

    def checked(self, end: str, mismatches: int, detail: str) -> Check:
        """A hop that was run on all vectors."""
        status = "differs" if mismatches else "exact"
        return Check(START, end, len(self.inputs[0].values), mismatches, status, detail)


def prove(bundle: Opened, work: Path) -> list[Check]:
    """Run what is inside on the test vectors and compare integers, without tolerance.

    Args:
        bundle: The bundle.
        work: An empty folder.

    Raises:
        CodesignError: A file is not what the manifest says, or a tool failed.
    """
    contents = bundle.contents
    inputs = bundle.codes(contents.vectors.inputs, contents.inputs)
    wanted = bundle.codes(contents.vectors.outputs, contents.outputs)
    case = _Case(bundle, inputs, wanted, work)
    checks = [_run(case, name, proof) for name, proof in _PROOFS.items() if name in contents.artifacts]
    return checks + [case.not_checked(name, NOT_RUN) for name in HASHED if name in contents.artifacts]


def _run(case: _Case, name: str, proof: Callable[[_Case], Check]) -> Check:
    """One proof.

    Raises:
        InputError: What is inside is not what codesign writes.
    """
    try:
        return proof(case)
    except ToolError as error:  # the log that it names goes with the temporary folder; its last lines stay
        _, words, lines = error.next_step.partition("last lines: ")
        where = f"{case.bundle.where}, {name}: {error.where}"
        raise ToolError(where, error.found, error.wanted, words + lines) from error
    except CodesignError:
        raise
    except Exception as error:  # files of others make readers raise anything at all
        found = f"cannot be run ({type(error).__name__}: {error})"
        raise InputError(f"{case.bundle.where}, {name}", found, "what codesign deploy put into it") from error


def _qonnx(case: _Case) -> Check:
    """The QONNX file."""
    from codesign.verify.hops import representations as hops

    contents = case.bundle.contents
    reals = [codes.real() for codes in case.inputs]
    names = [tensor.name for tensor in contents.outputs]
    path = case.bundle.path(contents.network)
    with output_to(case.work / "qonnx.log"):
        found, detail = hops.qonnx_outputs(path, names, contents.mantissa_bits, reals)
    return hops.compare(START, "qonnx", [codes.real() for codes in case.wanted], found, detail)


def _hls4ml(case: _Case) -> Check:
    """The C++ of hls4ml, compiled anew."""
    import json

    from codesign.passes import Context
    from codesign.store import Store
    from codesign.transpile.firmware.backends import BACKENDS
    from codesign.transpile.firmware.compile import Compilation, compile_project, compiler_of
    from codesign.transpile.firmware.options import INTERFACE
    from codesign.verify.hops import representations as hops

    folder = case.project("hls4ml")
    backend = json.loads((folder / INTERFACE).read_text())["made_for"].partition(",")[0]
    bridges = list(folder.rglob("*_bridge.cpp"))
    if backend not in BACKENDS or len(bridges) != 1:
        raise InputError(f"{case.bundle.where}, hls4ml", "no project that this version can compile", "one of hls4ml's")
    compiler = compiler_of(backend, COMPILER)
    if shutil.which(compiler) is None:
        return case.not_checked("hls4ml", f"no {compiler} on PATH")
    for library in (folder / "firmware").glob("*.so"):
        library.unlink()
    log, name = case.work / "hls4ml.log", bridges[0].name.removesuffix("_bridge.cpp")
    context = Context(Store(case.work / "store"), case.work)
    compile_project(backend, Compilation(folder, name, compiler, log, TIMEOUT_S), context)
    shapes = {tensor.name: tensor.shape for tensor in case.bundle.contents.outputs}
    found, detail = hops.hls4ml_outputs(shapes, folder, case.inputs, case.work)
    return hops.compare(START, "hls4ml", [codes.real() for codes in case.wanted], found, f"{detail}, compiled anew")


def _rtl(case: _Case) -> Check:
    """The RTL, cycle by cycle."""
    from codesign.hdl.ghdl import as_verilog, why_not_simulated
    from codesign.hdl.interface import Interface
    from codesign.hdl.play import play
    from codesign.hdl.verilator import compile_player, find_verilator

    folder, log = case.project("rtl"), case.work / "rtl.log"
    try:
        verilator = find_verilator()
    except InputError as error:
        return case.not_checked("rtl", str(error))
    if shutil.which(COMPILER) is None:
        return case.not_checked("rtl", f"no {COMPILER} on PATH")
    written = Interface.read(folder)
    if why := why_not_simulated(written):
        return case.not_checked("rtl", why)
    interface = as_verilog(written, folder, log, TIMEOUT_S)
    player = compile_player(verilator, interface, folder, COMPILER, log, TIMEOUT_S)
    found = play(player, interface, case.inputs, case.wanted, case.bundle.contents.seed, log, TIMEOUT_S)
    said = "no output" if found.latency is None else f"{found.latency} cycles"
    return case.checked("rtl", found.mismatches, f"Verilator {verilator.version}, pipelined, {said}")


def _emulator(case: _Case) -> Check:
    """The emulator library, as it is."""
    import json

    from codesign.deploy.format.manifest import MANIFEST
    from codesign.verify.hops.emulator import emulator_mismatches

    contents = case.bundle.contents
    if platform.machine() != contents.machine:
        return case.not_checked("emulator", f"the library is for {contents.machine}, this is {platform.machine()}")
    folder = case.project("emulator")
    manifest = json.loads((folder / MANIFEST).read_text())
    count = len(case.inputs[0].values)
    codes = np.concatenate([x.values.reshape(count, -1) for x in case.inputs], 1)
    reals = np.concatenate([x.real().reshape(count, -1) for x in case.inputs], 1).astype(np.float32)
    pairs = list(zip(case.wanted, manifest["outputs"], strict=True))
    wanted = [codes.align(tensor["fractions"][0]).values.reshape(count, -1) for codes, tensor in pairs]
    steps = [2.0 ** -tensor["fractions"][0] for _, tensor in pairs for _ in range(prod(tensor["shape"]))]
    library, name = folder / Path(manifest["library"]).name, manifest["name"]
    wrong = emulator_mismatches(library, name, (reals, codes), np.concatenate(wanted, 1), steps, case.work)
    return case.checked("emulator", wrong, "the library inside, reals and codes")


#: Artifacts with proofs of their build that are not run again.
HASHED = ("ip", "patterns")
NOT_RUN = "its hashes hold; its own test ran when it was made, and is not run again"
#: How each artifact is proven; of others, hashes alone are checked.
_PROOFS: dict[str, Callable[[_Case], Check]] = {"qonnx": _qonnx, "hls4ml": _hls4ml, "rtl": _rtl, "emulator": _emulator}
