"""What costs see of a network: from the graph, at given widths and numbers of nonzero weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from codesign.allocate.costs import Activation, Counted, Part
from codesign.allocate.counting.ways import Step, Way, additions, ways
from codesign.errors import ContractError
from codesign.graph import Graph

#: One number for a tensor, or one for each output channel of a weight.
Each = int | tuple[int, ...]


@dataclass(frozen=True)
class Template:
    """A node with weights before its widths are known.

    Args:
        node: Its name.
        op: Its operation's kind.
        weight: Name of its weight parameter.
        activation: Name of the activation tensor whose bits its input has.
        channels: Output channels.
        positions: Places at which the same weights are used.
        fan_in: Products summed into one output.
        additions: Sums of two tensors that are charged to it.
    """

    node: str
    op: str
    weight: str
    activation: str
    channels: int
    positions: int
    fan_in: int
    additions: int

    def part(self, weight_bits: int, activation_bits: int, nonzero: int, channels: int | None = None) -> Part:
        """The node, or some of its channels, at given widths.

        Args:
            weight_bits: Bits of these channels' weights; 0 for pruned.
            activation_bits: Bits of the node's input.
            nonzero: Of these channels' weights, those that are not zero.
            channels: Number of these channels; None for all.
        """
        count = self.channels if channels is None else channels
        return Part(
            self.node, self.op, count, self.positions, self.fan_in,
            weight_bits, activation_bits, nonzero, self.additions,
        )  # fmt: skip

    def parts(self, weight_bits: Each, activation_bits: int, nonzero: Each) -> list[Part]:
        """One part where the weight has one width; one per output channel where each channel has its own.

        Args:
            weight_bits: Bits of the weight or of each channel.
            activation_bits: Bits of the node's input.
            nonzero: Weights that are not zero, in all or of each channel; the latter where channels have own widths.

        Raises:
            ContractError: Not one number per channel.
        """
        counts = nonzero if isinstance(nonzero, tuple) else (nonzero,)
        if isinstance(weight_bits, int):
            return [self.part(weight_bits, activation_bits, sum(counts))]
        if not len(weight_bits) == len(counts) == self.channels:
            found = f"{len(weight_bits)} widths and {len(counts)} numbers of weights that are not zero"
            raise ContractError(f"layer {self.node!r}", found, f"one for each of {self.channels} channels")
        pairs = zip(weight_bits, counts, strict=True)
        return [self.part(bits, activation_bits, count, channels=1) for bits, count in pairs]


def operations(graph: Graph) -> list[tuple[str, str, bool]]:
    """Name, kind, and whether it has weights, of every node that adds or multiplies, for ``Cost.require_rules``."""
    charged = [node for node in graph.nodes if node.op.arithmetic]
    return [(node.name, node.op.kind, "weight" in node.op.parameters()) for node in charged]


def templates(graph: Graph) -> dict[str, Template]:
    """The nodes with weights by name, in order."""
    shapes, charged = graph.shapes(), additions(_steps(graph))
    found: dict[str, Template] = {}
    for node in graph.weighted():
        weight = node.op.parameters()["weight"]
        work = node.op.work([shapes[name] for name in node.inputs], shapes[node.output])
        channels = graph.parameters[weight].shape[0]
        source, positions = graph.origin(node.inputs[0]), work.macs // (channels * work.fan_in)
        found[node.name] = Template(
            node.name, node.op.kind, weight, source, channels, positions, work.fan_in, charged[node.name]
        )
    return found


def paths(graph: Graph) -> tuple[Way, ...]:
    """Names of the nodes with weights on each way from an input to an output; ways that others contain left out.

    Raises:
        InputError: There are too many.
    """
    return ways(_steps(graph), graph.inputs, graph.outputs)


def count(graph: Graph, widths: Mapping[str, Each], nonzero: Mapping[str, Each], *, with_paths: bool = True) -> Counted:
    """The network at given widths.

    Args:
        graph: The network.
        widths: Bits of every weight, or of each of its output channels, and of every activation, by tensor name.
        nonzero: Weights that are not zero, by weight name: in all, or of each output channel.
        with_paths: Whether a cost needs the ways through the network.

    Raises:
        InputError: Paths are wanted, and there are too many.
        ContractError: There is not one width and one number for each channel, or an activation has several widths.
    """
    shapes = graph.shapes()
    bits = {name: _one(name, widths[name]) for name in graph.activations()}
    parts = [
        part
        for each in templates(graph).values()
        for part in each.parts(widths[each.weight], bits[each.activation], nonzero[each.weight])
    ]
    activations = tuple(Activation(name, prod(shapes[name]), width) for name, width in bits.items())
    return Counted(tuple(parts), activations, paths(graph) if with_paths else ())


def _one(name: str, width: Each) -> int:
    if not isinstance(width, int):
        raise ContractError(f"activation {name!r}", f"{len(width)} widths", "one")
    return width


def _steps(graph: Graph) -> list[Step]:
    return [
        Step(node.name, "weight" in node.op.parameters(), node.op.kind in ("add", "sub"), node.inputs, node.output)
        for node in graph.nodes
    ]
