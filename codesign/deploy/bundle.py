"""`deploy.bundle`: one archive with all that was made of a network, which can be verified with nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from codesign.deploy.format.base import Format
from codesign.deploy.format.proof import Proof
from codesign.design import Artifact, Design
from codesign.passes import Context
from codesign.sources import ENVIRONMENT
from codesign.words import require_c_name


@dataclass(frozen=True)
class Bundle(Format):
    """Pack every file of the build, the report and test vectors into one archive with a manifest.

    Made twice of the same build, the archive is the same bytes. `codesign verify` checks every one of them, reruns the
    proofs from the archive alone, and holds new data against the test split.

    Args:
        project: Name of the network: the archive is PROJECT_vVERSION.bundle.zip.
        version: Of the network, from 0.
        vectors: Most test vectors of the test split that go into it, the first ones; 0 for the whole split.
    """

    project: str = "network"
    version: int = 1
    vectors: int = 0

    reads: ClassVar[tuple[str, ...]] = (
        *(*Format.reads, "dataset", "graph", "quantized", "artifacts.qonnx", "artifacts"),
        *("measures", "front", "allocation", "target"),
    )
    optional: ClassVar[tuple[str, ...]] = ("notices", "chosen_for")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.bundle",)
    distributions: ClassVar[tuple[str, ...]] = ENVIRONMENT
    seeded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_c_name(f"{self.name}, project", self.project)
        self.require_least(version=0, vectors=0)

    def files(self) -> tuple[Path, ...]:
        """What the page of the report is made of."""
        from codesign.report.files.page import PAGE

        return tuple(sorted(path for path in PAGE.rglob("*") if path.is_file()))

    def make(self, design: Design, context: Context, proof: Proof) -> Mapping[str, object]:
        """Gather, describe, pack."""
        from codesign.bundle.archive import pack
        from codesign.deploy._gather import Gathered, described

        with context.store.scratch() as scratch:
            context.progress("bundle: test split", 0, 2)
            gathered = Gathered.of(design, context, scratch, self.vectors)
            context.progress("bundle: packing", 1, 2)
            manifest = described(design, context, gathered, proof, self.project, self.version)
            manifest.write(scratch)
            archive = scratch / "bundle.zip"
            pack(gathered.with_manifest(scratch), archive)
            digest = context.store.put(archive.read_bytes())
        context.progress("bundle: packed", 2, 2)
        return {"artifacts": {"bundle": Artifact(f"{self.project}_v{self.version}.bundle.zip", digest)}}
