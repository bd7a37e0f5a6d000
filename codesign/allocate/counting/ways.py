"""Ways through a network and sums on them, of operations told by name alone: from the graph or from a file."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from codesign.errors import InputError

#: Most ways from input to output that are told apart.
MOST_WAYS = 256

Way = frozenset[str]


@dataclass(frozen=True)
class Step:
    """An operation.

    Args:
        name: Its name.
        weighted: Whether it multiplies by weights.
        adds: Whether it adds or subtracts two tensors.
        inputs: Tensors that it reads, constants left out.
        output: The tensor that it writes.
    """

    name: str
    weighted: bool
    adds: bool
    inputs: tuple[str, ...]
    output: str


def additions(steps: Sequence[Step]) -> Counter[str]:
    """Number of additions of two tensors by the weighted operation that they are charged to.

    That is the later of those whose outputs reach the addition through operations without weights that read one tensor;
    an addition that none reaches is free.

    Args:
        steps: In topological order.
    """
    place = {step.name: index for index, step in enumerate(steps) if step.weighted}
    feeding: dict[str, str] = {}
    found: Counter[str] = Counter()
    for step in steps:
        before = [feeding[name] for name in step.inputs if name in feeding]
        if step.weighted:
            feeding[step.output] = step.name
        elif len(step.inputs) == 1 and before:
            feeding[step.output] = before[0]
        elif step.adds and before:
            found[max(before, key=place.__getitem__)] += 1
    return found


def ways(steps: Sequence[Step], inputs: Iterable[str], outputs: Iterable[str]) -> tuple[Way, ...]:
    """Names of the weighted operations on each way from an input to an output; ways that others contain left out.

    Args:
        steps: In topological order.
        inputs: Tensors that the network is given.
        outputs: Tensors that it gives.

    Raises:
        InputError: There are too many.
    """
    reaching: dict[str, set[Way]] = {name: {frozenset()} for name in inputs}
    for step in steps:
        own: Way = frozenset({step.name} if step.weighted else ())
        reaching[step.output] = _longest({way | own for name in step.inputs for way in reaching[name]}, step.name)
    place = {step.name: index for index, step in enumerate(steps) if step.weighted}
    found = _longest({way for name in outputs for way in reaching[name]}, "the outputs")
    return tuple(sorted(found, key=lambda way: sorted(place[name] for name in way)))


def _longest(found: set[Way], where: str) -> set[Way]:
    """Without the ways that others contain: what they have before them, the others have too."""
    kept = {way for way in found if not any(way < other for other in found)}
    if len(kept) > MOST_WAYS:
        raise InputError(
            f"paths to {where!r}",
            f"{len(kept)} ways through the network",
            f"at most {MOST_WAYS} for a cost of the longest path",
            "use costs that are sums, or a network with fewer branches",
        )
    return kept
