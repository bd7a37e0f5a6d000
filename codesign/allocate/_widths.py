"""Which widths the user's options allow every tensor, before ties."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from codesign.errors import InputError, did_you_mean
from codesign.graph import Graph

#: Narrowest and widest format of a tensor that is not pruned.
NARROWEST, WIDEST = 2, 24
#: Bits of the network's inputs where nothing says how many.
INPUT_BITS = 16
Granularity = Literal["tensor", "group", "channel"]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Which widths are allowed.

    Args:
        weight_bits: Fewest and most bits of a weight tensor.
        prune: Whether a weight tensor, group or channel may have no bits: it is taken away.
        activations: "tied" gives an activation the bits of the weights before it plus activation_offset;
            "free" chooses them by themselves.
        activation_offset: Bits that a tied activation has beyond the weights before it.
        activation_bits: Fewest and most bits of a free activation.
        input_bits: Bits of the network's inputs, 16 where nothing is set. Not beside formats of the data.
        bits: Bits, or fewest and most, of single tensors by name or pattern, such as {"fc1.weight" = 8}; an exact name
            wins. An activation that is named here is not tied. Network inputs need one number: of a range they get
            the fewest bits, because no loss is predicted for them.
        ties: Lists of tensors that must have one width.
        granularity: What of a weight shares a width: the "tensor", a "group" of output channels, or a "channel".
            Finer than tensor needs free activations.
        group_size: Output channels in a group.
    """

    weight_bits: tuple[int, int] = (4, 8)
    prune: bool = False
    activations: Literal["tied", "free"] = "tied"
    activation_offset: int = 3
    activation_bits: tuple[int, int] = (4, 11)
    input_bits: int | None = None
    bits: dict[str, int | tuple[int, int]] = field(default_factory=dict[str, int | tuple[int, int]])
    ties: tuple[tuple[str, ...], ...] = ()
    granularity: Granularity = "tensor"
    group_size: int = 16


def allowed_widths(graph: Graph, rules: Rules, sent: Mapping[str, int]) -> dict[str, list[int]]:
    """The widths that each tensor may get, before ties."""
    weights = graph.weights()
    pruned = [0] if rules.prune else []
    tied = range(NARROWEST, WIDEST + 1)
    free = tied if rules.activations == "tied" else span(rules.activation_bits)
    allowed = {name: [*pruned, *span(rules.weight_bits)] for name in weights}
    for name in graph.activations():
        followed = graph.feeding(name) is not None
        allowed[name] = list(free if followed else span(rules.activation_bits))
    allowed |= {name: [rules.input_bits or INPUT_BITS] for name in graph.inputs}
    for names in rules.ties:
        for name in names:
            _known(name, allowed, "allocate.pareto, ties")
    exact_last = sorted(rules.bits.items(), key=lambda item: item[0] in allowed)
    for pattern, bits in exact_last:
        names = [name for name in allowed if name == pattern or fnmatchcase(name, pattern)]
        if not names:
            _known(pattern, allowed, "allocate.pareto, bits")
        for name in names:
            allowed[name] = _given(name, bits, name in weights)
    tied_names = {name for names in rules.ties for name in names}
    for name in graph.inputs:  # no loss is predicted for them, so that more bits would gain nothing
        if name not in tied_names:
            allowed[name] = allowed[name][:1]
    if sent and rules.input_bits is not None:
        found, hint = f"{rules.input_bits} beside formats of the data", "load.npz.formats says how inputs are sent"
        raise InputError("allocate.pareto, input_bits", found, "one of both", hint)
    for name, bits in sent.items():
        if name in rules.bits or name in tied_names:
            found = f"bits or ties of {name!r}, which is sent in a format of {bits} bits"
            raise InputError("allocate.pareto", found, "none", "load.npz.formats says how it is sent")
        allowed[name] = [bits]
    return allowed


def _given(name: str, bits: int | tuple[int, int], weight: bool) -> list[int]:
    """The widths that the option ``bits`` gives a tensor.

    Raises:
        InputError: A width that the quantizer cannot have.
    """
    low, high = (bits, bits) if isinstance(bits, int) else bits
    if weight and low == high == 0:
        return [0]
    if not NARROWEST <= low <= high <= WIDEST:
        found = f"{low}" if isinstance(bits, int) else f"{low} to {high}"
        zero = "; 0 prunes a weight" if weight else ""
        wanted = f"{NARROWEST} to {WIDEST} bits, the fewest first{zero}"
        raise InputError(f"allocate.pareto, bits of {name!r}", found, wanted)
    return list(span((low, high)))


def is_named(name: str, rules: Rules) -> bool:
    """Whether the option ``bits`` speaks of a tensor."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in rules.bits)


def _known(name: str, allowed: Mapping[str, object], where: str) -> None:
    if name not in allowed:
        raise InputError(where, f"no weight or activation {name!r}", "", did_you_mean(name, allowed))


def span(bits: tuple[int, int]) -> range:
    """All widths from the fewest bits to the most."""
    return range(bits[0], bits[1] + 1)
