"""`codesign check`: everything about a model that would stop a build or cost accuracy, before anything runs.

One rule per file. To add one, write a file here, or name a class under the entry point group ``codesign.checks``.
"""

from functools import cache

from codesign.check._finding import Effect, Finding, Rule
from codesign.check._subject import Subject
from codesign.plugins import plugins

__all__ = ["Effect", "Finding", "Rule", "Subject", "findings", "rules"]

ENTRY_POINTS = "codesign.checks"
ORDER: tuple[Effect, ...] = ("stops", "changes", "note")


@cache
def rules() -> dict[str, type[Rule]]:
    """Every rule by name.

    Raises:
        ContractError: Two owners claim one name.
        InputError: A package's rule cannot be imported, or is none.
    """
    return plugins(__name__, ENTRY_POINTS, Rule, "check")


def findings(subject: Subject) -> list[Finding]:
    """What all rules find, the gravest first, and what was refused; the import's only where no rule names its node.

    Args:
        subject: The model, as far as it could be read.
    """
    found = [finding for kind in rules().values() for finding in kind().findings(subject)]
    named = {finding.where for finding in found if finding.effect == "stops" and subject.graph is None}
    found += [finding for finding in subject.refusals if finding.where not in named]
    return sorted(dict.fromkeys(found), key=lambda finding: ORDER.index(finding.effect))
