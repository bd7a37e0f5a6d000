"""What an opened bundle says of itself, read strictly: the part of its manifest that ``codesign verify`` works with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from codesign.arrays import IntArray
from codesign.bundle.archive import unpack
from codesign.bundle.drift import Drift
from codesign.deploy.format.manifest import MANIFEST, Tensor
from codesign.errors import InputError
from codesign.fixed import Codes
from codesign.typed import parse


@dataclass(frozen=True)
class Vectors:
    """Inputs and the outputs that the integer network gives for them, as codes.

    Args:
        test: How many are of the test split, first.
        corners: How many are at ends of the inputs' ranges.
        inputs, outputs: Files, one for each tensor, of integers ``[vectors, ...]``.
    """

    test: int
    corners: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """What the build's own checks came to."""

    status: Literal["proven", "unproven"]


@dataclass(frozen=True)
class Contents:
    """A bundle.

    Args:
        inputs, outputs: The network's tensors.
        classes: Names of the data's classes, of the outputs if the largest of them decides; empty without any.
        arrays: What the inputs are called where the build's data is from.
        normalization: What is applied to inputs, and where; None if nothing is.
        outside: Whether that is done before the network, so that new data need it.
        sent: Whether the inputs are words of their formats, as the trigger sends them.
        decides: Whether the largest output is a decision.
        mantissa_bits: Bits that a float type needs to run the QONNX file exactly.
        network, float_network: The QONNX file, and the float network's ONNX file.
        vectors: Test vectors.
        artifacts: Files and folders by the name that the build gives them.
        drift: What the whole test split gives.
        machine: What compiled libraries are for.
        seed: The build's.
        proof: Of the build.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    classes: tuple[str, ...]
    arrays: tuple[str, ...]
    normalization: dict[str, Any] | None
    outside: bool
    sent: bool
    decides: bool
    mantissa_bits: int
    network: str
    float_network: str
    vectors: Vectors
    artifacts: dict[str, str]
    drift: Drift
    machine: str
    seed: int
    proof: Judged

    @property
    def proven(self) -> bool:
        """Whether no hop of the build differed."""
        return self.proof.status == "proven"


@dataclass(frozen=True)
class Opened:
    """A bundle whose every byte is as it was packed.

    Args:
        where: The archive, for messages.
        folder: Its files.
        contents: What it says of itself.
        files: How many it holds.
    """

    where: str
    folder: Path
    contents: Contents
    files: int

    def codes(self, names: Sequence[str], tensors: Sequence[Tensor]) -> list[Codes]:
        """Test vectors.

        Raises:
            InputError: A file is no array of integers of a tensor's shape.
        """
        vectors = self.contents.vectors
        count = vectors.test + vectors.corners
        if len(names) != len(tensors):
            raise InputError(f"{self.where}, {MANIFEST}", f"{len(names)} files of vectors", f"{len(tensors)}")
        pairs = zip(names, tensors, strict=True)
        return [Codes(self._array(name, (count, *tensor.shape)), tensor.fixed.fraction) for name, tensor in pairs]

    def _array(self, name: str, shape: tuple[int, ...]) -> IntArray:
        try:
            found: npt.NDArray[Any] = np.load(self.path(name), allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{self.where}, {name}", f"not an array ({error})", "an .npy file of integers") from None
        if found.shape != shape or found.dtype.kind != "i":
            said = f"shape {list(found.shape)} of {found.dtype}"
            raise InputError(f"{self.where}, {name}", said, f"integers of shape {list(shape)}")
        return found.astype(np.int64)

    def path(self, name: str) -> Path:
        """Where a file or folder of the bundle is.

        Raises:
            InputError: It is not inside.
        """
        place = (self.folder / name).resolve()
        if not place.is_relative_to(self.folder.resolve()) or not place.exists():
            raise InputError(f"{self.where}, {MANIFEST}", f"names {name!r}, which is not in the bundle", "a file of it")
        return place


def opened(archive: Path, folder: Path) -> Opened:
    """Take a bundle apart into an empty folder, once every byte of it was found to be as it was packed.

    Raises:
        InputError: It is damaged, no bundle, or not one that this version can read.
    """
    manifest: Mapping[str, Any] = unpack(archive, folder)
    names = [field.name for field in fields(Contents)]
    own = {name: manifest[name] for name in names if name in manifest}
    contents = parse(Contents, own, f"{archive}, {MANIFEST}")
    return Opened(str(archive), folder, contents, len(manifest["files"]))
