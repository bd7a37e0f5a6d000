"""Formats for firmware as passes: what they refuse, what is in their folders, and both of a whole build."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codesign.deploy import _bench
from codesign.deploy._links import LinkMap, Side
from codesign.deploy.ip import Ip
from codesign.deploy.patterns import Patterns
from codesign.design import Allocation, Artifact, Check, Dataset, Design, Point
from codesign.errors import InputError
from codesign.fixed import Codes, Fixed
from codesign.hdl.interface import Port
from codesign.passes import Context
from codesign.store import Store
from codesign.target import load_target
from tests.builds import make
from tests.conftest import Program
from tests.deploy.projects import Sums, random_codes
from tests.synthesize.projects import dense
from tests.synthesize.vendors import AMD, given

DOCS = Path(__file__).parents[2] / "docs/how-to/deploy-firmware.md"
MAP: dict[str, Any] = {
    "period": 1,
    "inputs": [{"link": 0, "frame": 0, "count": 4}],
    "outputs": [{"link": 0, "frame": 0, "count": 3}],
}


def early(links: dict[str, Any], bits: dict[str, Any] | None = None, formats: dict[str, Fixed] | None = None) -> Design:
    """What is known before fine-tuning: four inputs x."""
    point = Point(0.0, {}, {"x": 16} if bits is None else bits)
    graph: Any = SimpleNamespace(inputs={"x": (4,)})
    target = replace(AMD, links=links)
    return Design({"graph": graph, "target": target, "allocation": Allocation(point, 0, formats or {})})


def missing(links: dict[str, Any]) -> dict[str, Any]:
    return {**MAP, "inputs": [{"link": 0, "frame": 0, "count": 3}], **links}


REFUSED: dict[str, tuple[Design, str]] = {
    "no map": (early({}), r"target 'vu13p-l1t', links: no link map; .*packing to 'in_order'"),
    "bits missing": (early(missing({})), r"inputs: 16 of 64 bits missing: 16 of 'x'"),
    "bits missing, of formats": (
        early(missing({}), {}, {"x": Fixed(True, np.array([3, 9, 5, 8]), np.array([1, 2, 1, 4]))}), "11 of 44 bits"
    ),
    "too many for a word": (early(MAP, {"x": 17}), "bits 0 to 67 of the word"),
    "an unknown key": (early({**MAP, "inputs": [{"lnk": 0}]}), "inputs 0: unknown option 'lnk'.*did you mean 'link'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_map_that_cannot_be_is_refused_before_training(case: str) -> None:
    design, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        Patterns().refuse(design)


def test_what_may_be_is_not_refused_early(tmp_path: Path) -> None:
    Patterns().refuse(early(MAP))
    Patterns(packing="in_order").refuse(early({}))
    wider = {**MAP, "inputs": [{"link": 0, "frame": 0, "first": i, "bit": 20 * i, "bits": 20} for i in range(3)]}
    wider["inputs"].append({"link": 1, "frame": 0, "first": 3, "bits": 20})
    Patterns().refuse(early(wider))
    own = tmp_path / "links.toml"
    own.write_text("[links]\nperiod = 1\ninputs = [{link = 0, frame = 0, count = 3}]\n")
    with pytest.raises(InputError, match=r"links.toml, links, inputs: 16 of 64 bits missing"):
        Patterns(links=own).refuse(early(MAP))
    assert own in Patterns(links=own).files()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ()}, "formats: none; wanted: EMPv1, EMPv2, APx"),
        ({"events": -1}, "events: -1"),
        ({"frames_per_file": 0}, "frames_per_file: 0"),
        ({"board": "a\nb"}, "board"),
        ({"timeout_s": 0.0}, "timeout_s"),
    ],
)
def test_options_of_patterns_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Patterns(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beat_bits": 12}, "beat_bits: 12; wanted: whole bytes"),
        ({"beat_bits": 64, "form": "fixed_latency"}, "64 for 'fixed_latency'"),
        ({"version": -1}, "version: -1"),
        ({"events": -1}, "events: -1"),
    ],
)
def test_options_of_cores_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Ip(**options)


def test_the_map_of_the_docs_is_whole() -> None:
    text = DOCS.read_text().partition("```toml\n")[2].partition("```")[0]
    plan = LinkMap.parsed(tomllib.loads(text)["links"], "docs")
    for fields, name, shape, width in ((plan.inputs, "x", 5, 16), (plan.outputs, "fc2", 3, 20)):
        port = Port(name, name, (shape,), False, width, width)
        Side.of(fields, [port], plan.period, "docs").require_whole("docs")


def core(design: Design, step: Ip, folder: Path) -> tuple[Design, Path]:
    """The folder that the pass makes of a design with a project."""
    store, quantized = Store(folder / "store"), dense((4, 3))
    inputs = (np.zeros((4, 4), np.float32),)
    rows: Any = {"train": (0, 1), "validation": (1, 2), "test": (2, 4)}
    data = Dataset(inputs, np.zeros(4, np.int64), rows)
    report = {"input": {"normalization": None, "classes": []}}
    more = {"dataset": data, "quantized": quantized, "checks": {}, "report": report}
    (folder / "work").mkdir()
    made = step(design.updated(more), Context(store, folder / "work"))
    store.take_out(made.artifacts["ip"].digest, folder / "ip", folder=True)
    return made, folder / "ip"


@pytest.fixture
def no_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test benches that are not run."""
    check = Check("numpy", "ip", 0, 0, "not_checked", "a test")
    monkeypatch.setattr(_bench, "run_bench", lambda *_: check)


def sourced(project: Path, script: str) -> list[tuple[str, ...]]:
    """Calls of a script, by Tcl itself; what Tcl does not know is noted, and gives its name back."""
    tkinter = pytest.importorskip("tkinter")
    shell, calls = tkinter.Tcl(), list[tuple[str, ...]]()

    def note(*words: str) -> str:
        calls.append(words)
        return f"<{words[0]}>"

    shell.createcommand("unknown", note)
    shell.createcommand("exit", lambda *_: None)
    shell.call("source", str(project / script))
    return calls


def project_of(folder: Path, part: str = AMD.part) -> Design:
    """A project of RTL in a store."""
    store = Store(folder / "store")
    Sums(((4, 6),), ((3, 20),), 2).write(folder / "project")
    digest = store.put_folder(folder / "project")
    target = replace(AMD, part=part)
    return Design({"target": target, "artifacts": {"rtl": Artifact("rtl", digest, folder=True)}})


@pytest.mark.usefixtures("no_bench")
@pytest.mark.parametrize("form", ["axi4_stream", "fixed_latency"])
def test_vivado_is_told_to_package_the_core(form: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, folder = core(project_of(tmp_path), Ip(form=form, version=3), tmp_path)
    streams = form == "axi4_stream"
    top, clock = ("sums_axis", "aclk") if streams else ("sums", "clk")
    calls = sourced(folder, "package.tcl")
    assert [words[-1] for words in calls if words[0] == "read_verilog"] == [
        f"./{name}" for name in (["sums.v", "sums_axis.v"] if streams else ["sums.v"])
    ]
    names = [words[0] for words in calls]
    assert calls[0] == ("create_project", "-part", AMD.part, "packaging", "packaging")
    assert ("set_property", "top", top, "<current_fileset>") in calls
    assert ("set_property", "version", "3.0", "<ipx::current_core>") in calls
    assert names.index("ipx::package_project") < names.index("ipx::check_integrity") < names.index("ipx::save_core")
    buses = [words[2:] for words in calls if words[0] == "ipx::associate_bus_interfaces"]
    wanted = [(bus, "-clock", "aclk", "<ipx::current_core>") for bus in ("s_axis", "m_axis")]
    assert buses == (wanted if streams else [])
    for suffix in ("xdc", "sdc"):
        assert (folder / f"clock.{suffix}").read_text() == (
            f"create_clock -name {clock} -period 5.0 [get_ports {clock}]\n"
        )
    record = json.loads((folder / "manifest.json").read_bytes())
    assert (record["top"], record["version"], record["latency_cycles"], record["clock_ns"]) == (top, 3, 2, 5.0)
    assert {part["license"] for part in record["licenses"]} == {"Apache-2.0", "LGPL-3.0-or-later"}
    assert record["proof"]["checks"][-1]["to"] == "ip"


def standing_in(project: Sums, folder: Path) -> Design:
    """A design whose reference adds, in whose store the project is."""
    store, ports = Store(folder / "store"), project.interface.inputs
    project.write(folder / "project")
    digest, codes = store.put_folder(folder / "project"), random_codes(ports, 200, 3)
    made = zip(project.interface.outputs, project.expected(codes), strict=True)
    given: dict[str, Any] = {
        "target": AMD,
        "artifacts": {"rtl": Artifact("rtl", digest, folder=True)},
        "dataset": SimpleNamespace(split=lambda _: SimpleNamespace(inputs=codes)),
        "quantized": SimpleNamespace(
            encode=lambda _: {port.tensor: Codes(values, 0) for port, values in zip(ports, codes, strict=True)},
            run=lambda _: {port.tensor: Codes(values, 0) for port, values in made},
            verify=lambda: None,
        ),
        "checks": {},
        "report": {"input": {"normalization": None, "classes": []}},
    }
    return Design(given)


@pytest.mark.parametrize("text", ["cat", pytest.param("sed s/Sums/sums/", marks=pytest.mark.slow)])
def test_a_core_of_vhdl_is_tried_in_whichever_case_ghdl_writes_its_name(
    text: str, program: Program, tmp_path: Path
) -> None:
    """GHDL 2.0 keeps it, and older ones write lower case; what is given out has the project's own."""
    program("ghdl", f'case "$1" in --synth) {text} sums.vhd ;; --version) echo GHDL ;; esac')
    design = standing_in(Sums(((3, 7),), ((2, 30),), 3, "Sums", "vhdl"), tmp_path)
    (tmp_path / "work").mkdir()
    store = Store(tmp_path / "store")
    made = Ip()(design, Context(store, tmp_path / "work"))
    assert (made.checks["numpy->ip"].status, made.checks["numpy->ip"].inputs) == ("exact", 200)
    store.take_out(made.artifacts["ip"].digest, tmp_path / "ip", folder=True)
    assert "Sums core (" in (tmp_path / "ip" / "Sums_axis.v").read_text()


@pytest.mark.usefixtures("no_bench")
def test_no_script_of_vivados_for_parts_of_others(tmp_path: Path) -> None:
    _, folder = core(project_of(tmp_path, "LFE5UM5G-85F-8BG381"), Ip(), tmp_path)
    assert not (folder / "package.tcl").exists()
    assert json.loads((folder / "manifest.json").read_bytes())["packaging"].startswith("none")


def test_hls4mls_project_goes_along_unchecked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made, folder = core(given("vitis_hls", Store(tmp_path / "store"), tmp_path), Ip(version=2), tmp_path)
    assert made.checks["numpy->ip"].status == "not_checked"
    calls = sourced(folder, "export.tcl")
    names = [words[0] for words in calls]
    assert names.index("csynth_design") < names.index("export_design")
    assert ("set_top", "network") in calls
    assert ("create_clock", "-period", "5.0", "-name", "default") in calls
    assert calls[-1][:3] == ("export_design", "-format", "ip_catalog")
    assert "2.0" in calls[-1]
    record = json.loads((folder / "manifest.json").read_bytes())
    assert record["inputs"][0]["formats"] == ["fixed<6,2>"]


def test_hls4mls_project_for_another_tool_is_refused(tmp_path: Path) -> None:
    design = given("catapult", Store(tmp_path / "store"), tmp_path)
    with pytest.raises(InputError, match=r"C\+\+ for Catapult; wanted: C\+\+ for Vitis"):
        core(design, Ip(), tmp_path)


@pytest.mark.slow
def test_both_of_a_build(tmp_path: Path) -> None:
    """A build file with the formats and a target with links; then a map that misses bits, before fine-tuning."""
    project = make(tmp_path / "project", "rtl", {"": {"also": ["deploy.ip", "deploy.patterns"], "target": "own.toml"}})
    shipped = Path(__file__).parents[2] / "targets/pynq-z2.toml"
    links = "[links]\nperiod = 2\n[[links.inputs]]\nlink = 4\nframe = 1\ncount = {}\n"
    links += "[[links.outputs]]\nlink = 8\nframe = 0\nfirst = 2\n[[links.outputs]]\nlink = 8\nframe = 1\ncount = 2\n"
    target = project.folder / "own.toml"
    target.write_text(shipped.read_text() + links.format(3))
    outcome = project.build()
    assert outcome.code == 2
    assert "16 of 64 bits missing: 16 of 'x'" in outcome.err
    assert "finetune.qat" not in outcome.out
    target.write_text(shipped.read_text() + links.format(4))
    outcome = project.build("--set", "deploy.ip.beat_bits=16")
    assert outcome.code == 0, outcome.err
    assert load_target("own.toml", project.folder).links["period"] == 2
    checks = {check["to"]: check for check in project.report()["checks"]}
    for name in ("ip", "patterns"):
        assert (checks[name]["status"], checks[name]["inputs"]) == ("exact", 400)
    record = json.loads((project.out / "patterns/manifest.json").read_bytes())
    assert record["latency_frames"] == 1 + record["latency_cycles"]
    assert (project.out / "patterns/EMPv2/inputs_0.txt").read_text().startswith("ID: CMSSW\n")
    assert (project.out / "ip/network_axis.v").is_file()
