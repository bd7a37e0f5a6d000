"""What a check says, and what says it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from codesign.check._subject import Subject

#: A build stops at it; numbers change, and with them maybe the accuracy; or no number does.
Effect = Literal["stops", "changes", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Args:
        effect: What it does to a build.
        where: The node or tensor.
        found: What is there.
        needed: What the number system or the target needs.
        action: What ``codesign`` does about it by itself, or what the user has to do.
    """

    effect: Effect
    where: str
    found: str
    needed: str
    action: str


class Rule(ABC):
    """One thing to look for."""

    @abstractmethod
    def findings(self, subject: Subject) -> Iterator[Finding]:
        """Everything of its kind in a model."""
