"""What there is to decide: every choice obeys the rules, and rules that cannot be obeyed are said."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from codesign.allocate._decisions import Choice, decisions
from codesign.allocate._pieces import Piece
from codesign.allocate._widths import NARROWEST, WIDEST, Rules
from codesign.errors import InputError
from codesign.graph import Graph
from codesign.load._fx import graph_from_module


class Network(nn.Module):
    """Two layers in a row, a skipped branch, and a last layer: activations x, relu1, relu2 and the sum's ``relu3``."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3, self.fc4 = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.fc1(x))
        return self.fc4(self.relu3(self.fc3(self.relu2(self.fc2(x))) + x))


WEIGHTS = tuple(f"fc{i}.weight" for i in range(1, 5))
ACTIVATIONS = ("x", "relu1", "relu2", "relu3")


@cache
def network() -> Graph:
    return graph_from_module(Network().eval(), [(4,)])[0]


def widths(rules: Rules, graph: Graph | None = None) -> dict[str, set[int]]:
    """The bits that each tensor can get."""
    found: dict[str, set[int]] = {}
    for choices in decisions(graph or network(), rules):
        for choice in choices:
            for piece, bits in choice.items():
                found.setdefault(piece.tensor, set()).add(bits)
    return found


def together(rules: Rules, *names: str) -> set[tuple[int, ...]]:
    """The bits that tensors of one decision get together."""
    (choices,) = [each for each in decisions(network(), rules) if Piece(names[0]) in each[0]]
    return {tuple(choice[Piece(name)] for name in names) for choice in choices}


def test_the_network_is_as_described() -> None:
    graph = network()
    assert tuple(graph.activations()) == ACTIVATIONS
    follows = {name: graph.feeding(name) for name in ACTIVATIONS}
    assert {name: node and node.name for name, node in follows.items()} == {
        "x": None, "relu1": "fc1", "relu2": "fc2", "relu3": None
    }  # fmt: skip


def test_without_rules() -> None:
    """Weights by themselves or with the activation after them; a sum's activation follows no weight."""
    found = [{piece.tensor for piece in choices[0]} for choices in decisions(network(), Rules())]
    assert found == [{"x"}, {"fc1.weight", "relu1"}, {"fc2.weight", "relu2"}, {"relu3"}, {WEIGHTS[2]}, {WEIGHTS[3]}]
    assert together(Rules(), "fc1.weight", "relu1") == {(bits, bits + 3) for bits in range(4, 9)}
    assert widths(Rules()) | {"relu3": set()} == {
        "x": {16}, **{key: set(range(4, 9)) for key in WEIGHTS}, "relu1": set(range(7, 12)), "relu2": set(range(7, 12)),
        "relu3": set(),
    }  # fmt: skip
    assert widths(Rules())["relu3"] == set(range(4, 12))


def test_free_activations_are_decided_by_themselves() -> None:
    rules = Rules(activations="free", activation_bits=(5, 6), input_bits=7)
    assert len(decisions(network(), rules)) == 8
    found = widths(rules)
    assert all(found[name] == {5, 6} for name in ACTIVATIONS[1:])
    assert found["x"] == {7}


def test_pins_ranges_and_patterns() -> None:
    rules = Rules(bits={"fc1.weight": 7, "fc*.weight": (2, 3), "fc3*": 5, "x": (8, 9)})
    found = widths(rules)
    assert {name: found[name] for name in WEIGHTS} == {
        "fc1.weight": {7}, "fc2.weight": {2, 3}, "fc3.weight": {5}, "fc4.weight": {2, 3}
    }  # fmt: skip
    assert found["relu1"] == {10}
    assert found["x"] == {8}  # no loss is predicted for an input: its fewest bits


@pytest.mark.parametrize("order", [1, -1])
def test_an_exact_name_wins_wherever_it_stands(order: int) -> None:
    bits = dict([("fc1.weight", 7), ("*.weight", 5)][::order])
    assert [widths(Rules(bits=bits))[name] for name in WEIGHTS] == [{7}, {5}, {5}, {5}]


def test_of_patterns_the_last_wins() -> None:
    assert widths(Rules(bits={"*.weight": 5, "fc*": 6}))["fc1.weight"] == {6}
    assert widths(Rules(bits={"fc*": 6, "*.weight": 5}))["fc1.weight"] == {5}


@pytest.mark.parametrize("name", ["relu1", "relu[1]"])
def test_a_named_activation_is_untied(name: str) -> None:
    rules = Rules(bits={name: (9, 10)})
    assert {piece.tensor for choices in decisions(network(), rules) for piece in choices[0] if len(choices[0]) > 1} == {
        "fc2.weight", "relu2"
    }  # fmt: skip
    assert widths(rules)["relu1"] == {9, 10}
    assert widths(rules)["fc1.weight"] == set(range(4, 9))


def test_weights_can_be_pruned() -> None:
    found = widths(Rules(prune=True, activations="free"))
    assert all(found[name] == {0, *range(4, 9)} for name in WEIGHTS)
    assert not any(0 in found[name] for name in ACTIVATIONS)


@pytest.mark.parametrize("offset", [3, 0, -2])
def test_an_activation_after_pruned_weights_is_as_narrow_as_it_can_be(offset: int) -> None:
    found = together(Rules(prune=True, activation_offset=offset), "fc1.weight", "relu1")
    assert found == {(0, 4 + offset)} | {(bits, bits + offset) for bits in range(4, 9)}


def test_a_weight_can_be_pruned_by_name() -> None:
    assert together(Rules(bits={"fc1.weight": 0}), "fc1.weight", "relu1") == {(0, NARROWEST)}
    assert widths(Rules(bits={"fc4.weight": 0}))["fc4.weight"] == {0}
    ties = (("fc1.weight", "fc2.weight"),)
    assert together(Rules(bits={"fc[12].weight": 0}, ties=ties), "fc1.weight", "fc2.weight") == {(0, 0)}


def test_the_narrowest_choice_is_the_first() -> None:
    for choices in decisions(network(), Rules(prune=True, ties=(("fc3.weight", "fc4.weight"),))):
        for one, other in itertools.pairwise(choices):
            assert all(one[piece] <= other[piece] for piece in one)
            assert one != other


def test_ties() -> None:
    rules = Rules(ties=(("fc1.weight", "fc4.weight"), ("relu2", "relu3")), bits={"fc4.weight": (6, 12)})
    assert together(rules, "fc1.weight", "fc4.weight", "relu1") == {(6, 6, 9), (7, 7, 10), (8, 8, 11)}
    assert together(rules, "relu2", "relu3") == {(bits, bits) for bits in range(4, 12)}


def test_tied_weights_are_pruned_together() -> None:
    rules = Rules(prune=True, ties=(("fc1.weight", "fc2.weight", "fc3.weight"),))
    found = together(rules, "fc1.weight", "fc2.weight", "fc3.weight", "relu1", "relu2")
    assert found == {(0, 0, 0, 7, 7)} | {(bits, bits, bits, bits + 3, bits + 3) for bits in range(4, 9)}


def test_a_weight_that_is_tied_to_an_activation_is_not_pruned() -> None:
    rules = Rules(prune=True, ties=(("fc1.weight", "relu1"),))
    assert together(rules, "fc1.weight", "relu1") == {(bits, bits) for bits in range(4, 9)}


def test_ties_that_share_a_tensor_are_one() -> None:
    rules = Rules(ties=(("fc1.weight", "fc2.weight"), ("fc4.weight", "fc2.weight")))
    assert together(rules, "fc1.weight", "fc2.weight", "fc4.weight") == {(bits,) * 3 for bits in range(4, 9)}


@pytest.mark.parametrize(("granularity", "size", "count"), [("channel", 4, 6), ("group", 4, 2), ("group", 99, 1)])
def test_groups_cover_all_channels_once(granularity: str, size: int, count: int) -> None:
    rules = Rules(activations="free", granularity=granularity, group_size=size, ties=(("fc4.weight", "fc2.weight"),))
    pieces = [piece for choices in decisions(network(), rules) for piece in choices[0]]
    for name in ("fc1.weight", "fc3.weight"):
        parts = [piece.channels for piece in pieces if piece.tensor == name]
        assert [channel for part in parts for channel in range(*part)] == list(range(6))
        assert len(parts) == count
        assert all(end - first <= size for first, end in parts)
    assert Piece("fc2.weight") in pieces  # tied tensors have one width


# What cannot be.


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (Rules(bits={"fc1.wieght": 8}), r"pareto, bits: no weight or activation 'fc1\.wieght'.*did you mean 'fc1\.wei"),
        (Rules(bits={"fc9*": 8}), r"pareto, bits: no weight or activation 'fc9\*'"),
        (Rules(bits={"fc1.bias": 8}), r"no weight or activation 'fc1\.bias'"),
        (Rules(ties=(("fc1.weight", "relu4"),)), r"pareto, ties: no weight or activation 'relu4'.*did you mean 'relu"),
        (Rules(bits={"fc1.weight": 1}), r"bits of 'fc1\.weight': 1; wanted: 2 to 24 bits.*0 prunes"),
        (Rules(bits={"fc1.weight": 25}), r"bits of 'fc1\.weight': 25; wanted: 2 to 24"),
        (Rules(bits={"fc1.weight": (0, 8)}), r"bits of 'fc1\.weight': 0 to 8; wanted: 2 to 24"),
        (Rules(bits={"fc1.weight": (8, 4)}), r"bits of 'fc1\.weight': 8 to 4; wanted: 2 to 24.*fewest first"),
        (Rules(bits={"relu1": 0}), r"bits of 'relu1': 0; wanted: 2 to 24 bits, the fewest first$"),
        (Rules(bits={"*": 0}), r"bits of '(x|relu\d)': 0"),
        (Rules(bits={"x": -3}), r"bits of 'x': -3"),
    ],
)
def test_what_cannot_be(rules: Rules, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decisions(network(), rules)


def fixes(rules: Rules) -> dict[str, int]:
    """The changes that a contradiction names, by tensor."""
    with pytest.raises(InputError, match="no width that all of these can have") as caught:
        decisions(network(), rules)
    named = re.findall(r"([\w.]+) (\d+) bits", str(caught.value).rpartition("allow ")[2])
    return {name: int(bits) for name, bits in named}


def test_a_contradiction_names_the_smallest_change_of_each() -> None:
    rules = Rules(ties=(("fc3.weight", "fc4.weight"),), bits={"fc3.weight": (4, 6), "fc4.weight": (9, 12)})
    assert fixes(rules) == {"fc3.weight": 9, "fc4.weight": 6}
    assert fixes(Rules(bits={"fc1.weight": 24})) == {"fc1.weight": 21}  # an activation of 27 bits is no way out


def test_a_contradiction_that_no_single_change_mends() -> None:
    bits = {"fc1.weight": 4, "fc3.weight": 6, "fc4.weight": 8}
    with pytest.raises(InputError, match=r"fc1\.weight 4.*fc3\.weight 6.*fc4\.weight 8.*untie them"):
        decisions(network(), Rules(ties=(tuple(bits),), bits=bits))


RANGES = st.tuples(st.integers(NARROWEST, 12), st.integers(0, 5)).map(lambda ends: (ends[0], ends[0] + ends[1]))
NAMES = st.sampled_from((*WEIGHTS, *ACTIVATIONS))


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAMES, RANGES, max_size=4), st.lists(st.lists(NAMES, min_size=2, max_size=3), max_size=2))
def test_every_change_that_a_contradiction_names_is_enough_and_the_smallest(
    bits: dict[str, tuple[int, int]], ties: list[list[str]]
) -> None:
    """That of the first decision that has no width; others may have none either."""
    rules = Rules(bits=bits, ties=tuple(map(tuple, ties)), activations="free")
    if len([tie for tie in ties if len(set(tie)) > 1]) > 1 and set(ties[0]).isdisjoint(ties[1]):
        ties = ties[:1]
    rules = replace(rules, ties=tuple(map(tuple, ties)))
    try:
        decisions(network(), rules)
    except InputError as error:
        named = re.findall(r"([\w.]+) (\d+) bits", str(error).rpartition("allow ")[2])
        low, high = {}, {}
        for name in {name for tie in ties for name in tie}:
            default = (4, 8) if name in WEIGHTS else (16, 16) if name == "x" else (4, 11)
            low[name], high[name] = bits.get(name, default)
        for name, changed in named:
            decisions(network(), replace(rules, bits={**bits, name: int(changed)}))
            distance = max(low[name] - int(changed), int(changed) - high[name])
            assert distance > 0
            for nearer in range(low[name] - distance + 1, high[name] + distance):
                if NARROWEST <= nearer <= WIDEST:
                    with pytest.raises(InputError):
                        decisions(network(), replace(rules, bits={**bits, name: nearer}))
        if "untie them" in str(error):
            for name in low:
                for any_bits in range(NARROWEST, WIDEST + 1):
                    with pytest.raises(InputError):
                        decisions(network(), replace(rules, bits={**bits, name: any_bits}))


# All rules at once.


@st.composite
def any_rules(draw: st.DrawFn) -> Rules:
    """Rules that can be obeyed more often than not."""
    low = draw(st.integers(2, 6))
    granularity = draw(st.sampled_from(["tensor", "group", "channel"]))
    return Rules(
        weight_bits=(low, low + draw(st.integers(0, 6))),
        prune=draw(st.booleans()),
        activations="free" if granularity != "tensor" else draw(st.sampled_from(["tied", "free"])),
        activation_offset=draw(st.integers(0, 4)),
        activation_bits=(low, low + draw(st.integers(0, 8))),
        input_bits=draw(st.integers(2, 16)),
        granularity=granularity,
        group_size=draw(st.integers(1, 7)),
        bits=draw(st.dictionaries(NAMES | st.sampled_from(["fc*.weight", "relu*", "*"]), RANGES, max_size=2)),
        ties=tuple(map(tuple, draw(st.lists(st.lists(NAMES, min_size=2, max_size=3, unique=True), max_size=2)))),
    )


def given_range(name: str, rules: Rules) -> tuple[int, int] | None:
    """What ``bits`` says of a tensor."""
    if name in rules.bits:
        return rules.bits[name]  # type: ignore[return-value]
    said = [bits for key, bits in rules.bits.items() if re.fullmatch(key.replace("*", ".*"), name) and "*" in key]
    return said[-1] if said else None  # type: ignore[return-value]


def obeys(choice: Mapping[str, set[int]], rules: Rules) -> None:
    """Check one assignment of bits (of all channels of a weight) against what the options say."""
    tied_names = {name for tie in rules.ties for name in tie}
    for tie in rules.ties:
        assert len(set.union(*(choice[name] for name in tie))) == 1
    for name in WEIGHTS:
        low, high = given_range(name, rules) or rules.weight_bits
        pruned = rules.prune and given_range(name, rules) is None
        assert all(low <= bits <= high or (bits == 0 and pruned) for bits in choice[name])
    for name, before in zip(ACTIVATIONS, (None, "fc1.weight", "fc2.weight", None), strict=True):
        (bits,) = choice[name]
        said = given_range(name, rules)
        if said is not None:
            assert said[0] <= bits <= said[1]
        elif name == "x":
            assert bits == rules.input_bits
        elif rules.activations == "tied" and before is not None and name not in tied_names:
            (weight,) = choice[before]
            assert bits == weight + rules.activation_offset or weight == 0
        elif rules.activations == "free" or before is None:
            assert rules.activation_bits[0] <= bits <= rules.activation_bits[1]
        assert NARROWEST <= bits <= WIDEST


@settings(deadline=None, max_examples=200)
@given(any_rules(), st.randoms(use_true_random=False))
def test_every_choice_of_every_decision_obeys_all_rules(rules: Rules, random) -> None:
    try:
        found = decisions(network(), rules)
    except InputError as error:
        assume("no width that all" not in str(error))
        raise
    pieces = [piece for choices in found for piece in choices[0]]
    assert len(pieces) == len(set(pieces))
    assert {piece.tensor for piece in pieces} == {*WEIGHTS, *ACTIVATIONS}
    for index, choices in enumerate(found):
        assert all(choice.keys() == choices[0].keys() for choice in choices)
        assert len({tuple(choice.values()) for choice in choices}) == len(choices)
        for choice in choices:
            whole: list[Choice] = [random.choice(other) for other in found]
            whole[index] = choice
            bits: dict[str, set[int]] = {}
            for each in whole:
                for piece, width in each.items():
                    bits.setdefault(piece.tensor, set()).add(width)
            obeys(bits, rules)
