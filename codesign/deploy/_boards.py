"""Frames on a board's links as text, in the formats of CMS's L1Trigger/DemonstratorTools.

Source: ``read`` and ``write`` of L1Trigger/DemonstratorTools/src/utilities.cc in github.com/cms-sw/cmssw.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from codesign.errors import InputError

FormatName = Literal["EMPv1", "EMPv2", "APx"]
#: What of a frame a format can say; the rest is as in a frame that nothing is said of.
KEPT: Mapping[FormatName, tuple[str, ...]] = MappingProxyType(
    {
        "EMPv1": ("data", "valid"),
        "EMPv2": ("data", "valid", "end", "start", "orbit", "strobe"),
        "APx": ("data", "valid", "end", "start"),
    }
)
#: A frame: the word, and whether it is valid, ends or starts a packet, starts the orbit; and the strobe.
FRAME = np.dtype([("data", "<u8"), *((flag, "?") for flag in ("valid", "end", "start", "orbit", "strobe"))])
METADATA = "Metadata: (strobe,) start of orbit, start of packet, end of packet, valid"
_V1 = re.compile(r"([01]s)?([01])v([0-9a-fA-F]{16})")
_V2 = re.compile(r"([01])?([01])([01])([01])([01]) ([0-9a-fA-F]{16})")

Rows = npt.NDArray[Any]


def blank(frames: int, links: int) -> Rows:
    """Frames ``[frames, links]`` of ``FRAME`` that nothing is said of: not valid, zeros, the strobe at 1."""
    rows = np.zeros((frames, links), FRAME)
    rows["strobe"] = True
    return rows


@dataclass(frozen=True, eq=False)
class Board:
    """What is on a board's links.

    Args:
        links: Their numbers, rising.
        rows: The frames, ``[frames, links]`` of ``FRAME``.
        name: The board's; EMPv1 and APx do not say it.
    """

    links: tuple[int, ...]
    rows: Rows
    name: str = "CMSSW"

    def kept(self, form: FormatName) -> "Board":
        """What a format can say of it."""
        rows = blank(*self.rows.shape)
        for key in KEPT[form]:
            rows[key] = self.rows[key]
        return Board(self.links, rows, self.name if form == "EMPv2" else "CMSSW")


def written(board: Board, form: FormatName) -> str:
    """The text of a board's frames."""
    return "\n".join(_WRITERS[form](board)) + "\n"


def _empv1(board: Board) -> Iterator[str]:
    yield "Board CMSSW"
    yield " Quad/Chan :" + "".join(f"         q{link // 4:02d}c{link % 4}       " for link in board.links)
    yield "      Link :" + "".join(f"          {link:03d}        " for link in board.links)
    for index, row in enumerate(board.rows.tolist()):
        yield f"Frame {index:04d} :" + "".join(f"   {valid:d}v{word:016x}" for word, valid, *_ in row)


def _empv2(board: Board) -> Iterator[str]:
    strobed: list[bool] = [not board.rows["strobe"][:, place].all() for place in range(len(board.links))]
    yield f"ID: {board.name}"
    yield METADATA
    yield ""
    labels = zip(board.links, strobed, strict=True)
    yield "      Link  " + "".join(f"{' ' * own}            {link:03d}        " for link, own in labels)
    for index, row in enumerate(board.rows.tolist()):
        words = [
            f"  {f'{strobe:d}' if own else ''}{orbit:d}{start:d}{end:d}{valid:d} {word:016x}"
            for (word, valid, end, start, orbit, strobe), own in zip(row, strobed, strict=True)
        ]
        yield f"Frame {index:04d}  " + "".join(words)


def _apx(board: Board) -> Iterator[str]:
    yield "#Sideband ON"
    yield "#LinkLabel" + "".join(f"                LINK_{link:02d}    " for link in board.links)
    yield "#BeginData"
    for index, row in enumerate(board.rows.tolist()):
        bands = (f"    0x{valid + 2 * start + 8 * end:02x} 0x{word:016x}" for word, valid, end, start, *_ in row)
        yield f"0x{index:04x}" + "".join(bands)


_WRITERS = {"EMPv1": _empv1, "EMPv2": _empv2, "APx": _apx}


def read(text: str, form: FormatName, where: str) -> Board:
    """Read a file's text, as strictly as DemonstratorTools does.

    Raises:
        InputError: It is not of this format; says in which line.
    """
    lines = list(enumerate(text.splitlines(), 1))
    return _apx_board(lines, where) if form == "APx" else _emp_board(lines, form, where)


Lines = Sequence[tuple[int, str]]


def _emp_board(lines: Lines, form: FormatName, where: str) -> Board:
    second = form == "EMPv2"
    rest = iter([(number, line) for number, line in lines if line and not line.startswith("#")])
    name = _after(rest, "ID: " if second else "Board ", where, strip=False)
    for label in (METADATA,) if second else ("Quad/Chan :",):
        _after(rest, label, where)
    labels = _after(rest, "Link  " if second else "Link :", where).split()
    if not all(label.isdecimal() for label in labels):
        raise InputError(where, f"links {' '.join(labels)!r}", "their numbers")
    found: list[list[tuple[object, ...]]] = []
    for number, line in rest:
        start = f"Frame {len(found):04d}" + ("  " if second else " :")
        if not line.startswith(start):
            raise InputError(f"{where}, line {number}", repr(line[:40]), repr(start))
        tokens = [token for token in re.split(r"\s\s+" if second else r"\s+", line[len(start) :]) if token]
        matches = [(_V2 if second else _V1).fullmatch(token) for token in tokens]
        row = [_emp_frame(match.groups(), second) for match in matches if match]
        if len(row) != len(labels) or len(row) != len(tokens):
            raise InputError(f"{where}, line {number}", repr(line[:60]), f"{len(labels)} frames of {form}")
        found.append(row)
    return _board([int(label) for label in labels], found, name if second else "CMSSW", where)


def _emp_frame(groups: Sequence[str | None], second: bool) -> tuple[object, ...]:
    word = int(groups[-1] or "0", 16)
    if second:
        strobe, orbit, start, end, valid = (group != "0" for group in groups[:-1])
        return word, valid, end, start, orbit, strobe
    return word, groups[1] == "1", False, False, False, groups[0] != "0s"


def _apx_board(lines: Lines, where: str) -> Board:
    rest = iter(lines)
    if lines and lines[0][1].startswith("#Sideband"):
        next(rest)
    labels = _after(rest, "#LinkLabel", where, strip=False).split()
    if not all(re.fullmatch(r"LINK_\d+", label, re.ASCII) for label in labels):
        raise InputError(where, f"links {' '.join(labels)!r}", "LINK_ and their numbers")
    _after(rest, "#BeginData", where, strip=False)
    found: list[list[tuple[object, ...]]] = []
    for number, line in rest:
        tokens = line.split()
        hexadecimal = all(re.fullmatch(r"0x[0-9a-fA-F]+", token) for token in tokens)
        if not hexadecimal or len(tokens) != 2 * len(labels) + 1 or int(tokens[0], 16) != len(found):
            wanted = f"row {len(found):#06x} of {len(labels)} links, each a sideband and a word"
            raise InputError(f"{where}, line {number}", repr(line[:60]), wanted)
        pairs = [(int(band, 16), int(word, 16)) for band, word in zip(tokens[1::2], tokens[2::2], strict=True)]
        found.append([(word, bool(b & 1), bool(b & 8), bool(b & 2), False, True) for b, word in pairs])
    return _board([int(label[5:]) for label in labels], found, "CMSSW", where)


def _board(links: list[int], rows: list[list[tuple[object, ...]]], name: str, where: str) -> Board:
    if links != sorted(set(links)):
        raise InputError(where, f"links {links}", "each once, rising")
    try:
        return Board(tuple(links), np.array(rows, FRAME).reshape(len(rows), len(links)), name)
    except OverflowError:
        raise InputError(where, "a word of more than 64 bits", "words of 64 bits") from None


def _after(rest: Iterator[tuple[int, str]], start: str, where: str, strip: bool = True) -> str:
    """What follows on a line that starts so."""
    for number, line in rest:
        text = line.lstrip(" \t") if strip else line
        if not text.startswith(start):
            raise InputError(f"{where}, line {number}", repr(line[:60]), f"a line that starts with {start!r}")
        return text[len(start) :]
    raise InputError(where, "the end of the file", f"a line that starts with {start!r}")
