"""What a format says of itself, ``manifest.json``: what goes in and comes out, what was proven, whose licenses hold."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import codesign
from codesign.deploy.format.proof import Proof
from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.hdl.interface import Interface
from codesign.ops.op import Shape
from codesign.report.files.document import document_check
from codesign.typed import adapter

#: Its name in a format's folder.
MANIFEST = "manifest.json"
#: Version of the file: raised when a key is taken away or changes its meaning.
SCHEMA = "codesign-deploy/2"


@dataclass(frozen=True)
class Tensor:
    """An input or output of the network.

    Args:
        name: The network's own.
        shape: Without the batch axis.
        formats: Of its elements in C order, such as ``fixed<16,4>``; one alone if all are the same.
        fractions: Bits right of the binary point, likewise: a code is worth ``2**-fraction``.
    """

    name: str
    shape: tuple[int, ...]
    formats: tuple[str, ...]
    fractions: tuple[int, ...]

    @property
    def fixed(self) -> Fixed:
        """The formats, as arrays of the tensor's shape where they differ.

        Raises:
            InputError: They are none, or not as many as elements.
        """
        each = [Fixed.of_text(text) for text in self.formats]
        known = [one for one in each if one is not None]
        if len(known) < len(each) or len(each) not in (1, prod(self.shape)):
            raise InputError(
                f"tensor {self.name!r}", f"formats {list(self.formats[:4])}", "one, or one for each element"
            )
        if len(known) == 1:
            return known[0]
        parts = ([getattr(one, part) for one in known] for part in ("signed", "width", "integer"))
        return Fixed(*(np.array(part).reshape(self.shape) for part in parts))

    @classmethod
    def of(cls, name: str, shape: Shape, fixed: Fixed) -> "Tensor":
        """A tensor in a format."""
        parts = np.broadcast_arrays(np.empty(shape), fixed.signed, fixed.width, fixed.integer)[1:]
        each = [
            Fixed(bool(signed), int(width), int(integer))
            for signed, width, integer in zip(*(part.reshape(-1) for part in parts), strict=True)
        ]
        formats, fractions = [str(one) for one in each], [int(one.fraction) for one in each]
        if len(set(formats)) == 1:
            formats, fractions = formats[:1], fractions[:1]
        return cls(name, tuple(shape), tuple(formats), tuple(fractions))


def tensors_of(interface: Interface) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and outputs of an RTL project."""
    given, made = (
        [Tensor.of(port.tensor, port.shape, port.fixed) for port in ports]
        for ports in (interface.inputs, interface.outputs)
    )
    return given, made


@dataclass(frozen=True)
class Part:
    """Something inside that was not made by the user.

    Args:
        what: What it is.
        license: Its SPDX name; empty for that of the network.
        holder: Whose it is.
    """

    what: str
    license: str
    holder: str


@dataclass(frozen=True)
class Manifest:
    """A format for deployment.

    Args:
        format: The pass that made it.
        name: What it is called.
        version: The user's own number.
        inputs: In the network's order; a sample's numbers are theirs, one after another.
        outputs: Likewise.
        normalization: As in the report: what is applied to inputs, and where; None if nothing is.
        classes: Names of the outputs, where the data has them.
        proof: What was proven of the integers.
        parts: What is inside, with licenses; the network itself is the user's.
        more: What this format alone has to say.
    """

    format: str
    name: str
    version: int
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    normalization: Mapping[str, Any] | None
    classes: Sequence[str]
    proof: Proof
    parts: Sequence[Part] = ()
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(
        cls,
        report: Mapping[str, Any],
        step: tuple[str, str, int],
        tensors: tuple[Sequence[Tensor], Sequence[Tensor]],
        proof: Proof,
        parts: Sequence[Part],
        more: Mapping[str, Any],
    ) -> "Manifest":
        """A format of a build.

        Args:
            report: The build's own, as ``report.summary`` leaves it.
            step: The pass that made it, what it is called, and the user's own number.
            tensors: Inputs and outputs.
            proof: What was proven of the integers.
            parts: What is inside.
            more: What this format alone has to say.
        """
        given = report["input"]
        return cls(*step, *tensors, given["normalization"], given["classes"], proof, parts, more)

    def record(self) -> dict[str, Any]:
        """The content of the file."""
        checks = [document_check(vars(check)) for check in self.proof.checks]
        return {
            "schema": SCHEMA,
            **{name: value for name, value in vars(self).items() if name not in ("proof", "parts", "more")},
            "inputs": [asdict(tensor) for tensor in self.inputs],
            "outputs": [asdict(tensor) for tensor in self.outputs],
            **self.more,
            "proof": {"status": self.proof.status, "checks": checks},
            "licenses": [asdict(part) for part in self.parts],
            "codesign": codesign.__version__,
        }

    def write(self, folder: Path) -> None:
        """Write the file into a format's folder."""
        content: bytes = adapter(dict[str, Any]).dump_json(self.record(), indent=1)
        (folder / MANIFEST).write_bytes(content + b"\n")
