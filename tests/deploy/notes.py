"""Formats of another package: one of any build, one of what the tests' build does not have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from codesign.deploy.format.base import Format
from codesign.deploy.format.proof import Proof
from codesign.design import Artifact, Check, Design, Measure
from codesign.passes import Context


@dataclass(frozen=True)
class Note(Format):
    """A file with the proof, and what was checked.

    Args:
        text: What it says beside.
    """

    text: str = "none"

    name = "deploy.note"
    reads: ClassVar[tuple[str, ...]] = (*Format.reads, "quantized")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.note", "measures", "checks")

    def make(self, design: Design, context: Context, proof: Proof) -> Mapping[str, object]:
        unchecked = sum(check.status == "not_checked" for check in proof.checks)
        checks = " ".join(check.end for check in proof.checks)
        content = f"{self.text} {proof.status} {unchecked} {checks}"
        return {
            "artifacts": {"note": Artifact("note.txt", context.store.put(content.encode()))},
            "measures": {"notes": Measure(1.0, "file", "simulated", self.name)},
            "checks": {"numpy->note": Check("numpy", "note", 1, 0, "exact", "none")},
        }


@dataclass(frozen=True)
class Core(Format):
    """A format of Verilog."""

    name = "deploy.core"
    reads: ClassVar[tuple[str, ...]] = (*Format.reads, "artifacts.rtl")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.core",)

    def make(self, design: Design, context: Context, proof: Proof) -> Mapping[str, object]:
        raise AssertionError
