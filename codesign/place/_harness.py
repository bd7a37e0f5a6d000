"""A network between shift registers: few pins, and no path but from register to register."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from codesign.hdl.interface import Interface, Port
from codesign.templates import filled


def write_harness(interface: Interface, project: Path) -> Interface:
    """Put a module around a project's top module.

    Args:
        interface: What the project says of itself.
        project: Its folder; the module goes there.

    Returns:
        The project with that module on top, whose two ports are of one bit.
    """
    name, inputs, outputs = f"{interface.top}_harness", interface.inputs, interface.outputs
    given, made = (Port(serial, serial, (1,), False, 1, 1) for serial in ("serial_in", "serial_out"))
    values = {
        "name": name,
        "top": interface.top,
        "inputs": _places(inputs),
        "outputs": _places(outputs),
        "in_bits": sum(port.bits for port in inputs),
        "out_bits": sum(port.bits for port in outputs),
    }
    (project / f"{name}.v").write_text(filled(Path(__file__).with_name("harness.v.j2"), values))
    files = (*interface.files, f"{name}.v")
    return replace(interface, top=name, files=files, inputs=(given,), outputs=(made,))


def _places(ports: Sequence[Port]) -> list[tuple[int, Port]]:
    """Each port with its lowest bit in the vector of all."""
    return list(zip(accumulate((port.bits for port in ports), initial=0), ports, strict=False))
