"""What a cost model is, and what it sees: the same records are made from the graph and from the exported file."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import ClassVar

from codesign.allocate.costs._singles import Single
from codesign.design import Measurement
from codesign.errors import ContractError, InputError
from codesign.target import Target


@dataclass(frozen=True)
class Part:
    """A node with weights, or those of its output channels whose weights share a width.

    Args:
        node: Its name.
        op: Its operation's kind.
        channels: Output channels.
        positions: Places at which the same weights are used: 1 for a linear layer on a flat input.
        fan_in: Products summed into one output.
        weight_bits: Bits of the weights, the sign included; 0 for pruned.
        activation_bits: Bits of the node's input.
        nonzero: Weights that are not zero.
        additions: Sums of two tensors that every output of this node goes into as the later operand.
        singles: Its weights that are not zero, and biases, one by one; empty where they are not known.
    """

    node: str
    op: str
    channels: int
    positions: int
    fan_in: int
    weight_bits: int
    activation_bits: int
    nonzero: int
    additions: int = 0
    singles: tuple[Single, ...] = ()

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.channels * self.fan_in

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample, those of zero weights included."""
        return self.weights * self.positions

    @property
    def density(self) -> float:
        """Share of the weights that are not zero."""
        return self.nonzero / self.weights


def whole(parts: Sequence[Part]) -> Part:
    """A node's parts as one: channels and nonzero weights add up, the widest channel that has any gives the width."""
    used = [part for part in parts if part.nonzero] or parts
    return replace(
        parts[0],
        channels=sum(part.channels for part in parts),
        weight_bits=max(part.weight_bits for part in used),
        nonzero=sum(part.nonzero for part in parts),
        singles=tuple(single for part in parts for single in part.singles),
    )


@dataclass(frozen=True)
class Activation:
    """A quantized activation tensor: its name, its elements for one sample, and their bits."""

    name: str
    elements: int
    bits: int


@dataclass(frozen=True)
class Counted:
    """A whole network as a cost sees it.

    Args:
        parts: Of every node with weights, in order; several of a node whose channels differ in width.
        activations: Every quantized activation, network inputs included.
        paths: Names of the nodes with weights on each way from input to output; ways that others contain are left out.
            Empty if they were not wanted.
    """

    parts: tuple[Part, ...]
    activations: tuple[Activation, ...]
    paths: tuple[frozenset[str], ...]

    def nodes(self) -> tuple[Part, ...]:
        """One part per node: of its widest channels' width, where channels differ."""
        found: dict[str, list[Part]] = {}
        for part in self.parts:
            found.setdefault(part.node, []).append(part)
        return tuple(map(whole, found.values()))


@dataclass(frozen=True)
class Hardware:
    """What a cost model may ask about the hardware.

    Args:
        target: The chip, and what of it may be used.
        reuse_factor: Products that one multiplier does one after another.
        measurements: The table for ``measured``, if one was given.
    """

    target: Target
    reuse_factor: int = 1
    measurements: tuple[Measurement, ...] = ()


@dataclass(frozen=True)
class Cost(ABC):
    """A cost of a network: a sum over parts and activations, unless ``total`` says otherwise.

    To add one, write one file in ``codesign/allocate/costs``, or name a class under the entry point group
    ``codesign.costs`` of another package; the module's (entry point's) name is the cost's.

    Args:
        hardware: What it may ask about the hardware.
    """

    hardware: Hardware

    #: Unit of the cost.
    unit: ClassVar[str]
    #: Kinds of operations with weights that it has a rule for.
    weighted: ClassVar[frozenset[str]] = frozenset({"linear", "conv"})
    #: Kinds of operations that add or multiply without weights, and that it has a rule for, be it that they are free.
    unweighted: ClassVar[frozenset[str]] = frozenset({"add", "affine", "avgpool", "mean", "mul", "sub", "sum"})
    #: "sum": over all parts. "longest path": over the parts on a way from input to output, the largest of all ways.
    #: "black box": only ``total`` knows; a solver must take such costs.
    form: ClassVar[str] = "sum"
    #: Whether it can be told of channels by themselves, so that parts of one node add up; else it sees whole nodes.
    by_channel: ClassVar[bool] = True

    @abstractmethod
    def part(self, part: Part) -> float:
        """Cost of a node or of some of its channels. Never asked about parts with nothing but zeros: they are free."""

    def activation(self, activation: Activation) -> float:
        """Cost of an activation tensor by itself."""
        return 0.0

    def limit(self) -> float | None:
        """What the target allows; None where it does not say."""
        return None

    def of_part(self, part: Part) -> float:
        """Cost of a part; a pruned one costs nothing."""
        return self.part(part) if part.nonzero else 0.0

    def of_node(self, parts: Sequence[Part]) -> float:
        """Cost of a node by itself, given its parts."""
        return fsum(map(self.of_part, parts if self.by_channel else [whole(parts)]))

    def total(self, counted: Counted) -> float:
        """Cost of a whole network, summed without rounding, so that the order does not matter.

        Raises:
            ContractError: Its paths are needed, and were not counted.
        """
        activations = [self.activation(each) for each in counted.activations]
        parts = counted.parts if self.by_channel else counted.nodes()
        ways: Sequence[Sequence[Part]] = [parts]
        if self.form == "longest path":
            if not counted.paths:
                raise ContractError(f"cost {type(self).__name__}", "a network counted without its paths", "its paths")
            ways = [[part for part in parts if part.node in path] for path in counted.paths]
        return max((fsum([*map(self.of_part, way), *activations]) for way in ways), default=0.0)

    def require_rules(self, name: str, operations: Sequence[tuple[str, str, bool]]) -> None:
        """Check that every operation has a rule.

        Args:
            name: The cost's name.
            operations: Node name, operation kind and whether it has weights, per node that adds or multiplies.

        Raises:
            InputError: One has none; names it, and the file to add it to.
        """
        for node, kind, has_weights in operations:
            if kind not in (self.weighted if has_weights else self.unweighted):
                raise InputError(
                    f"cost {name}, layer {node!r}",
                    f"no rule for the operation {kind!r}",
                    f"one of {sorted(self.weighted | self.unweighted)}",
                    f"add a rule to {type(self).__module__.replace('.', '/')}.py, or choose another cost",
                )
