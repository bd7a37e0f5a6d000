"""Small projects, fake tools and saved reports for the passes that run vendors' tools."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml

from codesign.design import Artifact, Design
from codesign.hdl.interface import Interface, Port
from codesign.passes import Context, lookup
from codesign.store import Store
from codesign.synthesize.vendor.project import VendorProject
from codesign.synthesize.vendor.tool import VendorTool
from codesign.target import load_target

SAVED = Path(__file__).parent / "reports"
#: The tools' passes, the artifact that each is given, the program that it is run by, and its arguments.
CASES: dict[str, tuple[str, str, list[str]]] = {
    "vivado": ("rtl", "vivado", ["-mode", "batch", "-nojournal", "-nolog", "-notrace", "-source", "run.tcl"]),
    "vitis_hls": ("hls4ml", "vitis-run", ["--mode", "hls", "--tcl", "run.tcl"]),
    "quartus": ("rtl", "quartus_sh", ["-t", "run.tcl"]),
    "catapult": ("hls4ml", "catapult", ["-product", "ultra", "-shell", "-f", "run.tcl"]),
}
#: What the saved reports say.
FIGURES: dict[str, dict[str, float]] = {
    "vivado": {
        "lut": 999, "ff": 920, "bram_36k": 1.5, "dsp": 13, "fmax_mhz": 250, "setup_slack_ns": 1, "hold_slack_ns": 0.033,
    },
    "vitis_hls": {
        "lut": 2532, "ff": 7969, "bram_36k": 1.5, "dsp": 73, "fmax_mhz": 250, "latency_cycles": 10,
        "initiation_interval_cycles": 1,
    },
    "quartus": {"alm": 1234, "ff": 2468, "dsp": 15, "ram_blocks": 2, "fmax_mhz": 241.68},
    "catapult": {"latency_cycles": 12, "initiation_interval_cycles": 3},
}  # fmt: skip
AMD = load_target("vu13p-l1t", Path())
INTEL = replace(AMD, name="arria", part="10AX115N2F45E1SG")
PORT = Port("in_x", "x", (2,), True, 4, 4)
INTERFACE = Interface("network", ("network.v", "static/mux.v"), 5.0, 3, 1, (PORT,), (replace(PORT, name="out_y"),))


def step_of(tool: str) -> VendorTool:
    """The pass of a tool, in its defaults."""
    step = lookup(f"synthesize.{tool}")()
    assert isinstance(step, VendorTool)
    return step


def project_folder(folder: Path, source: str, tool: str) -> Path:
    """The least that a project has: Verilog that says nothing, or the configuration of C++."""
    folder.mkdir(parents=True)
    if source == "rtl":
        for name in INTERFACE.files:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("// nothing\n")
        INTERFACE.write(folder)
    else:
        backend = "Catapult" if tool == "catapult" else "Vitis"
        config = {"Backend": backend, "ProjectName": "network", "Part": AMD.part, "ClockUncertainty": "27%"}
        (folder / "hls4ml_config.yml").write_text(yaml.safe_dump(config))
    return folder


def given(tool: str, store: Store, folder: Path) -> Design:
    """What the pass reads."""
    source = CASES[tool][0]
    digest = store.put_folder(project_folder(folder / "source", source, tool))
    artifacts = {source: Artifact(source, digest, folder=True)}
    return Design({"target": INTEL if tool == "quartus" else AMD, "artifacts": artifacts})


def run(step: VendorTool, design: Design, store: Store, folder: Path) -> Design:
    """Run a pass."""
    (folder / "work").mkdir(exist_ok=True)
    return step(design, Context(store, folder / "work"))


def manifest(tool: str) -> VendorProject:
    """Of a project that a tool's saved reports could be from."""
    return VendorProject(f"synthesize.{tool}", CASES[tool][0], "0" * 64, "network", INTEL if tool == "quartus" else AMD)


def finish(project: Path, tool: str) -> None:
    """Leave in a project what the tool would."""
    (project / "reports").mkdir()
    for file in (SAVED / tool).iterdir():
        (project / "reports" / file.name).write_bytes(file.read_bytes())
    (project / "reports/codesign.json").write_bytes((project / "codesign.json").read_bytes())


def fake(folder: Path, program: str, body: str) -> Path:
    """A program in Python that answers a lone argument with a version, notes its call, and does what it is told."""
    path = folder / "bin" / program
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"""#!{sys.executable}
import json, os, pathlib, shutil, signal, sys
if len(sys.argv) == 2:
    print("**** {program} v2024.1 (64-bit)")
    sys.exit()
here = pathlib.Path.cwd()
note = {{"argv": sys.argv[1:], "cwd": str(here), "files": sorted(p.name for p in here.iterdir())}}
pathlib.Path({str(folder / "called.json")!r}).write_text(json.dumps(note))
{body}
""")
    path.chmod(0o755)
    return path


def finishing(tool: str) -> str:
    """A body of a fake that leaves the saved reports."""
    return (
        f"shutil.copytree({str(SAVED / tool)!r}, 'reports')\nshutil.copy('codesign.json', 'reports')\n"
        "pathlib.Path('leftover.dcp').write_text('large')"
    )


def called(folder: Path) -> dict[str, object]:
    """What a fake noted of its call."""
    return json.loads((folder / "called.json").read_text())


def on_path(folder: Path, setenv: Callable[[str, str], None]) -> None:
    """Put the fakes of a folder first on PATH."""
    setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
