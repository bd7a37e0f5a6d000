"""Bits of ports, and what has to come out of a pipeline in which cycle."""

import re
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codesign.fixed import Fixed
from codesign.hdl.cycles import Schedule, pack, schedule, unpack
from codesign.hdl.interface import Interface, Port
from codesign.hdl.unrolled import named_ports


@st.composite
def ports(draw: st.DrawFn) -> Port:
    signed = draw(st.booleans())
    width = draw(st.integers(2 if signed else 1, 40))
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=2)))
    return Port("in_x", "x", shape, signed, width, draw(st.integers(-3, 9)))


@given(st.lists(ports(), min_size=1, max_size=3), st.integers(0, 2**32))
def test_packing_and_unpacking_are_inverse(given_ports: list[Port], seed: int) -> None:
    generator = np.random.default_rng(seed)
    codes = [
        generator.integers(int(port.fixed.low), int(port.fixed.high) + 1, (7, port.elements)) for port in given_ports
    ]
    record = pack(given_ports, codes)
    assert record.shape == (7, sum(port.record for port in given_ports))
    for wanted, found in zip(codes, unpack(given_ports, record), strict=True):
        assert (wanted == found).all()


def test_first_element_is_in_the_lowest_bits() -> None:
    port = Port("in_x", "x", (3,), True, 4, 4)
    assert pack([port], [np.array([[1, -1, 2]])])[0, :2].tolist() == [0xF1, 0x02]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40), st.integers(1, 6))
def test_arrivals_are_those_of_a_shift_register(flags: list[tuple[bool, bool]], latency: int) -> None:
    valid, reset = (np.array(column) for column in zip(*flags, strict=True))
    plan = Schedule(np.arange(len(flags)), valid, reset)
    pipeline: list[int] = [-1] * latency
    wanted: list[int] = []
    for cycle in range(len(flags)):
        wanted.append(pipeline[-1])
        pipeline = [-1] * latency if reset[cycle] else [cycle if valid[cycle] else -1, *pipeline[:-1]]
    assert plan.arrivals(latency).tolist() == wanted


@given(st.integers(1, 600), st.integers(2, 30), st.integers(0, 99))
def test_a_schedule_has_every_vector_back_to_back_and_pauses_and_resets(count: int, latency: int, seed: int) -> None:
    plan = schedule(count, latency, seed)
    assert set(plan.arrivals(latency).tolist()) == {-1, *range(count)}
    assert plan.valid[2 : 2 + count].all()
    assert plan.reset[0]
    assert not plan.reset[2 : 2 + count].any()
    assert ((plan.vectors >= 0) & (plan.vectors < count)).all()


def test_an_interface_is_read_as_it_was_written(tmp_path: Path) -> None:
    port = Port("in_x", "x", (2, 3), True, 4, 2)
    interface = Interface("top", ("top.v",), 5.0, 3, 1, (port,), (port, port))
    interface.write(tmp_path)
    assert Interface.read(tmp_path) == interface


def test_ports_have_names_of_their_own() -> None:
    tensors = ["a.b", "a_b_2", "a__b", "x", "valid", "", "größe"]
    made = named_ports("in", dict.fromkeys(tensors, Fixed(True, 4, 2)), dict.fromkeys(tensors, (2,)))
    names = [port.name for port in made]
    assert len(set(names)) == len(names)
    assert names[3] == "in_x"
    assert all(re.fullmatch(r"in_[A-Za-z0-9_]+", name) and "__" not in name for name in names)
    assert "in_valid" not in names
    assert [port.tensor for port in made] == tensors
