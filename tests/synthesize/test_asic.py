"""The pass `synthesize.asic`, the target osu018, and what becomes of other passes with standard cells."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.design import Artifact, Dataset, Design
from codesign.errors import InputError
from codesign.hdl.circuit import trace_network
from codesign.hdl.unrolled import write_unrolled
from codesign.passes import Context
from codesign.store import Store, digest_file
from codesign.synthesize.asic import Asic
from codesign.synthesize.yosys import Yosys
from codesign.target import Target, load_target
from codesign.transpile.hls4ml import Hls4ml
from codesign.transpile.retarget import Retarget
from tests.builds import Project, make, run
from tests.synthesize.projects import OSU018, dense, needs_cells, needs_sta

FLOW = """summary = "s"
passes = [
    "load.npz", "load.torch", "sensitivity.hessian_trace", "allocate.pareto", "allocate.choose", "finetune.qat",
    "export.qonnx", "transpile.retarget", "transpile.rtl", "verify.accuracy", "synthesize.asic", "report.summary",
]
"""


def own_target(folder: Path, liberty: Path | str, **changes: object) -> Path:
    """A target of standard cells."""
    folder.mkdir(exist_ok=True)
    values = {"summary": "s", "part": "", "clock_ns": 10.0, "initiation_interval_ns": 20.0, "adder_ns": 1.0} | changes
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in values.items()]
    path = folder / "own.toml"
    path.write_text("\n".join([*lines, f"liberty = '''{liberty}'''", "sources = []"]) + "\n")
    return path


def project(folder: Path, target: Path | str) -> Project:
    made = make(folder, "qonnx")
    made.write({"transpile.retarget": {"target": str(target)}}, "mine.toml")
    (folder / "mine.toml").write_text(FLOW)
    return made


@needs_cells
@needs_sta
def test_area_clock_and_power(tmp_path: Path) -> None:
    """The file's name is one that no tool may see."""
    odd = tmp_path / '-it\'s a "cell" library.lib'
    shutil.copyfile(OSU018, odd)
    target = load_target(str(own_target(tmp_path / "target", f"../{odd.name}")), Path())
    quantized, store = dense((4, 3, 2)), Store(tmp_path / "store")
    write_unrolled(trace_network(quantized), quantized.graph, "network", target.clock_ns, 2, tmp_path / "rtl")
    inputs = np.random.default_rng(0).uniform(-2, 2, (100, 4)).astype("f4")
    given: dict[str, Any] = {
        "target": target,
        "dataset": Dataset((inputs,), np.zeros(100, np.int64), {"test": (0, 100)}),
        "quantized": quantized,
        "artifacts": {"rtl": Artifact("rtl", store.put_folder(tmp_path / "rtl"), folder=True)},
    }
    design = Asic()(Design(given), Context(store, tmp_path))
    assert {measure.kind for measure in design.measures.values()} == {"synthesized"}
    values = {name.removeprefix("asic_"): measure.value for name, measure in design.measures.items()}
    assert values["gate_equivalents"] == values["area_um2"] / 24
    assert "NAND2X1" in design.measures["asic_gate_equivalents"].unit
    assert values["fmax_mhz"] == pytest.approx(1000 / (10 - values["slack_ns"]))
    parts = [values[f"power_{part}_mw"] for part in ("internal", "switching", "leakage")]
    assert min(parts) > 0
    assert values["power_mw"] == pytest.approx(sum(parts))
    check = design.checks["numpy->asic"]
    assert (check.status, check.inputs, check.mismatches) == ("exact", 100, 0)
    files = store.listing(design.artifacts["asic"].digest)
    assert "slack (MET)" in store.path(files["timing.rpt"]).read_text()
    assert "module network(" in store.path(files["netlist.v"]).read_text()
    without = Asic(timing=False)(Design(given), Context(store, tmp_path))
    assert set(without.measures) == {"asic_cells", "asic_area_um2", "asic_gate_equivalents"}
    assert without.measures["asic_area_um2"] == design.measures["asic_area_um2"]
    assert "timing was not asked for" in without.notices["synthesize.asic"]


@pytest.mark.slow
@needs_cells
@needs_sta
def test_content_of_the_liberty_file_and_limits_count(tmp_path: Path) -> None:
    cells = tmp_path / "cells.lib"
    shutil.copyfile(OSU018, cells)
    made = project(tmp_path / "project", own_target(tmp_path / "target", cells))
    assert made.build().code == 0
    assert made.build().code == 0
    assert made.ran() == []
    cells.write_text(cells.read_text() + "/* another */\n")
    assert made.build().code == 0
    assert made.ran()[0] == "transpile.retarget"
    assert "synthesize.asic" in made.ran()
    own_target(tmp_path / "target", cells, area_um2=10.0, clock_ns=0.5)
    outcome = made.build("--set", "transpile.rtl.stage_levels=5")
    assert outcome.code == 1
    assert "asic_area_um2 (synthesized)" in outcome.out
    assert "asic_fmax_mhz (synthesized)" in outcome.out


@needs_cells
def test_the_shipped_target() -> None:
    target = load_target("osu018", Path())
    assert target.liberty_sha256 == digest_file(OSU018)
    assert target.levels_per_cycle == 3
    assert target.lut is None
    outcome = run("targets")
    assert outcome.code == 0
    assert "osu018_stdcells.lib" in outcome.out


def test_a_missing_liberty_file_says_how_to_get_it(tmp_path: Path) -> None:
    path = own_target(tmp_path, "none.lib", liberty_from="ask the foundry")
    with pytest.raises(InputError, match=r"own', liberty: .*none\.lib', which is not there; .*; ask the foundry"):
        load_target(str(path), Path())
    with pytest.raises(InputError, match="ask the foundry"):
        Retarget(path).files()
    outcome = project(tmp_path / "project", path).build()
    assert outcome.code == 2
    assert "ask the foundry" in outcome.err
    assert "load.npz" not in outcome.out


def test_two_libraries_are_two_targets(tmp_path: Path) -> None:
    for name in ("a.lib", "b.lib"):
        (tmp_path / name).write_text(name)
    path = own_target(tmp_path, "a.lib")
    first = load_target(str(path), Path())
    assert Retarget(path).files() == (path, tmp_path / "a.lib")
    (tmp_path / "a.lib").write_text("else")
    assert load_target(str(path), Path()) != first


def test_targets_that_do_not_fit_are_refused_early(tmp_path: Path) -> None:
    chip = Design({"target": load_target("pynq-z2", Path())})
    with pytest.raises(InputError, match="'pynq-z2': no liberty file; wanted: standard cells; use --target osu018"):
        Asic(timing=False).refuse(chip)
    (tmp_path / "a.lib").write_text("library (a) {\n  cell (b {\n")
    cells = Design({"target": load_target(str(own_target(tmp_path, "a.lib")), Path())})
    with pytest.raises(InputError, match=r"a\.lib', line 2"):
        Asic(timing=False).refuse(cells)
    with pytest.raises(InputError, match=r"'own': standard cells; .*put synthesize\.asic in the place of synth"):
        Yosys().refuse(cells)
    with pytest.raises(InputError, match=r"'own': standard cells; .*; use --flow asic"):
        Hls4ml().check_target(cells.target)
    Hls4ml(part="xcvu9p").check_target(cells.target)
    Yosys(family="ice40").refuse(cells)


def test_a_missing_opensta_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.lib").write_text("library (a) { }")
    made = project(tmp_path / "project", own_target(tmp_path / "t", tmp_path / "a.lib"))
    here = tmp_path / "bin"
    here.mkdir()
    for name in ("g++", "git"):
        if found := shutil.which(name):
            (here / name).symlink_to(found)
    outcome = made.build(environment={"PATH": str(here)})
    assert outcome.code == 2
    assert "program 'sta': not on PATH; install OpenSTA (Debian, Ubuntu: apt-get install opensta)" in outcome.err
    assert Asic(timing=False).programs() == ()
    assert os.environ["PATH"] != str(here)


@pytest.mark.parametrize("options", [{"timeout_s": 0}, {"timeout_s": float("inf")}, {"outside_ns": -1}])
def test_options_that_mean_nothing_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"synthesize.asic, {next(iter(options))}"):
        Asic(**options)  # type: ignore[arg-type]


def test_an_asic_has_no_limits_of_a_chip() -> None:
    assert Target("n", "s", "", 5.0, 25.0, (), liberty="a.lib").bram_36k is None
