"""The one family of errors: where, what was found, what was wanted, what to do next."""

from collections.abc import Iterable
from difflib import get_close_matches


class CodesignError(Exception):
    """Base of every error that codesign raises on purpose.

    Args:
        where: File, option, layer or pass the error is about.
        found: What was found there.
        wanted: What was expected instead; may be empty.
        next_step: What the user can do about it; may be empty.
    """

    def __init__(self, where: str, found: str, wanted: str = "", next_step: str = "") -> None:
        self.where, self.found, self.wanted, self.next_step = where, found, wanted, next_step
        parts = [f"{where}: {found}"]
        if wanted:
            parts.append(f"wanted: {wanted}")
        if next_step:
            parts.append(next_step)
        super().__init__("; ".join(parts))


class InputError(CodesignError):
    """The user's input (file, option, model, data, machine) does not allow the build."""


class ContractError(CodesignError):
    """A pass broke its declared contract, or the design is inconsistent: a defect, not the user's fault."""


class ToolError(CodesignError):
    """An external tool failed, timed out or wrote something unreadable."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the known names closest to a misspelt one, or list all when none is close."""
    names = sorted(known)
    close = get_close_matches(word, names, n=2, cutoff=0.6)
    if not close:  # a last part alone ("qat" for "finetune.qat") is close too
        close = [name for name in names if word and word in name][:2]
    if close:
        return "did you mean " + " or ".join(repr(name) for name in close) + "?"
    return "known: " + (", ".join(names) if names else "none")
