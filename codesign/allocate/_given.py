"""Number formats from the quantizers that a network came with."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codesign.allocate._decisions import Choice
from codesign.allocate._pieces import Piece
from codesign.design import Design
from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.given import Quantizer
from codesign.graph import Graph

#: Operations whose outputs are values of their inputs.
CHOOSES = ("maxpool", "relu")


@dataclass(frozen=True)
class Formats:
    """What is known of a network's formats.

    Args:
        known: By tensor name, from quantizers.
        missing: Bits of tensors without one.
        notices: What was changed, for the user.
    """

    known: dict[str, Fixed]
    missing: dict[str, int]
    notices: tuple[str, ...]


def formats_given(design: Design, bits: Mapping[str, int]) -> Formats:
    """The formats of a network's tensors.

    Args:
        design: The graph, and the quantizers that came with it.
        bits: Of tensors without a quantizer.

    Raises:
        InputError: A tensor has no quantizer and no bits.
    """
    graph = design.graph
    known = {name: _format(graph, name, quantizer) for name, quantizer in design.given.items()}
    notices = [note for name, quantizer in design.given.items() for note in _notices(graph, name, quantizer)]
    wanted = [*graph.activations(), *graph.weights()]
    known |= {name: fixed for name in wanted if name not in known and (fixed := _inherited(graph, name, known))}
    missing = [name for name in dict.fromkeys(wanted) if name not in known]
    if unknown := [name for name in missing if name not in bits]:
        found = f"no quantizer for {', '.join(map(repr, unknown))} in the file"
        hint = f'give them bits: allocate.given.bits = {{ "{unknown[0]}" = 8 }}; or use a flow that chooses bits'
        raise InputError("allocate.given", found, "one for each weight and each activation that is multiplied", hint)
    if odd := [name for name in bits if name not in wanted]:
        raise InputError("allocate.given, bits", f"no weight or activation {odd[0]!r}", f"one of {', '.join(wanted)}")
    notices += [f"{name}: no quantizer in the file, {bits[name]} bits" for name in missing]
    return Formats(known, {name: bits[name] for name in missing}, tuple(notices))


def single_choice(graph: Graph, formats: Mapping[str, Fixed]) -> list[tuple[Choice, ...]]:
    """Decisions with nothing to decide: each tensor's bits, or each output channel's where these differ."""
    weights = graph.weights()
    found: list[tuple[Choice, ...]] = []
    for name in dict.fromkeys([*graph.activations(), *weights]):
        width = np.asarray(formats[name].width)
        if width.ndim == 0 or name not in weights:
            found.append(({Piece(name): int(width.max())},))
            continue
        channels = np.broadcast_to(width, graph.parameters[name].shape).reshape(len(graph.parameters[name]), -1).max(1)
        found += [({Piece(name, (index, index + 1)): int(bits)},) for index, bits in enumerate(channels)]
    return found


def _format(graph: Graph, name: str, quantizer: Quantizer) -> Fixed:
    """A quantizer's format; of an activation, one for the whole tensor."""
    fixed = quantizer.fixed()
    return fixed if name in graph.parameters else fixed.envelope()


def _inherited(graph: Graph, name: str, known: Mapping[str, Fixed]) -> Fixed | None:
    """The format of a tensor that holds values of a quantized one only."""
    node = graph.producer(name)
    if node is None or not (node.op.kind in CHOOSES or node.op.moves_data):
        return None
    source = known.get(node.inputs[0]) or _inherited(graph, node.inputs[0], known)
    if source is None or node.op.kind != "relu" or not source.signed:
        return source
    return Fixed(False, int(source.width) - 1, int(source.integer) - 1)


def _notices(graph: Graph, name: str, quantizer: Quantizer) -> list[str]:
    """What a format does not take over from a quantizer."""
    scale, nearest = quantizer.moved()
    found: list[str] = []
    if scale != nearest:
        several = "a scale" if np.size(quantizer.scale) == 1 else "scales, such as"
        found.append(f"{name}: {several} {scale:.6g} moved to the power of two {nearest:.6g}")
    if name not in graph.parameters and np.size(quantizer.scale) * np.size(quantizer.width) > 1:
        found.append(f"{name}: one format for all channels, as fine and as wide as any of them needs")
    return found
