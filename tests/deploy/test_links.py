"""Link maps: random ones against a second reading of what a field says, and played on Verilog; what is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.deploy._boards import Board
from codesign.deploy._links import Field, LinkMap, Side
from codesign.deploy._packets import Pair, board, words, write_files
from codesign.deploy._replay import differing, replay, replayed
from codesign.deploy._wrapper import Wrapper
from codesign.errors import InputError
from codesign.hdl.interface import Port
from tests.deploy.projects import Codes, Sums, random_codes

#: Two inputs and an output on links of two frames in a cycle, parts of elements apart from each other.
PROJECT = Sums(((3, 7), (1, 20)), ((2, 30), (1, 9)), 3)
ONE = Sums(((4, 16),), ((2, 33),), 1)


def laid(ports: Sequence[Port], period: int, links: Sequence[int], seed: int) -> list[Field]:
    """Each element, whole or in two parts, somewhere in words that are taken in any order; gaps between them."""
    generator = np.random.default_rng(seed)
    slots = [(link, frame) for link in links for frame in range(period)]
    order, bit = [slots[i] for i in generator.permutation(len(slots))], 0
    fields: list[Field] = []
    for port in ports:
        for element in range(port.elements):
            cut = int(generator.integers(0, port.width)) if generator.integers(2) else 0
            for low, bits in ((0, cut), (cut, port.width - cut)):
                bit += int(generator.integers(0, 9)) if generator.integers(2) else 0
                if bit + bits > 64:
                    order, bit = order[1:], 0
                if bits:
                    fields.append(Field(*order[0], bit, port.tensor, element, 1, 0, low, bits))
                    bit += bits
    return [fields[i] for i in generator.permutation(len(fields))]


def plan_of(project: Sums, ratio: int, period: int, seed: int) -> Wrapper:
    """The project between links, by a random map."""
    interface, generator = project.interface, np.random.default_rng(seed)
    sides: list[list[Field]] = []
    for ports in (interface.inputs, interface.outputs):
        need = sum(port.elements for port in ports)
        links = sorted(generator.choice(100, need // period + 1, replace=False).tolist())
        sides.append(laid(ports, period, links, int(generator.integers(2**32))))
    plan = LinkMap(tuple(sides[0]), tuple(sides[1]), period, ratio)
    inputs = Side.of(plan.inputs, interface.inputs, period, "map, inputs").require_whole("map, inputs")
    outputs = Side.of(plan.outputs, interface.outputs, period, "map, outputs").require_whole("map, outputs")
    return Wrapper(interface, inputs, outputs, plan)


def said(fields: Sequence[Field], codes: Mapping[str, Codes], side: Side, event: int) -> dict[tuple[int, int], int]:
    """The words of an event by frame and link, as the meaning of a field has it."""
    found = {(frame, link): 0 for frame in range(side.frames) for link in side.links}
    width = {port.tensor: port.width for port in side.ports}
    for field in fields:
        tensor = field.tensor or side.ports[0].tensor
        bits = field.bits or width[tensor] - field.low
        for index in range(field.count):
            code = int(codes[tensor][event, field.first + index])
            part = (code >> field.low) % 2**bits
            found[field.frame, field.link] |= part << (field.bit + index * (field.step or bits))
    return found


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3]), st.integers(1, 4))
@settings(max_examples=60)
def test_words_are_what_the_map_says(seed: int, ratio: int, cycles: int) -> None:
    wrapper = plan_of(PROJECT, ratio, ratio * cycles, seed)
    for side, fields in ((wrapper.inputs, wrapper.plan.inputs), (wrapper.outputs, wrapper.plan.outputs)):
        codes = random_codes(side.ports, 3, seed)
        found = words(side, codes)
        named = {port.tensor: values for port, values in zip(side.ports, codes, strict=True)}
        for event in range(3):
            wanted = said(fields, named, side, event)
            assert {
                (frame, link): int(found[event, frame, place])
                for frame in range(side.frames)
                for place, link in enumerate(side.links)
            } == wanted


def test_several_elements_with_gaps() -> None:
    ports = ONE.interface.inputs
    side = Side.of([Field(3, 0, 1, "", 1, 3, 20), Field(1, 1, 5)], ports, 2, "map, inputs").require_whole("map")
    found = words(side, [np.array([[0xAAAA, 1, 2, 0xFFFF]])])
    assert found.tolist() == [[[0, (1 << 1) | (2 << 21) | (0xFFFF << 41)], [0xAAAA << 5, 0]]]


def test_the_default_packing_crosses_no_word_and_fills_a_link_after_the_other() -> None:
    interface = Sums(((9, 30),), ((2, 33),), 1).interface
    plan = LinkMap.in_order(interface.inputs, interface.outputs, 2)
    assert [(x.link, x.frame, x.bit) for x in plan.inputs] == [
        (0, 0, 0), (0, 0, 30), (0, 1, 0), (0, 1, 30), (1, 0, 0), (1, 0, 30), (1, 1, 0), (1, 1, 30), (2, 0, 0),
    ]  # fmt: skip
    assert [(x.link, x.frame, x.bit) for x in plan.outputs] == [(0, 0, 0), (0, 1, 0)]


def pair(wrapper: Wrapper, project: Sums, seed: int, frames: int = 64) -> Pair:
    """A file of random events."""
    plan, latency = wrapper.plan, wrapper.latency_frames
    codes = random_codes(wrapper.inputs.ports, (frames - latency) // plan.period, seed)
    given_words, made = words(wrapper.inputs, codes), words(wrapper.outputs, project.expected(codes))
    return Pair(
        board(wrapper.inputs, given_words, plan.period, 0, frames, "CMSSW"),
        board(wrapper.outputs, made, plan.period, latency, frames, "CMSSW"),
    )


def changed(whole: Board, frame: int, flag: str) -> Board:
    """A board with one bit of a frame turned over."""
    rows = whole.rows.copy()
    rows[flag][frame, 0] ^= 1
    return Board(whole.links, rows, whole.name)


PLAYED = [
    (PROJECT, 2, 4, 0),
    *(pytest.param(PROJECT, r, r * c, r + c, marks=pytest.mark.slow) for r in (1, 2, 3) for c in (1, 2, 5)),
]
PLAYED += [pytest.param(ONE, 1, 1, seed, marks=pytest.mark.slow) for seed in range(3)]


@pytest.mark.parametrize(("project", "ratio", "period", "seed"), PLAYED)
def test_frames_come_when_and_as_they_should(project: Sums, ratio: int, period: int, seed: int, tmp_path: Path) -> None:
    """Two files after one another, and the same held against a latency that is one cycle off."""
    wrapper, log = plan_of(project, ratio, period, seed), tmp_path / "log"
    project.write(tmp_path / "project")
    files = [pair(wrapper, project, seed, 60), pair(wrapper, project, seed + 1, 60)]
    folder = tmp_path / "patterns"
    write_files(files, ("EMPv1", "EMPv2", "APx"), folder)
    check = replayed(wrapper, files, ("EMPv1", "EMPv2", "APx"), folder, tmp_path / "project", "g++", log, 600)
    assert (check.status, check.mismatches) == ("exact", 0)
    assert check.inputs == 2 * ((60 - wrapper.latency_frames) // period)
    player = tmp_path / "project" / "simulation" / "player"
    (made,) = replay(player, wrapper, [files[0].inputs], log, 600)
    assert not differing(made, files[0].outputs)
    late = replace(wrapper, interface=replace(wrapper.interface, stages=wrapper.interface.stages + 1))
    assert differing(made, pair(late, project, seed, 60).outputs)


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["data", "valid", "start", "end", "orbit"])
@pytest.mark.parametrize("way", ["inputs", "outputs"])
def test_a_wrong_frame_is_found(flag: str, way: str, tmp_path: Path) -> None:
    wrapper, log = plan_of(PROJECT, 1, 3, 5), tmp_path / "log"
    PROJECT.write(tmp_path / "project")
    right = pair(wrapper, PROJECT, 5)
    wrong = replace(right, **{way: changed(getattr(right, way), wrapper.latency_frames + 7, flag)})
    write_files([wrong], ("EMPv2",), tmp_path / "patterns")
    found = replayed(wrapper, [right], ("EMPv2",), tmp_path / "patterns", tmp_path / "project", "g++", log, 600)
    assert (found.status, found.mismatches > 0) == ("differs", True)


def table(**changes: Any) -> dict[str, Any]:
    """The link map of a network of four inputs of 16 bits and two outputs of 33, changed."""
    whole: dict[str, Any] = {
        "period": 2,
        "inputs": [{"link": 0, "frame": 0, "count": 4}],
        "outputs": [{"link": 0, "frame": 0}, {"link": 0, "frame": 1, "first": 1}],
    }
    return {**whole, **changes}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an element is missing": (
        {"inputs": [{"link": 0, "frame": 0, "count": 3}]}, r"16 of 64 bits missing: 16 of 'in0'; .*; add fields"
    ),
    "bits of each element are missing": (
        {"inputs": [{"link": 0, "frame": 0, "count": 4, "low": 3}]}, r"12 of 64 bits missing",
    ),
    "no inputs": ({"inputs": []}, "inputs: no bits on any link"),
    "two on one place": (
        {"inputs": [{"link": 0, "frame": 0, "count": 4}, {"link": 0, "frame": 0, "bit": 60, "bits": 4}]},
        r"inputs 1: 4 bits that another field has",
    ),
    "one in two places": (
        {"inputs": [{"link": 0, "frame": 0, "count": 4}, {"link": 0, "frame": 1}]}, "16 bits .* a second",
    ),
    "beyond the word": ({"inputs": [{"link": 0, "frame": 0, "bit": 1, "count": 4}]}, "bits 1 to 64 of the word"),
    "beyond the tensor": ({"inputs": [{"link": 0, "frame": 0, "first": 1, "count": 4}]}, "elements 1 to 4"),
    "beyond the element": ({"inputs": [{"link": 0, "frame": 0, "low": 10, "bits": 7}]}, "bits 10 to 16"),
    "beyond the packet": ({"inputs": [{"link": 0, "frame": 2}]}, "frame 2 of link 0; wanted: frame 0 to 1"),
    "a negative link": ({"inputs": [{"link": -1, "frame": 0}]}, "frame 0 of link -1"),
    "an unknown tensor": ({"inputs": [{"link": 0, "frame": 0, "tensor": "y"}]}, "tensor: 'y'; wanted: 'in0'"),
    "an unknown key": ({"inputs": [{"link": 0, "frame": 0, "elements": 4}]}, "unknown option 'elements'"),
    "no link": ({"inputs": [{"frame": 0}]}, "option 'link': nothing"),
    "not tables": ({"inputs": [3]}, r"tables: \[\[links.inputs\]\]"),
    "an unknown option": ({"peroid": 3}, "unknown option 'peroid'.*'period'"),
    "half a cycle": ({"frames_per_clock": 4}, "period 2, frames_per_clock 4; wanted: a period of whole clock cycles"),
    "no cycle": ({"frames_per_clock": 0}, "frames_per_clock 0"),
    "a text": ({"period": "2"}, "'period': found '2'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_map_is_refused(case: str) -> None:
    changes, message = REFUSED[case]
    with pytest.raises(InputError, match=f"target 't', links.*{message}"):
        plan = LinkMap.parsed(table(**changes), "target 't', links")
        where = "target 't', links, inputs"
        Side.of(plan.inputs, ONE.interface.inputs, plan.period, where).require_whole(where)


def test_a_map_that_is_whole_is_taken() -> None:
    plan = LinkMap.parsed(table(), "t")
    for fields, ports in ((plan.inputs, ONE.interface.inputs), (plan.outputs, ONE.interface.outputs)):
        Side.of(fields, ports, plan.period, "t").require_whole("t")
