"""A small network, placed and routed."""

import json
from pathlib import Path

import pytest

from codesign.design import Artifact, Design
from codesign.hdl.circuit import trace_network
from codesign.hdl.unrolled import write_unrolled
from codesign.passes import Context
from codesign.place.nextpnr import Nextpnr
from codesign.store import Store
from codesign.target import load_target
from tests.hdl.test_simulation import PLANS
from tests.networks import build_network

#: A site of the package for each of the harness's pins.
PINS = {"clk": "P3", "reset": "P4", "serial_in": "T1", "in_valid": "R1", "serial_out": "U1", "out_valid": "V1"}


@pytest.mark.slow
def test_a_network_is_placed_at_its_pins(tmp_path: Path) -> None:
    quantized, store = build_network(PLANS[0]).quantized, Store(tmp_path / "store")
    write_unrolled(trace_network(quantized), quantized.graph, "network", 12.5, 4, tmp_path / "project")
    rtl = Artifact("rtl", store.put_folder(tmp_path / "project"), folder=True)
    pins = tmp_path / "pins.lpf"
    pins.write_text("".join(f'LOCATE COMP "{name}" SITE "{site}";\n' for name, site in PINS.items()))
    work = tmp_path / "work"
    work.mkdir()
    given = Design({"target": load_target("ecp5-85k", tmp_path), "artifacts": {"rtl": rtl}})
    design = Nextpnr(seeds=2, pins=pins)(given, Context(store, work))
    values = {name: measure.value for name, measure in design.measures.items()}
    # Packing adds cells to the ends of carry chains, and none of other kinds.
    assert values["mapped_lut"] < values["nextpnr_lut"] < 2 * values["mapped_lut"]
    assert values["nextpnr_ff"] == values["mapped_ff"] > 100
    assert (values["nextpnr_dsp"], values["nextpnr_bram_36k"]) == (0, 0)
    seeds = [values[f"nextpnr_fmax_mhz_seed_{seed}"] for seed in (1, 2)]
    assert seeds[0] != seeds[1]
    assert values["nextpnr_fmax_mhz"] == min(seeds)
    assert values["nextpnr_utilization"] == 100 * values["nextpnr_lut"] / 83_640
    files = {
        name: store.path(digest).read_bytes()
        for name, digest in store.listing(design.artifacts["nextpnr"].digest).items()
    }
    assert b"LFE5UM5G-85F" in files["harness.bit"][:200]
    assert len(files["harness.bit"]) > 100_000
    used = [json.loads(files[f"seed-{seed}.json"])["utilization"] for seed in (1, 2)]
    assert used[0] == used[1]
    assert used[0]["TRELLIS_IO"]["used"] == len(PINS)
