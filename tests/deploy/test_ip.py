"""Cores around RTL: streams with random stalls, and what their test bench finds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codesign.deploy._stream import StreamCore, Streamed, stream
from codesign.hdl.verilator import compile_bench, find_verilator
from tests.deploy.projects import Sums, random_codes

SMALL = Sums(((3, 7), (1, 20)), ((2, 30), (1, 9)), 3)
#: One beat in and several out, several in and one out, deep and shallow pipelines, an event that fills its beats.
CORES = [
    (Sums(((1, 8),), ((5, 8),), 1), 8),
    (Sums(((5, 8),), ((1, 3),), 9), 8),
    (Sums(((2, 32),), ((1, 53),), 30), 64),
    (SMALL, 16),
    (SMALL, 0),
    (Sums(((9, 50),), ((3, 53),), 14), 0),
]
SEEDS = range(1, 6)
#: Cycles of the test bench after the last beat, and two of the queue.
RESTS = 1000 + 2


def compiled(project: Sums, beat_bits: int, folder: Path, old: str = "", new: str = "") -> tuple[StreamCore, Path]:
    """The core and its test bench, a part of its Verilog replaced."""
    core = StreamCore.of(project.write(folder / "project"), beat_bits)
    text = core.verilog()
    assert old in text
    (folder / "project" / core.file).write_text(text.replace(old, new, 1) if old else text)
    files = (*core.interface.files, core.file)
    bench = core.bench()
    player = compile_bench(find_verilator(), core.name, files, bench, folder / "project", "g++", folder / "log", 600)
    return core, player  # fmt: skip


def played(core: StreamCore, player: Path, project: Sums, events: int, seed: int) -> Streamed:
    codes = random_codes(core.inputs.ports, events, seed)
    return stream(player, core, codes, project.expected(codes), seed, player.parent / "log", 600)


class Whole(StreamCore):
    """A core that is offered whole events alone, for those that are dropped take their time too."""

    def offered(self, events: np.ndarray, seed: int) -> np.ndarray:
        return events.reshape(-1, events.shape[2])


def require_right(project: Sums, beat_bits: int, folder: Path) -> None:
    """All events come under five patterns of stalls; without stalls, one after another."""
    core, player = compiled(project, beat_bits, folder)
    for seed in SEEDS:
        found = played(core, player, project, 400, seed)
        assert (found.mismatches, found.breaches) == (0, 0)
    whole = Whole(core.interface, core.inputs, core.outputs)
    fast, most = played(whole, player, project, 400, 0), max(core.inputs.beats, core.outputs.beats)
    assert fast.mismatches == 0
    assert fast.cycles <= 400 * most + project.stages + core.inputs.beats + core.outputs.beats + RESTS


def test_all_events_come_in_order_under_stalls(tmp_path: Path) -> None:
    require_right(SMALL, 16, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("project", "beat_bits"), CORES, ids=lambda value: str(value)[:40])
def test_all_events_come_in_order_in_cores_of_any_shape(project: Sums, beat_bits: int, tmp_path: Path) -> None:
    require_right(project, beat_bits, tmp_path)


#: Errors in the core, each of which the test bench must find.
ERRORS = {
    "too much is taken": ("assign s_axis_tready = room != 0;", "assign s_axis_tready = 1'b1;"),
    "a beat is passed over": (
        "else if (sent) place <= place + 32'd1",
        "else if (m_axis_tvalid) place <= place + 32'd1",
    ),
    "the queue goes on alone": ("head + gone", "head + (m_axis_tvalid & place == 32'd4)"),
    "events cut short are taken": (" & beats == 32'd", " & 32'd99 != 32'd"),
    "room that is never given back": ("room + gone", "room"),
    "the last beat is not said": ("assign m_axis_tlast = place", "assign m_axis_tlast = 32'd1 + place"),
    "beats in disorder": ("{s_axis_tdata, held};", "{held, s_axis_tdata};"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ERRORS)
def test_an_error_of_the_core_is_found(case: str, tmp_path: Path) -> None:
    core, player = compiled(SMALL, 16, tmp_path, *ERRORS[case])
    found = played(core, player, SMALL, 400, 1)
    assert found.mismatches or found.breaches


def test_the_beats_of_an_event() -> None:
    core = StreamCore.of(SMALL.interface, 16)
    assert [(way.size, way.width, way.beats, way.spare) for way in (core.inputs, core.outputs)] == [
        (41, 16, 3, 7), (69, 16, 5, 11),
    ]  # fmt: skip
    codes = [np.array([[1, 2, 3]]), np.array([[5]])]
    event = 1 | 2 << 7 | 3 << 14 | 5 << 21
    beats = core.inputs.packed(codes)[0]
    assert beats[:, 0].tolist() == [0, 0, 1]
    assert [int(beat[8:].view("<u8")[0]) for beat in beats] == [event >> 16 * i & 0xFFFF for i in range(3)]
    whole = StreamCore.of(SMALL.interface, 0)
    assert [(way.width, way.beats) for way in (whole.inputs, whole.outputs)] == [(48, 1), (72, 1)]
    assert "tlast" not in whole.verilog().partition("`timescale")[2]


def test_room_is_for_all_that_is_on_its_way() -> None:
    for stages in range(1, 70):
        core = StreamCore.of(replace(SMALL.interface, stages=stages), 16)
        assert stages + 2 <= core.values()["depth"] < 2 * (stages + 2)
