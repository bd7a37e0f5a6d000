"""Readers of vendors' reports, on saved ones: whole, cut off, of other designs; and beside hls4ml's readers."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.errors import InputError
from codesign.synthesize._vivado_reports import read_timing
from codesign.synthesize.vendor.project import VendorProject
from codesign.synthesize.vendor.reading import Reading
from tests.synthesize.vendors import CASES, FIGURES, SAVED, manifest, step_of

FILES = [(tool, path.name) for tool in CASES for path in sorted((SAVED / tool).iterdir())]


def copy(tool: str, folder: Path) -> Path:
    return Path(shutil.copytree(SAVED / tool, folder / tool))


def figures(reading: Reading) -> dict[str, float | None]:
    return {name: value for name, (value, _) in reading.figures.items()}


def edited(tool: str, name: str, folder: Path, pattern: str, text: str) -> Path:
    reports = copy(tool, folder)
    whole = (reports / name).read_text()
    changed, count = re.subn(pattern, text, whole, flags=re.M)
    assert count
    (reports / name).write_text(changed)
    return reports


@pytest.mark.parametrize("tool", CASES)
def test_a_saved_report_is_read(tool: str) -> None:
    assert figures(step_of(tool).read(SAVED / tool, manifest(tool))) == FIGURES[tool]


def test_units_say_the_step_and_the_version() -> None:
    made = {tool: step_of(tool).read(SAVED / tool, manifest(tool)).made for tool in CASES}
    assert made == {
        "vivado": "post-implementation, Vivado v.2021.2",
        "vitis_hls": "estimated by Vitis HLS 2022.2",
        "quartus": "post-implementation, Quartus Prime 17.1.0",
        "catapult": "Catapult's schedule",
    }
    measures = step_of("vivado").read(SAVED / "vivado", manifest("vivado")).measures("vivado", "synthesize.vivado")
    assert measures["vivado_lut"].unit == "LUTs (post-implementation, Vivado v.2021.2)"


@pytest.mark.parametrize(("state", "step"), [("Synthesized", "post-synthesis"), ("Physopt postRoute", "post-implem")])
def test_the_step_is_what_the_report_says(state: str, step: str, tmp_path: Path) -> None:
    reports = edited("vivado", "utilization.rpt", tmp_path, "Routed", state)
    reading = step_of("vivado").read(reports, manifest("vivado"))
    assert reading.made.startswith(step)
    assert ("hold_slack_ns" in reading.figures) == (state != "Synthesized")


@pytest.mark.parametrize(("tool", "name"), FILES)
def test_a_report_that_is_cut_off_never_gives_other_figures(tool: str, name: str, tmp_path: Path) -> None:
    """At many lengths; where all that is read is before the end, the figures are the same."""
    reports, whole = copy(tool, tmp_path), (SAVED / tool / name).read_bytes()
    refused = 0
    for length in range(0, len(whole), 1 if len(whole) < 1000 else 11):
        (reports / name).write_bytes(whole[:length])
        try:
            assert figures(step_of(tool).read(reports, manifest(tool))) == FIGURES[tool]
        except InputError as error:
            refused += 1
            assert name in error.where
    assert refused > 50


@pytest.mark.parametrize(("tool", "name"), FILES)
@given(garbage=st.binary(max_size=300))
@settings(deadline=None, max_examples=30)
def test_garbage_is_refused(tool: str, name: str, garbage: bytes, tmp_path_factory) -> None:
    reports = copy(tool, tmp_path_factory.mktemp("garbage"))
    (reports / name).write_bytes(garbage)
    with pytest.raises(InputError):
        step_of(tool).read(reports, manifest(tool))


@pytest.mark.parametrize(("tool", "name"), FILES)
def test_a_missing_report_is_named(tool: str, name: str, tmp_path: Path) -> None:
    reports = copy(tool, tmp_path)
    (reports / name).unlink()
    with pytest.raises(InputError, match=re.escape(f"{name}: not there")):
        step_of(tool).read(reports, manifest(tool))


@pytest.mark.parametrize("tool", [tool for tool in CASES if tool != "catapult"])
@pytest.mark.parametrize("change", [{"top": "other"}, {"target": 6.25}])
def test_reports_of_another_design_or_clock_are_refused(tool: str, change: dict) -> None:
    wanted = manifest(tool)
    if "target" in change:
        change = {"target": replace(wanted.target, clock_ns=change["target"])}
    with pytest.raises(InputError, match=r"run this build's own project"):
        step_of(tool).read(SAVED / tool, replace(wanted, **change))


@given(picoseconds=st.integers(-9_000, 4_990))
@settings(deadline=None)
def test_the_frequency_is_what_the_slack_leaves(picoseconds: int, tmp_path_factory) -> None:
    slack = f"{picoseconds / 1000:.3f}"
    reports = edited("vivado", "timing.rpt", tmp_path_factory.mktemp("slack"), r"^( +)1\.000 ", rf"\g<1>{slack} ")
    found = read_timing(reports / "timing.rpt", "network", 5.0)
    assert found["setup_slack_ns"] == float(slack)
    assert found["fmax_mhz"] == pytest.approx(1e6 / (5000 - picoseconds), rel=1e-12)
    assert (found["fmax_mhz"] >= 200) == (picoseconds >= 0)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("tool", "name", "pattern", "text", "missing"),
    [
        ("vivado", "timing.rpt", r"^( +)1\.000 ", r"\g<1>   NA ", ["fmax_mhz", "setup_slack_ns"]),
        ("vitis_hls", "csynth.xml", r"(<Worst-caseLatency>)10", r"\1undef", ["latency_cycles"]),
        ("catapult", "cycle.rpt", r"152( +)12 ", r"152\1-1 ", ["latency_cycles"]),
    ],
)
def test_what_a_tool_does_not_know_is_no_figure(tool, name, pattern, text, missing, tmp_path: Path) -> None:
    reading = step_of(tool).read(edited(tool, name, tmp_path, pattern, text), manifest(tool))
    assert reading.missing == missing
    assert len(reading.measures(tool, "x")) == len(FIGURES[tool]) - len(missing)


def test_older_names_of_dsps_are_known(tmp_path: Path) -> None:
    reports = edited("vitis_hls", "csynth.xml", tmp_path, "DSP>", "DSP48E>")
    assert figures(step_of("vitis_hls").read(reports, manifest("vitis_hls"))) == FIGURES["vitis_hls"]


def test_rows_of_seven_series_are_known(tmp_path: Path) -> None:
    reports = edited("vivado", "utilization.rpt", tmp_path, r"CLB LUTs  ", "Slice LUTs*")
    text = (reports / "utilization.rpt").read_text().replace("CLB Registers", "Slice Registers")
    (reports / "utilization.rpt").write_text(text)
    assert figures(step_of("vivado").read(reports, manifest("vivado"))) == FIGURES["vivado"]


def test_a_fit_that_failed_is_refused(tmp_path: Path) -> None:
    reports = edited("quartus", "codesign.fit.summary", tmp_path, "Successful", "Failed")
    with pytest.raises(InputError, match=r"fitter status 'Failed .*a successful fit"):
        step_of("quartus").read(reports, manifest("quartus"))


def test_hls4ml_reads_the_same(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its reader wants a whole project, prints, and calls tiles of block RAM BRAM_18K."""
    from hls4ml.report import parse_vivado_report

    solution = tmp_path / "network_prj/solution1/syn/report"
    solution.mkdir(parents=True)
    (tmp_path / "project.tcl").write_text('set project_name "network"\nset backend "vitis"\n')
    (tmp_path / "network_prj/hls.app").write_text('<p><solutions><solution name="solution1"/></solutions></p>')
    shutil.copy(SAVED / "vitis_hls/csynth.xml", solution / "network_csynth.xml")
    text = (SAVED / "vivado/utilization.rpt").read_text()
    # It looks for memory and DSPs in the second and third section, as 7 series have them.
    text = text.replace("\n2. CLB", "\n").replace("3. BLOCKRAM", "2. Memory").replace("4. ARITHMETIC", "3. DSP")
    (tmp_path / "vivado_synth.rpt").write_text(text)
    theirs = parse_vivado_report(str(tmp_path))
    assert "not found" in capfd.readouterr().out
    used = {name: float(value) for name, value in theirs["VivadoSynthReport"].items()}
    ours = FIGURES["vivado"]
    assert [used[name] for name in ("LUT", "FF", "DSP48E", "BRAM_18K")] == [
        ours[name] for name in ("lut", "ff", "dsp", "bram_36k")
    ]
    estimated, ours = theirs["CSynthesisReport"], FIGURES["vitis_hls"]
    names = ("LUT", "FF", "DSP", "WorstLatency", "IntervalMax")
    keys = ("lut", "ff", "dsp", "latency_cycles", "initiation_interval_cycles")
    assert [float(estimated[name]) for name in names] == [ours[key] for key in keys]
    assert float(estimated["BRAM_18K"]) / 2 == ours["bram_36k"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x | {"schema": "codesign-vendor/99"}, "schema 'codesign-vendor/99'; wanted: codesign-vendor/1"),
        (lambda x: [], "no project of codesign's"),
        (lambda x: x | {"digest": 3}, "damaged at 'digest'"),
        (lambda x: {k: v for k, v in x.items() if k != "target"}, "damaged at 'target'"),
        (lambda x: x | {"target": x["target"] | {"clock_ns": -1}}, "clock_ns: -1"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(change: Callable, words: str, tmp_path: Path) -> None:
    manifest("vivado").write(tmp_path)
    path = tmp_path / "codesign.json"
    assert VendorProject.read(path) == manifest("vivado")
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(InputError, match=re.escape(words)):
        VendorProject.read(path)


@given(st.binary(max_size=100))
@settings(deadline=None)
def test_a_manifest_of_garbage_is_refused(garbage: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "codesign.json"
        path.write_bytes(garbage)
        with pytest.raises(InputError, match="no project of codesign's"):
            VendorProject.read(path)
