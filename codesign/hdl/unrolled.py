"""A fully unrolled, pipelined design: one input per clock, as Verilog or VHDL by alkaid with a top module around it."""

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.graph import Graph
from codesign.hdl.alkaid import RTLModel, static_files, write_modules
from codesign.hdl.circuit import Circuit
from codesign.hdl.interface import SUFFIXES, HdlName, Interface, Port
from codesign.templates import filled


def write_unrolled(
    circuit: Circuit,
    graph: Graph,
    top: str,
    clock_ns: float,
    levels: int,
    folder: Path,
    language: HdlName = "verilog",
) -> Interface:
    """Write the project.

    Args:
        circuit: The traced network.
        graph: For names and shapes.
        top: Name of the top module.
        clock_ns: The clock period.
        levels: Most levels of adders in a pipeline stage; alkaid counts tables and comparisons as parts of one.
        folder: Where the project goes.
        language: What it is written in.

    Raises:
        InputError: The top module's name is that of another one.
    """
    machine = RTLModel(circuit.logic, folder, top, latency_cutoff=levels, clock_period=clock_ns).fsm
    suffix = SUFFIXES[language]
    (folder / "static").mkdir(parents=True)
    for source in static_files(language):
        shutil.copyfile(source, folder / "static" / source.name)
    for name, code in write_modules(machine, f"{top}_core", language, top).items():
        _write(folder, f"{name}{suffix}", code)
    (given,), (made,) = machine.inp_signals, machine.out_signals
    shapes = graph.shapes()
    inputs = named_ports("in", {name: fixed.envelope() for name, fixed in circuit.inputs.items()}, shapes)
    outputs = named_ports("out", circuit.outputs, shapes)
    if language == "vhdl":  # which does not tell upper case from lower
        inputs, outputs = ([replace(port, name=port.name.lower()) for port in ports] for ports in (inputs, outputs))
    values = {
        "top": top,
        "stages": made.schedule.bias,
        "inputs": inputs,
        "outputs": outputs,
        "layers": graph.nodes,
        "taken": list(_taken(inputs, list(circuit.inputs.values()), given.precisions)),
        "placed": list(_placed(outputs, made.precisions)),
        "in_bits": given.width,
        "out_bits": made.width,
        "alkaid": version("alkaid"),
        "suffix": suffix,
    }
    here = Path(__file__)
    _write(folder, f"{top}{suffix}", filled(here.with_name(f"top{suffix}.j2"), values))
    (folder / "LICENSES.md").write_text(filled(here.with_name("licenses.md.j2"), values))
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{suffix}"))
    found = Interface(top, tuple(files), clock_ns, made.schedule.bias, 1, tuple(inputs), tuple(outputs))
    found.write(folder)
    return found


def _write(folder: Path, file: str, code: str) -> None:
    if any(folder.rglob(file)):
        found = f"{Path(file).stem!r}, a module that the project has already"
        raise InputError("transpile.rtl, project", found, "a name of its own")
    (folder / file).write_text(code)


def named_ports(direction: str, formats: Mapping[str, Fixed], shapes: Mapping[str, tuple[int, ...]]) -> list[Port]:
    """A port for each tensor, in one format for all its elements, of at least one bit.

    It is called after the tensor, with single underscores, as Verilator spells double ones otherwise in C++. No two
    names differ in upper and lower case alone.
    """
    taken = {"valid"}  # beside the ports of tensors
    ports: list[Port] = []
    for index, (tensor, fixed) in enumerate(formats.items()):
        name = re.sub(r"[\W_]+", "_", tensor, flags=re.ASCII).strip("_") or "tensor"
        while name.lower() in taken:
            name = f"{name}_{index}"
        taken.add(name.lower())
        width = max(int(fixed.width), 1)
        integer = width - int(fixed.fraction)
        ports.append(Port(f"{direction}_{name}", tensor, shapes[tensor], bool(fixed.signed), width, integer))
    return ports


def _taken(ports: list[Port], formats: list[Fixed], precisions: Any) -> Iterator[tuple[int, int, str, int]]:
    """For each element of the inputs: where its bits go, how many, from which port, and from where there."""
    place, elements = 0, iter(precisions)
    for port, fixed in zip(ports, formats, strict=True):
        own = np.broadcast_to(np.asarray(fixed.fraction), port.shape).reshape(-1)
        for index in range(port.elements):
            signed, before, behind = next(elements)
            bits = signed + before + behind
            if bits:
                lowest = int(port.fixed.fraction) - int(own[index]) - behind
                yield place, bits, port.name, index * port.width + lowest
            place += bits


def _placed(ports: list[Port], precisions: Any) -> Iterator[tuple[str, int, int, str, int]]:
    """What the bits of the outputs are: port, lowest bit there, how many bits, and what: ``bits`` from a place on,
    copies of the one ``bit`` at a place, or ``zeros``.
    """
    place, elements = 0, iter(precisions)
    for port in ports:
        for index in range(port.elements):
            signed, before, behind = next(elements)
            bits, lowest = signed + before + behind, index * port.width
            kept = max(min(bits, port.width + behind), 0)
            zeros = -behind if kept else 0
            parts = [("zeros", 0, zeros), ("bits", place, kept)]
            parts.append(("bit" if signed and kept else "zeros", place + bits - 1, port.width - zeros - kept))
            for what, source, count in parts:
                if count:
                    yield port.name, lowest, count, what, source
                lowest += count
            place += bits
