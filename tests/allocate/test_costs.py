"""Cost models: what all of them keep, and each one's numbers by hand or by brute force."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.allocate.costs import Activation, Cost, Counted, Hardware, Part, costs, make_cost, whole
from codesign.allocate.costs._measurements import read_measurements
from codesign.allocate.costs.bram import blocks
from codesign.allocate.counting.arithmetic import TREE_CARRY_BITS, csd_digits, levels
from codesign.design import Measurement
from codesign.errors import ContractError, InputError
from codesign.estimate.model.fit import read_fit
from codesign.ops import operations
from codesign.ops.op import Rewritten
from codesign.target import load_target

ROOT = Path(__file__).parent.parent.parent
TARGET = load_target("vu13p-l1t", Path())
HARDWARE = Hardware(TARGET)
NAMES = sorted(costs())
MODELS = [name for name in NAMES if name != "measured"]
PART = Part("fc", "linear", channels=64, positions=1, fan_in=16, weight_bits=6, activation_bits=8, nonzero=1000)


def cost(name: str, hardware: Hardware = HARDWARE) -> Cost:
    return make_cost(name, hardware, "test")


@st.composite
def parts(draw: st.DrawFn) -> Part:
    channels, fan_in = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    return Part(
        "layer",
        draw(st.sampled_from(["linear", "conv"])),
        channels,
        draw(st.integers(1, 9)),
        fan_in,
        draw(st.integers(2, 24)),
        draw(st.integers(1, 24)),
        draw(st.integers(0, channels * fan_in)),
        draw(st.integers(0, 2)),
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_cost_says_what_it_is(name: str) -> None:
    kind, text = costs()[name], (ROOT / "docs/reference/costs.md").read_text(encoding="utf-8")
    assert kind.unit
    assert "Source: " in (kind.__doc__ or "")
    assert f"| `{name}` | {kind.unit} |" in text
    assert kind.form in ("sum", "longest path", "black box")


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_has_a_rule(name: str) -> None:
    charged = {kind: op for kind, op in operations().items() if op.arithmetic and not issubclass(op, Rewritten)}
    kinds = [(kind, "weight" in getattr(op, "__annotations__", {})) for kind, op in charged.items()]
    cost(name).require_rules(name, [("x", kind, has_weights) for kind, has_weights in kinds])
    with pytest.raises(InputError, match="no rule for the operation 'softmax'") as caught:
        cost(name).require_rules(name, [("x", "add", False), ("last", "softmax", False)])
    assert "'last'" in caught.value.where
    assert (ROOT / caught.value.next_step.split()[4].rstrip(",")).is_file(), caught.value.next_step


@given(parts(), st.integers(1, 9), st.integers(1, 300), st.data())
@pytest.mark.parametrize("name", MODELS)
def test_costs_grow_with_bits_and_weights(name: str, part: Part, more: int, reuse: int, data: st.DataObject) -> None:
    model = cost(name, replace(HARDWARE, reuse_factor=reuse))
    here = model.of_part(part)
    assert 0 <= here < np.inf
    assert model.of_part(replace(part, nonzero=0)) == 0
    assert here <= model.of_part(replace(part, weight_bits=part.weight_bits + more))
    assert here <= model.of_part(replace(part, activation_bits=part.activation_bits + more))
    assert here <= model.of_part(replace(part, nonzero=data.draw(st.integers(part.nonzero, part.weights))))
    tensor = Activation("x", part.fan_in, part.activation_bits)
    assert 0 <= model.activation(tensor) <= model.activation(replace(tensor, bits=tensor.bits + more))


def digits(value: int) -> list[int]:
    """Canonical signed digit form, the least significant digit first."""
    found: list[int] = []
    while value:
        digit = 2 - value % 4 if value % 2 else 0
        found.append(digit)
        value = (value - digit) // 2
    return found


def test_digits() -> None:
    assert digits(7) == [-1, 0, 0, 1]
    assert all(sum(d << i for i, d in enumerate(digits(v))) == v for v in range(-600, 600))
    assert not any(a and b for v in range(-600, 600) for a, b in zip(digits(v), digits(v)[1:], strict=False))


@pytest.mark.parametrize("bits", range(2, 11))
def test_multiplier_bounds_every_constant(bits: int) -> None:
    """And some constant needs all of it."""
    used = [np.count_nonzero(digits(value)) for value in range(-(2 ** (bits - 1)), 2 ** (bits - 1))]
    assert max(used) == csd_digits(bits)
    one = Part("x", "linear", 1, 1, 1, bits, 7, 1)
    assert cost("multiplier_lut").of_part(one) == (max(used) - 1) * (7 + bits)


def test_multiplier_by_hand() -> None:
    assert cost("multiplier_lut").of_part(PART) == 1000 * 2 * 14
    assert cost("multiplier_lut").of_part(replace(PART, weight_bits=2)) == 0
    assert cost("multiplier_lut").of_part(replace(PART, positions=9)) == 9000 * 2 * 14


def tree_bits(terms: int, width: int) -> int:
    """Bits of the adders of a balanced tree, each level one bit wider."""
    total = 0
    while terms > 1:
        width += 1
        total += terms // 2 * width
        terms -= terms // 2
    return total


def test_adder_tree_bounds_balanced_trees() -> None:
    for terms in range(1, 700):
        assert (terms - 1) * 9 <= tree_bits(terms, 9) <= (terms - 1) * (9 + TREE_CARRY_BITS)
        assert 2 ** levels(terms) >= terms > 2 ** levels(terms) // 2


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20))
def test_adders_bound_any_spread_of_zeros(used: list[int]) -> None:
    part = Part("x", "linear", len(used), 1, 30, 6, 8, sum(used))
    trees = sum(tree_bits(terms, 14) for terms in used)
    biases = sum(1 for terms in used if terms) * (14 + 5 + 1)
    assert trees + biases <= cost("adder_lut").of_part(part)


def test_adders_by_hand() -> None:
    tree, bias = (1000 - 63) * 16, 64 * 19
    assert cost("adder_lut").of_part(PART) == tree + bias
    assert cost("adder_lut").of_part(replace(PART, additions=2, positions=3)) == 3 * (tree + 3 * bias)
    assert cost("lut").of_part(PART) == tree + bias + cost("multiplier_lut").of_part(PART)
    assert cost("lut").limit() == 432_000


def test_fitted_luts_by_hand() -> None:
    """Per bit of a weight and per weight, an adder of 8 + 2 bits; a sum of branches for each output, of 18 bits."""
    fit = read_fit()
    once = 1000 * 10 * (6 * fit.part_per_bit + fit.part_per_weight)
    assert cost("rtl_lut").of_part(PART) == pytest.approx(once)
    assert cost("rtl_lut").of_part(replace(PART, positions=3, additions=2)) == pytest.approx(3 * (once + 2 * 64 * 18))
    assert cost("rtl_lut").limit() == 432_000


def test_simple_counts_by_hand() -> None:
    part = replace(PART, positions=2)
    assert cost("bops_qonnx").of_part(part) == 2 * 1000 * 6 * 8
    assert cost("ebops").of_part(part) == 2 * 1000 * 5 * 8
    assert cost("weight_bits").of_part(part) == 1024 * 6
    assert cost("activation_bits").of_part(part) == 0
    assert cost("activation_bits").total(Counted((part,), (Activation("x", 16, 8), Activation("y", 64, 3)), ())) == 320


@given(st.integers(2, 10), st.integers(1, 12))
def test_ebops_bound_enclosed_bits(bits: int, activation_bits: int) -> None:
    """HGQ's own count of a constant: from the first bit that is set to the last."""
    bound = cost("ebops").of_part(Part("x", "linear", 1, 1, 1, bits, activation_bits, 1))
    for code in range(-(2 ** (bits - 1)), 2 ** (bits - 1)):
        enclosed = abs(code).bit_length() - (code & -code).bit_length() + 1 if code else 0
        assert enclosed * activation_bits <= bound


@pytest.mark.parametrize(
    ("weights", "bits", "reuse", "wanted"),
    [
        (1024, 8, 1, 114),  # a word of 8,192 bits: 113.8 blocks of 72
        (1024, 8, 64, 2),  # 64 words of 128 bits: 2 blocks of 72
        (1024, 8, 1024, 1),  # 1,024 words of 8 bits
        (1000, 5, 7, 10),  # 7 words of 143 weights, 715 bits
        (2048, 6, 100_000, 1),  # 2,048 words of 6 bits fit 18 x 2,048
        (100_000, 8, 50_000, 25),  # 50,000 words of 16 bits: 25 blocks of 18 x 2,048
        (32_769, 1, 100_000, 2),
    ],
)
def test_bram_by_hand(weights: int, bits: int, reuse: int, wanted: int) -> None:
    part = Part("x", "linear", 1, 1, weights, bits, 8, 1)
    assert cost("bram", replace(HARDWARE, reuse_factor=reuse)).of_part(part) == wanted


def test_one_block_holds_every_aspect_ratio() -> None:
    for wide, deep in ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192), (2, 16384), (1, 32768)):
        assert blocks(wide, deep) == 1
        assert blocks(wide + 1, deep) == blocks(wide, deep + 1) == 2
    assert cost("bram").limit() == 672


def test_latency_by_hand() -> None:
    model = cost("latency_cycles")  # 5 levels fit 5 ns
    assert model.of_part(PART) == 2  # 2 + 4 + 1 levels
    assert model.of_part(replace(PART, fan_in=4, weight_bits=4)) == 1  # 1 + 2 + 1
    assert model.of_part(replace(PART, additions=4)) == 3
    assert cost("latency_cycles", replace(HARDWARE, reuse_factor=8)).of_part(PART) == 9
    assert cost("latency_cycles", Hardware(replace(TARGET, clock_ns=0.5))).of_part(PART) == 7


def test_latency_is_that_of_the_longest_path() -> None:
    first, long, short, last = (replace(PART, node=name) for name in ("first", "long", "short", "last"))
    short = replace(short, fan_in=2, channels=512)
    ways = (frozenset({"first", "long", "last"}), frozenset({"first", "short", "last"}))
    counted = Counted((first, long, short, last), (), ways)
    assert cost("latency_cycles").total(counted) == 6
    assert cost("latency_cycles").total(replace(counted, paths=ways[1:])) == 5
    with pytest.raises(ContractError, match="paths"):
        cost("latency_cycles").total(replace(counted, paths=()))


@pytest.mark.parametrize(
    ("latency", "clock", "wanted"), [(None, 5.0, None), (25.0, 5.0, 5), (0.3, 0.1, 3), (9.9, 5, 1)]
)
def test_latency_limit(latency: float | None, clock: float, wanted: int | None) -> None:
    target = replace(TARGET, latency_ns=latency, clock_ns=clock)
    assert cost("latency_cycles", Hardware(target)).limit() == wanted


def test_costs_of_whole_nodes_see_channels_together() -> None:
    channels = [replace(PART, channels=1, weight_bits=bits, nonzero=used) for bits, used in ((9, 0), (4, 3), (6, 16))]
    counted = Counted(tuple(channels), (), (frozenset({"fc"}),))
    together = replace(PART, channels=3, weight_bits=6, nonzero=19)
    assert counted.nodes() == (together,) == (whole(channels),)
    for name in MODELS:
        model = cost(name)
        wanted = sum(map(model.of_part, channels)) if model.by_channel else model.of_part(together)
        assert model.total(counted) == wanted


def measured(*rows: tuple[str, int, int, float]) -> Cost:
    return cost("measured", replace(HARDWARE, measurements=tuple(Measurement(*row) for row in rows)))


def at(model: Cost, weight_bits: int, activation_bits: int, node: str = "fc") -> float:
    return model.of_part(replace(PART, node=node, weight_bits=weight_bits, activation_bits=activation_bits))


def test_measured_in_a_plane() -> None:
    model = measured(("fc", 2, 2, 1.0), ("fc", 2, 6, 9.0), ("fc", 6, 2, 5.0), ("fc", 6, 6, 13.0), ("fc", 3, 3, 100.0))
    assert at(model, 6, 6) == 13.0
    assert at(model, 3, 3) == 100.0
    assert at(model, 4, 2) == pytest.approx(3.0)
    assert at(model, 6, 4) == pytest.approx(9.0)
    assert at(model, 2, 3) == pytest.approx(3.0)
    for outside in ((1, 4), (7, 4), (4, 1), (4, 7)):
        with pytest.raises(InputError, match=r"layer 'fc'.*outside.*\(2, 2\)"):
            at(model, *outside)


@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9), st.integers(1, 9))
def test_measured_planes_are_exact(slope: int, other: int, width: int, height: int) -> None:
    def plane(x: int, y: int) -> float:
        return 1000.0 + slope * x + other * y

    corners = [(x, y) for x in (3, 3 + width) for y in (2, 2 + height)]
    model = measured(*(("fc", x, y, plane(x, y)) for x, y in corners))
    for x in range(3, 4 + width):
        for y in range(2, 3 + height):
            assert at(model, x, y) == pytest.approx(plane(x, y))


@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (0, 1), (1, 1), (2, 1), (1, -1)])
def test_measured_on_a_line(dx: int, dy: int) -> None:
    model = measured(*(("fc", 8 + dx * k, 8 + dy * k, 10.0 * k * k) for k in (4, 0, 2)))
    assert [at(model, 8 + dx * k, 8 + dy * k) for k in range(5)] == pytest.approx([0, 20, 40, 100, 160])
    for outside in ((8 - dx, 8 - dy), (8 + 5 * dx, 8 + 5 * dy), (8 - dy, 8 + dx)):
        with pytest.raises(InputError, match="outside"):
            at(model, *outside)


def test_measured_at_one_point() -> None:
    model = measured(("fc", 6, 8, 7.0))
    assert at(model, 6, 8) == 7.0
    with pytest.raises(InputError, match="outside"):
        at(model, 6, 9)
    with pytest.raises(InputError, match=r"layer 'other': no measurement.*measured: fc"):
        at(model, 6, 8, "other")


def test_reading_measurements(tmp_path: Path) -> None:
    path = tmp_path / "luts.csv"
    path.write_text("value,layer,note,weight_bits,activation_bits\n12.5,fc1,run 3,4,8\n3e2, fc1 ,,6,8\n")
    assert read_measurements(path) == (Measurement("fc1", 4, 8, 12.5), Measurement("fc1", 6, 8, 300.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer,weight_bits,value\nfc,4,1\n", "no column activation_bits"),
        ("", "no column layer, weight_bits"),
        ("HEAD", "no rows"),
        ("HEADfc,4,8,many\n", "line 2, value: 'many'"),
        ("HEADfc,4,8,nan\n", "line 2, value: 'nan'"),
        ("HEADfc,4,8,inf\n", "line 2, value: 'inf'"),
        ("HEADfc,4,8,-1\n", "line 2, value: '-1'"),
        ("HEADfc,4,8\n", "line 2, value: ''"),
        ("HEADfc,4.5,8,1\n", "line 2, weight_bits: '4.5'"),
        ("HEADfc,4,0,1\n", "line 2, activation_bits: '0'"),
        ("HEAD,4,8,1\n", "line 2, layer: no name"),
        ("HEADfc,4,8,1\nfc,4,8,2\n", "layer 'fc' with 4 and 8 bits twice"),
    ],
)
def test_bad_measurements(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "luts.csv"
    path.write_text(text.replace("HEAD", "layer,weight_bits,activation_bits,value\n"))
    with pytest.raises(InputError, match=message):
        read_measurements(path)


def test_unreadable_measurements(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_measurements(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_measurements(tmp_path)
    (tmp_path / "latin").write_bytes(b"layer,weight_bits,activation_bits,value\n\xe9,4,8,1\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_measurements(tmp_path / "latin")


def test_an_unknown_cost_is_named() -> None:
    with pytest.raises(InputError, match="did you mean 'bops_campos'"):
        make_cost("bops_campo", HARDWARE, "option cost")


def test_an_operation_without_a_rule() -> None:
    @dataclass(frozen=True)
    class Dense(Cost):
        unit: ClassVar[str] = "-"
        weighted: ClassVar[frozenset[str]] = frozenset({"linear"})

        def part(self, part: Part) -> float:
            return 1.0

    with pytest.raises(InputError, match=r"'first'.*no rule for the operation 'conv'.*tests/allocate/test_costs.py"):
        Dense(HARDWARE).require_rules("dense", [("first", "conv", True)])
