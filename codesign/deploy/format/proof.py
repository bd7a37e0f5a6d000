"""Whether what a build gave was proven: what differs is not deployed, unless that is asked for, and then says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from codesign.design import Check
from codesign.errors import InputError


@dataclass(frozen=True)
class Proof:
    """What is known of a build's integers.

    Args:
        status: ``unproven`` if any hop differs. A hop that was not checked is no failure.
        checks: The hops.
    """

    status: Literal["proven", "unproven"]
    checks: tuple[Check, ...]

    @classmethod
    def of(cls, checks: Mapping[str, Check], where: str, allow_unproven: bool) -> "Proof":
        """Judge the hops of a build.

        Args:
            checks: By name.
            where: The pass, for messages.
            allow_unproven: Whether hops may differ.

        Raises:
            InputError: One differs, and may not.
        """
        failures = [check.failure for check in checks.values() if check.failure]
        if failures and not allow_unproven:
            step = "find out why, or have it marked as unproven: --allow-unproven"
            raise InputError(where, f"the proof failed: {'; '.join(failures)}", "equal integers at every hop", step)
        return cls("unproven" if failures else "proven", tuple(checks.values()))
