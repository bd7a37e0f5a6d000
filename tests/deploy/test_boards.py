"""Text of frames on links: samples as CMS's DemonstratorTools writes them, and all that can be written and read."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.deploy._boards import FRAME, KEPT, Board, FormatName, read, written
from codesign.errors import InputError

#: Two links of three frames each, written by hand after ``writeEMPFileV1``, ``V2`` and ``writeAPxFile``.
SAMPLES: dict[FormatName, str] = {
    form: Path(__file__).with_name("samples").joinpath(f"{form}.txt").read_text() for form in KEPT
}


def sample() -> Board:
    """What the samples say: data, valid, end, start, orbit, strobe."""
    rows = [
        [(0, 0, 0, 0, 0, 1), (0, 0, 0, 0, 0, 0)],
        [(0xDEADBEEF, 1, 0, 1, 1, 1), (2**64 - 1, 1, 1, 1, 1, 1)],
        [(1, 1, 1, 0, 0, 1), (0, 0, 0, 0, 0, 1)],
    ]
    return Board((0, 5), np.array(rows, FRAME))


def same(one: Board, other: Board) -> bool:
    """Whether links and all frames are the same."""
    return one.links == other.links and np.array_equal(one.rows, other.rows)


@pytest.mark.parametrize("form", KEPT)
def test_a_sample_is_written_and_read(form: FormatName) -> None:
    assert written(sample(), form) == SAMPLES[form]
    assert same(read(SAMPLES[form], form, "sample"), sample().kept(form))


def test_the_projects_own_example_is_read() -> None:
    """The first frames of cmssw's L1Trigger/DemonstratorTools/test/gtt/example_vertex_empV2.txt, but for their data."""
    text = (
        "ID: CMSSW\nMetadata: (strobe,) start of orbit, start of packet, end of packet, valid\n\n"
        "      Link           000        \nFrame 0000    0000 0000000000000000\nFrame 0001    1101 0000000000000001\n"
    )
    found = read(text, "EMPv2", "example")
    assert found.links == (0,)
    assert found.rows.tolist() == [[(0, False, False, False, False, True)], [(1, True, False, True, True, True)]]


@st.composite
def boards(draw: st.DrawFn) -> Board:
    links = sorted(draw(st.sets(st.integers(0, 120), min_size=1, max_size=4)))
    frames = draw(st.integers(1, 12))
    frame = st.tuples(st.integers(0, 2**64 - 1), *[st.booleans()] * 5)
    row = st.lists(frame, min_size=len(links), max_size=len(links))
    rows = draw(st.lists(row, min_size=frames, max_size=frames))
    return Board(tuple(links), np.array(rows, FRAME), draw(st.sampled_from(["CMSSW", "x0", "a board"])))


@given(boards(), st.sampled_from(sorted(KEPT)))
def test_what_is_written_is_read(board: Board, form: FormatName) -> None:
    found = read(written(board, form), form, "file")
    assert same(found, board.kept(form))
    assert found.name == board.kept(form).name


#: The reader of DemonstratorTools takes a line apart by these, and nothing else.
FRAMES = {
    "EMPv1": r"Frame \d{4,} :(\s+([01]s)?[01]v[0-9a-fA-F]{16})+",
    "EMPv2": r"Frame \d{4,}  (\s\s+[01]{4,5} [0-9a-fA-F]{16})+",
    "APx": r"0x[0-9a-f]{4,}(\s+0x[0-9a-f]+\s+0x[0-9a-f]{16})+",
}


@given(boards(), st.sampled_from(sorted(KEPT)))
def test_lines_are_as_cms_reads_them(board: Board, form: FormatName) -> None:
    lines = written(board, form).splitlines()
    frames = lines[-len(board.rows) :]
    assert all(re.fullmatch(FRAMES[form], line, re.ASCII) for line in frames)
    assert not any(line.endswith(" ") for line in frames)


def damaged(form: FormatName, old: str, new: str) -> str:
    assert old in SAMPLES[form]
    return SAMPLES[form].replace(old, new, 1)


DAMAGED: dict[str, tuple[FormatName, str, str]] = {
    "a frame is missing": ("EMPv2", "Frame 0001", "Frame 0002"),
    "a link is missing": ("EMPv2", "  11111 ffffffffffffffff", ""),
    "a digit is missing": ("EMPv2", "deadbeef", "deadbee"),
    "no metadata": ("EMPv2", "Metadata", "Something"),
    "no name": ("EMPv2", "ID: ", "Board "),
    "another link": ("EMPv1", "005 ", "x05 "),
    "links in disorder": ("EMPv1", "          005 ", "          000 "),
    "no channels": ("EMPv1", "Quad/Chan :", "Quad :"),
    "a word too long": ("APx", "0xffffffffffffffff", "0x1ffffffffffffffff"),
    "a row is missing": ("APx", "0x0001 ", "0x0002 "),
    "no data": ("APx", "#BeginData", "#Begin"),
    "no label": ("APx", "LINK_05", "05"),
    "not hexadecimal": ("APx", "0xffffffffffffffff", "ffffffffffffffff"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_refused(case: str) -> None:
    form, old, new = DAMAGED[case]
    with pytest.raises(InputError, match="file"):
        read(damaged(form, old, new), form, "file")


@pytest.mark.parametrize("form", KEPT)
def test_an_empty_file_is_refused(form: FormatName) -> None:
    with pytest.raises(InputError, match="the end of the file"):
        read("", form, "file")
