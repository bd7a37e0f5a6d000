"""`transpile.retarget`: from here on the design is for another chip, in flows that know how to go to one alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from codesign.design import Design
from codesign.hdl.families import family_of
from codesign.passes import Context, Pass
from codesign.shipped import shipped_path
from codesign.target import Target, load_target


@dataclass(frozen=True)
class Retarget(Pass):
    """Set the target of the passes that follow, unless the build's own is of the same family of chips.

    Bits were chosen for the build's target, and costs stay counted for it; what comes after is made for, and held
    against, this one.

    Args:
        target: A shipped target's name, or a path to a TOML file.
    """

    target: Path

    reads: ClassVar[tuple[str, ...]] = ("target",)
    writes: ClassVar[tuple[str, ...]] = ("target", "chosen_for", "notices")
    moves_target: ClassVar[bool] = True

    def files(self) -> tuple[Path, ...]:
        """The target's file, and that of its standard cells."""
        target = load_target(self._name, Path())
        return (shipped_path("target", self._name, Path()), *([Path(target.liberty)] if target.standard_cells else []))

    def versions(self) -> Mapping[str, str]:
        """Where the standard cells are: their path is handed on."""
        return {"liberty": load_target(self._name, Path()).liberty}

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Read the target, compare families."""
        own, other = design.target, load_target(self._name, Path())
        if _technology(own) == _technology(other):
            notice = f"{self.name} left the target {own.name}, which is of the same family as {other.name}"
            return {"target": own, "chosen_for": own, "notices": {self.name: notice} if own != other else {}}
        notice = f"bits were chosen for the target {own.name}; from {self.name} on everything is for {other.name}"
        return {"target": other, "chosen_for": own, "notices": {self.name: notice}}

    @property
    def _name(self) -> str:
        """A name in a build file has the file's folder before it, as paths have."""
        return str(self.target) if self.target.suffix == ".toml" else self.target.name


def _technology(target: Target) -> str:
    """What makes parts alike; one that is not known is like no other."""
    return "standard cells" if target.standard_cells else family_of(target.part) or target.part
