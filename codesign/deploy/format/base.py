"""What formats for deployment have in common: they are made of a finished build whose proofs hold."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from codesign.deploy.format.proof import Proof
from codesign.design import Design
from codesign.errors import InputError
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class Format(Pass):
    """A format for deployment: a pass that reads what the build's report and its proofs say.

    Whoever writes one says what else it ``reads``, as in ``(*Format.reads, "quantized")``, and makes it in ``make``.

    Args:
        allow_unproven: Whether to go on where a check of the build differs; what is made is then marked ``unproven``.
    """

    allow_unproven: bool = field(default=False, kw_only=True)

    reads: ClassVar[tuple[str, ...]] = ("report", "checks")

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Make it, if the build is proven or need not be."""
        return self.make(design, context, Proof.of(design.checks, self.name, self.allow_unproven))

    def require_least(self, **least: int) -> None:
        """Refuse numbers that are too low.

        Args:
            least: The lowest number of each option, by name.

        Raises:
            InputError: One is lower.
        """
        for option, lowest in least.items():
            if getattr(self, option) < lowest:
                raise InputError(f"{self.name}, {option}", f"{getattr(self, option)}", f"{lowest} or more")

    @abstractmethod
    def make(self, design: Design, context: Context, proof: Proof) -> Mapping[str, object]:
        """Do the work.

        Args:
            design: Holds what the pass declared to read.
            context: Store, seed, progress.
            proof: What is known of the build's integers, for the manifest.

        Returns:
            Every declared field, and only those.
        """
