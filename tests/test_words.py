"""Names of projects and in them: what the languages or the makers have a use for is refused or written differently."""

import subprocess
from pathlib import Path

import pytest

from codesign import tools
from codesign.deploy.bundle import Bundle
from codesign.deploy.emulator import Emulator
from codesign.errors import InputError, ToolError
from codesign.hdl.alkaid import static_files
from codesign.hdl.interface import SUFFIXES
from codesign.hdl.verilator import QUIET, find_verilator
from codesign.transpile._hls4ml import c_names
from codesign.transpile.hls4ml import Hls4ml
from codesign.transpile.rtl import Rtl
from codesign.words import ALKAID_MODULES, CPP_KEYWORDS, CPP_WORDS, EMULATOR_FILES, HLS4ML_FILES, VERILOG_KEYWORDS

#: What C++ headers of every project bring.
HEADERS = "#include <cassert>\n#include <cerrno>\n#include <cstdio>\n#include <iostream>\n"


def compiles(code: str, folder: Path) -> bool:
    """Whether g++ takes it, as the C++ of which every keyword counts."""
    (folder / "code.cpp").write_text(code)
    flags = ["-std=c++20", "-fsyntax-only", "-w"]
    return subprocess.run(["g++", *flags, "code.cpp"], cwd=folder, capture_output=True, check=False).returncode == 0


def test_gxx_takes_every_name_that_is_made(tmp_path: Path) -> None:
    names = c_names([*sorted(CPP_WORDS), "network", "a.b", "a_b", "1", ""], "network")
    assert len(set(names)) == len(names)
    body = "".join(f"void f{place}(int {name}[4]) {{ network({name}); }}\n" for place, name in enumerate(names))
    assert compiles(f"{HEADERS}void network(int *);\n{body}", tmp_path)


def test_gxx_refuses_every_keyword(tmp_path: Path) -> None:
    taken = [word for word in sorted(CPP_KEYWORDS) if compiles(f"void {word}(int *);", tmp_path)]
    assert taken == []


def test_verilator_refuses_keywords(tmp_path: Path) -> None:
    """All but one, which it only takes for a word where a clocking block is declared."""
    verilator, environment = find_verilator(), {"VERILATOR_ROOT": str(find_verilator().root)}

    def taken(word: str) -> bool:
        (tmp_path / "code.v").write_text(f"module {word};\nendmodule\n")
        command = [verilator.program, "--lint-only", *QUIET, "code.v"]
        try:
            tools.run(command, tmp_path, tmp_path / "log", 60.0, environment)
        except ToolError:
            return False
        return True

    assert [word for word in sorted(VERILOG_KEYWORDS) if taken(word)] == ["global"]
    assert taken("network")


@pytest.mark.parametrize("name", ["class", "int", "main", "std", "char8_t", "bitand", "defines", "parameters", "a b"])
def test_projects_of_hls4ml(name: str) -> None:
    with pytest.raises(InputError, match=r"transpile\.hls4ml, project: .*; wanted: a C identifier"):
        Hls4ml(project=name)
    assert Hls4ml(project="module").project == "module"


@pytest.mark.parametrize("name", ["module", "wire", "input", "logic", *sorted(ALKAID_MODULES)])
def test_projects_of_alkaid(name: str) -> None:
    with pytest.raises(InputError, match=r"transpile\.rtl, project: .*; wanted: a Verilog identifier of its own"):
        Rtl(project=name)
    assert Rtl(project="signal").project == "signal"


@pytest.mark.parametrize("name", ["Signal", "work", "architecture", "a__b", "_a", "a_", "1a", *sorted(ALKAID_MODULES)])
def test_projects_in_vhdl(name: str) -> None:
    with pytest.raises(InputError, match=r"transpile\.rtl, project: .*; wanted: a VHDL identifier"):
        Rtl(project=name, language="vhdl")
    assert Rtl(project="module", language="vhdl").project == "module"


def test_modules_that_alkaid_brings() -> None:
    for language in SUFFIXES:
        assert {path.stem for path in static_files(language)} == ALKAID_MODULES


@pytest.mark.parametrize("name", sorted(EMULATOR_FILES))
def test_an_emulator_alone_is_not_called_as_its_own_files(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}.*a name that the project has already"):
        Emulator(project=name)
    assert {Hls4ml(project=name).project, Bundle(project=name).project} == {name}


@pytest.mark.parametrize("name", sorted(HLS4ML_FILES))
def test_files_of_hls4ml_are_in_the_way_of_its_own_projects_alone(name: str) -> None:
    assert {Emulator(project=name).project, Bundle(project=name).project} == {name}
