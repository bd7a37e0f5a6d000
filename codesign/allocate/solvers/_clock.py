"""The time that a solver has."""

from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True)
class Clock:
    """The time until a deadline."""

    deadline: float

    @classmethod
    def of(cls, seconds: float) -> "Clock":
        """Starts now."""
        return cls(monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds left; not positive when the time is over."""
        return self.deadline - monotonic()
