"""What there is to decide: the widths that each tensor or group of channels may get, and which go together."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from codesign.allocate._pieces import Piece
from codesign.errors import InputError, did_you_mean
from codesign.graph import Graph

#: Narrowest and widest format of a tensor that is not pruned.
NARROWEST, WIDEST = 2, 24
Granularity = Literal["tensor", "group", "channel"]
#: One way to decide: the bits of every piece that goes along.
Choice = dict[Piece, int]


#: Bits of the network's inputs where nothing says how many.
INPUT_BITS = 16


@dataclass(frozen=True)
class Rules:
    """Which widths are allowed.

    Args:
        weight_bits: Fewest and most bits of a weight.
        prune: Whether a weight, or a group of its channels, may have no bits at all.
        activations: "tied" to the weights before them, or "free".
        activation_offset: Bits that a tied activation has beyond the weights before it.
        activation_bits: Fewest and most bits of a free activation.
        input_bits: Bits of the network's inputs; None for as many as are usual.
        granularity: What of a weight shares a width.
        group_size: Output channels in a group.
        bits: Bits, or fewest and most, by tensor name or pattern (``fc*.weight``); an exact name wins. An activation
            that is named here is not tied.
        ties: Tensors that must have one width.
    """

    weight_bits: tuple[int, int] = (4, 8)
    prune: bool = False
    activations: Literal["tied", "free"] = "tied"
    activation_offset: int = 3
    activation_bits: tuple[int, int] = (4, 11)
    input_bits: int | None = None
    granularity: Granularity = "tensor"
    group_size: int = 16
    bits: Mapping[str, int | tuple[int, int]] = field(default_factory=dict[str, int | tuple[int, int]])
    ties: tuple[tuple[str, ...], ...] = ()


@dataclass
class Bundle:
    """Pieces that are decided together: each has the bits that are chosen, plus an offset of its own."""

    pieces: dict[Piece, int]


def decisions(graph: Graph, rules: Rules, sent: Mapping[str, int] | None = None) -> list[tuple[Choice, ...]]:
    """Per decision, its choices: network inputs first, then activations and weights in the graph's order.

    Args:
        graph: The network.
        rules: Which widths are allowed.
        sent: Bits of the inputs whose format is known, by name; the rules are for the others.

    Raises:
        InputError: A name that no tensor has; a width that no format has; rules that leave a tensor no width.
    """
    allowed = _allowed(graph, rules, sent or {})
    leading = set(graph.weights()) | {n for tie in rules.ties for n in tie}
    found: list[tuple[Choice, ...]] = []
    for bundle in _bundles(graph, rules):
        choices = tuple(_choices(bundle, allowed, leading))
        if not choices:
            raise _contradiction(bundle, allowed)
        found.append(choices)
    return found


def _bundles(graph: Graph, rules: Rules) -> list[Bundle]:
    """Every piece in one bundle; ties merge bundles."""
    weights = graph.weights()
    tied_names = {name for tie in rules.ties for name in tie}
    whole = {name for name in weights if rules.granularity == "tensor" or name in tied_names}
    bundles = [Bundle({Piece(name): 0}) for name in graph.activations()]
    for name in dict.fromkeys(weights):
        bundles += [Bundle({piece: 0}) for piece in _pieces(graph, name, name in whole, rules)]
    of = {piece: bundle for bundle in bundles for piece in bundle.pieces}
    if rules.activations == "tied":
        for name in graph.activations():
            before = graph.feeding(name)
            if before is None or name in graph.inputs or name in tied_names or _named(name, rules):
                continue
            weight = before.op.parameters()["weight"]
            if weight not in whole:
                found = f"tied, but {weight!r} has no single width at granularity {rules.granularity!r}"
                raise InputError("allocate.pareto, activations", found, "", "set activations to 'free'")
            _merge(of, Piece(weight), Piece(name), rules.activation_offset)
    for tie in rules.ties:
        for name in tie[1:]:
            _merge(of, Piece(tie[0]), Piece(name), 0)
    return list({id(bundle): bundle for bundle in of.values()}.values())


def _merge(of: dict[Piece, Bundle], one: Piece, other: Piece, offset: int) -> None:
    """Put ``other`` (and all that goes with it) into the bundle of ``one``, ``offset`` bits above it."""
    home, guest = of[one], of[other]
    if home is guest:
        return
    shift = home.pieces[one] + offset - guest.pieces[other]
    for piece, own in guest.pieces.items():
        home.pieces[piece] = own + shift
        of[piece] = home


def _pieces(graph: Graph, weight: str, whole: bool, rules: Rules) -> list[Piece]:
    """A weight by itself, or its groups of channels."""
    if whole:
        return [Piece(weight)]
    channels = graph.parameters[weight].shape[0]
    step = 1 if rules.granularity == "channel" else rules.group_size
    return [Piece(weight, (start, min(start + step, channels))) for start in range(0, channels, step)]


def _allowed(graph: Graph, rules: Rules, sent: Mapping[str, int]) -> dict[str, list[int]]:
    """The widths that each tensor may get, before ties."""
    weights = graph.weights()
    pruned = [0] if rules.prune else []
    tied = range(NARROWEST, WIDEST + 1)
    free = tied if rules.activations == "tied" else _span(rules.activation_bits)
    allowed = {name: [*pruned, *_span(rules.weight_bits)] for name in weights}
    for name in graph.activations():
        followed = graph.feeding(name) is not None
        allowed[name] = list(free if followed else _span(rules.activation_bits))
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
        found = f"{rules.input_bits} beside formats of the data"
        raise InputError(
            "allocate.pareto, input_bits", found, "one of both", "load.npz.formats says how inputs are sent"
        )
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
    return list(_span((low, high)))


def _named(name: str, rules: Rules) -> bool:
    """Whether the option ``bits`` speaks of a tensor."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in rules.bits)


def _known(name: str, allowed: Mapping[str, object], where: str) -> None:
    if name not in allowed:
        raise InputError(where, f"no weight or activation {name!r}", "", did_you_mean(name, allowed))


def _choices(bundle: Bundle, allowed: Mapping[str, list[int]], leading: Set[str]) -> Iterable[Choice]:
    """Every assignment of the bundle that all its pieces allow, the narrowest first.

    An activation that follows pruned weights has no width to follow: it gets the narrowest that it could have.

    Args:
        bundle: The pieces.
        allowed: Widths by tensor.
        leading: Weights, and what the user ties to them; all others follow.
    """
    bases = sorted({bits - offset for piece, offset in bundle.pieces.items() for bits in allowed[piece.tensor]})
    choices = [{piece: base + offset for piece, offset in bundle.pieces.items()} for base in bases]
    used = [
        choice
        for base, choice in zip(bases, choices, strict=True)
        if base > 0 and all(bits in allowed[piece.tensor] for piece, bits in choice.items())
    ]
    if all(0 in allowed[piece.tensor] for piece in bundle.pieces if piece.tensor in leading):
        following = [
            choice
            for choice in (*used, *choices)
            if all(bits in allowed[piece.tensor] for piece, bits in choice.items() if piece.tensor not in leading)
        ]
        if following and any(piece.tensor in leading for piece in bundle.pieces):
            yield {piece: 0 if piece.tensor in leading else bits for piece, bits in following[0].items()}
    yield from used


def _contradiction(bundle: Bundle, allowed: Mapping[str, list[int]]) -> InputError:
    """Why tensors that go together have no width, and the least change of each that would do."""
    names = {piece.tensor: offset for piece, offset in bundle.pieces.items()}
    wants = [
        f"{name} {_range(allowed[name])}{f' (at {offset:+d})' if offset else ''}" for name, offset in names.items()
    ]
    fixes: list[str] = []
    for name, offset in names.items():
        common: set[int] = set(range(WIDEST + 1))
        for other, shift in names.items():
            if other != name:
                common &= {bits - shift for bits in allowed[other]}
        fine = [base + offset for base in common if NARROWEST <= base + offset <= WIDEST]
        if fine:
            distance = {bits: min(abs(bits - own) for own in allowed[name]) for bits in fine}
            fixes.append(f"{name} {min(fine, key=distance.__getitem__)} bits")
    smallest = f"allow {' or '.join(fixes)}" if fixes else "untie them: no change of one alone would do"
    return InputError("allocate.pareto", f"no width that all of these can have: {', '.join(wants)}", "", smallest)


def _range(widths: list[int]) -> str:
    ends = sorted(widths)
    return f"{ends[0]}" if len(ends) == 1 else f"{ends[0]} to {ends[-1]}"


def _span(bits: tuple[int, int]) -> range:
    return range(bits[0], bits[1] + 1)
