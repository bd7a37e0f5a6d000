"""Liberty files: what is read from them, and what is said of those that are broken."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.errors import InputError
from codesign.synthesize._liberty import Group, read_library
from tests.synthesize.projects import OSU018, needs_cells, round_library


def parsed(text: str, folder: Path) -> Group:
    (folder / "a.lib").write_text(text)
    return read_library(folder / "a.lib")


@needs_cells
def test_every_cell_and_area() -> None:
    text = OSU018.read_text()
    found = {cell.name: cell.attributes["area"] for cell in read_library(OSU018).of("cell")}
    assert found == dict(re.findall(r"^cell \((\w+)\) \{[^{}]*?^\s*area : ([\d.]+)", text, re.M))
    assert len(found) == 32


def test_attributes_and_groups(tmp_path: Path) -> None:
    library = parsed(round_library(), tmp_path)
    assert library.attributes["leakage_power_unit"] == "1nW"  # no semicolon, and on to the next line
    assert library.attributes["capacitive_load_unit"] == "1,ff"
    inverter = next(library.of("cell"))
    assert [pin.name for pin in inverter.of("pin")] == ["A", "Y"]
    assert inverter.numbers("area") == [2.0]
    (energy,) = next(pin for pin in inverter.of("pin") if pin.name == "Y").of("internal_power")
    assert next(energy.of("rise_power")).numbers("values") == [4.0, 4.0]


@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20),
    between=st.sampled_from([", ", " ", ",\n  "]),
)
def test_numbers_come_back(values: list[float], between: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = between.join(map(repr, values))
    library = parsed(f'library (a) {{ x (y) {{ values ("{text}"); }} }}', tmp_path_factory.mktemp("lib"))
    assert library.groups[0].numbers("values") == values


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no group; wanted: one group library"),
        ("cell (A) { }", "'cell'; wanted: one group library"),
        ("library (a) {\n  cell (A) {\n", "line 3: the end of the file"),
        ("library (a) {\n  area 3;\n}", r"line 2: '3'; wanted: '\('"),
        ("library (a) {\n  area (3\n}", r"line 3: '}'; wanted: a value or '\)'"),
        ('library (a) {\n\n  x : "open;\n}', "line 3: .*closed text"),
        ("library (a) {\n/* open\n}", "line 2: .*wanted"),
        ("library (a) {\n : 3;\n}", "line 2: ':'; wanted: the name"),
        ("library (a) { } }", "line 1: '}'"),
        ("\x00\xff\x7fELF garbage", "line 1"),
    ],
)
def test_a_broken_file_is_named_with_its_line(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"liberty file '.*a\.lib'.*{words}"):
        parsed(text, tmp_path)


@given(text=st.text(alphabet='library(){}:;,"/*\\ \na1.', max_size=60))
def test_any_text_is_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with suppress(InputError):
        assert parsed(text, tmp_path_factory.mktemp("lib")).kind == "library"
