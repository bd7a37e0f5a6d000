"""What there is to decide: the widths that each tensor or group of channels may get, and which go together."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from codesign.allocate._pieces import Piece
from codesign.allocate._widths import NARROWEST, WIDEST, Rules, allowed_widths, is_named
from codesign.errors import InputError
from codesign.graph import Graph

#: One way to decide: the bits of every piece that goes along.
Choice = dict[Piece, int]


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
    allowed = allowed_widths(graph, rules, sent or {})
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
            if before is None or name in graph.inputs or name in tied_names or is_named(name, rules):
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
