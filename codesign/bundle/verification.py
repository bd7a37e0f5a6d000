"""Verifying a bundle: every byte, then the proofs from it alone, then new data if there is some."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codesign.bundle.contents import Contents, Opened, opened
from codesign.bundle.data import read_inputs
from codesign.bundle.drift import Drift, drift
from codesign.bundle.proofs import prove
from codesign.deploy.format.manifest import MANIFEST
from codesign.design import Check
from codesign.errors import CodesignError, InputError
from codesign.report.files.document import document_check
from codesign.store import digest_file


@dataclass(frozen=True)
class Verified:
    """What was found of a bundle.

    Args:
        bundle: The archive.
        sha256: Of it.
        files: How many it holds, all as they were packed.
        contents: What it says of itself.
        checks: The proofs that were run here.
        drift: What the new data gives; None if there was none.
    """

    bundle: Path
    sha256: str
    files: int
    contents: Contents
    checks: tuple[Check, ...]
    drift: Drift | None

    @property
    def failures(self) -> list[str]:
        """What does not hold."""
        marked = [] if self.contents.proven else ["the bundle is marked as unproven: a check of its build differs"]
        return [*(check.failure for check in self.checks if check.failure), *marked]

    def record(self) -> Mapping[str, Any]:
        """The same as JSON."""
        return {
            "bundle": str(self.bundle),
            "sha256": self.sha256,
            "files": self.files,
            "proof": self.contents.proof.status,
            "failures": self.failures,
            "checks": [document_check(vars(check)) for check in self.checks],
            "drift": None if self.drift is None else {"data": asdict(self.drift), "test": asdict(self.contents.drift)},
        }


def verify(bundle: Path, data: Path | None = None) -> Verified:
    """Verify a bundle in a temporary folder, which is gone afterwards; nothing is run before all hashes hold.

    Args:
        bundle: The archive.
        data: An ``.npz`` file of new data.

    Raises:
        CodesignError: It is damaged or no bundle, the data don't fit, or a tool failed.
    """
    if not bundle.is_file():
        found = "no file" if bundle.exists() else "no such file"
        raise InputError(str(bundle), found, "a bundle, as codesign deploy --format bundle writes it")
    with tempfile.TemporaryDirectory(prefix="codesign-verify-") as place:
        folder, work = Path(place) / "bundle", Path(place) / "work"
        folder.mkdir()
        work.mkdir()
        digest = digest_file(bundle)
        found = opened(bundle, folder)
        try:
            return _verified(bundle, digest, found, data, work)
        except (CodesignError, OSError):
            raise
        except Exception as error:  # files of others make readers raise anything at all
            said = f"cannot be read ({type(error).__name__}: {error})"
            raise InputError(str(bundle), said, "what codesign deploy put into it") from error


def _verified(bundle: Path, digest: str, found: Opened, data: Path | None, work: Path) -> Verified:
    contents, given = found.contents, None
    inputs = None if data is None else read_inputs(data, contents)
    checks = prove(found, work)
    if inputs is not None:
        network, floats = found.path(contents.network), found.path(contents.float_network)
        given = drift(network, floats, contents.inputs, inputs, contents.decides)
        if not given.alike(contents.drift):
            found_there = "a test split of no samples, or of other tensors than the networks have"
            raise InputError(f"{bundle}, {MANIFEST}, drift", found_there, "what codesign deploy put into it")
    return Verified(bundle, digest, found.files, contents, tuple(checks), given)
