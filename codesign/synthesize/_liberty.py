"""Liberty files: the tree of groups and attributes, and where it is not one.

Liberty User Guide, volume 1, chapter 1: a group is ``name (arguments) { ... }``, an attribute ``name : value ;`` or
``name (values) ;``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codesign.errors import InputError

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|\\[ \t\r]*\n|/\*.*?\*/|//[^\n]*)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>[(){}:;,])"""
    r"""|(?P<word>[^\s(){}:;,"\\]+)""",
    re.S,
)


@dataclass(frozen=True)
class Group:
    """A group.

    Args:
        kind: Such as ``cell``.
        name: Its first argument; empty without one.
        attributes: Values by name; of several values, joined by commas.
        groups: Those inside, in order.
    """

    kind: str
    name: str
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    groups: list["Group"] = field(default_factory=list["Group"])

    def of(self, kind: str) -> Iterator["Group"]:
        """The groups of a kind inside."""
        return (group for group in self.groups if group.kind == kind)

    def numbers(self, name: str) -> list[float]:
        """The numbers of an attribute; none if it is not there.

        Raises:
            InputError: It has something else.
        """
        said = self.attributes.get(name, "").strip()
        try:
            return [float(part) for part in re.split(r"[\s,]+", said) if part]
        except ValueError:
            raise InputError(f"liberty file, {self.kind} {self.name}, {name}", repr(said[:60]), "numbers") from None


def read_library(path: Path) -> Group:
    """The library of a file.

    Raises:
        InputError: It is not one, with the line.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"liberty file {str(path)!r}", error.strerror or "cannot be read") from error
    try:
        groups = _Reader(path, text).group(Group("", ""), "").groups
    except RecursionError:
        raise InputError(f"liberty file {str(path)!r}", "groups in groups without end", "a library") from None
    if len(groups) != 1 or groups[0].kind != "library":
        found = f"{len(groups)} groups, the first {groups[0].kind!r}" if groups else "no group"
        raise InputError(f"liberty file {str(path)!r}", found, "one group library")
    return groups[0]


class _Reader:
    """Reads tokens, and knows where they are from."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text, self.place = path, text, 0
        self.next = self._token()

    def group(self, own: Group, closing: str) -> Group:
        """Fill a group up to its closing brace; the file's, up to its end."""
        while self.next != closing:
            if self.next == ";":
                self._step()
                continue
            name = self._word("the name of a group or an attribute")
            if self.next == ":":
                own.attributes[name] = self._value()
                continue
            values = self._values()
            if self.next == "{":
                self._step()
                own.groups.append(self.group(Group(name, values[0] if values else ""), "}"))
            else:
                own.attributes[name] = ",".join(values)
        if closing:
            self._step()
        return own

    def _values(self) -> list[str]:
        """Those between parentheses."""
        self._expect("(")
        values: list[str] = []
        while self.next != ")":
            if self.next == ",":
                self._step()
                continue
            values.append(self._word("a value or ')'"))
        self._step()
        return values

    def _value(self) -> str:
        """What is between a colon and a semicolon; some files leave that out at the end of a line."""
        end = self.text.find("\n", self.place)
        self._step()
        parts: list[str] = []
        while self.next not in (";", "}", "") and (not parts or end < 0 or self.place <= end):
            parts.append(self._step())
        return " ".join(part.strip('"') for part in parts)

    def _word(self, wanted: str) -> str:
        if self.next in ("", *"(){}:;,"):
            raise self._wrong(wanted)
        return self._step().strip('"')

    def _expect(self, mark: str) -> None:
        if self.next != mark:
            raise self._wrong(f"{mark!r}")
        self._step()

    def _step(self) -> str:
        """This token, and on to the next; at the end of the text it is empty."""
        found, self.next = self.next, self._token()
        return found

    def _token(self) -> str:
        while self.place < len(self.text):
            match = _TOKEN.match(self.text, self.place)
            if match is None:
                self.next = self.text[self.place : self.place + 20]
                raise self._wrong("a closed text or comment")
            self.place = match.end()
            if match.lastgroup != "space":
                return match[0]
        return ""

    def _wrong(self, wanted: str) -> InputError:
        line = self.text.count("\n", 0, self.place) + 1
        found = repr(self.next) if self.next else "the end of the file"
        return InputError(f"liberty file {str(self.path)!r}, line {line}", found, wanted)
