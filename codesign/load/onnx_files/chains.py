"""Nodes of an ONNX file that stand for one operation together: those that its ``write_qonnx`` writes."""

from collections.abc import Mapping, Sequence

import onnx

from codesign.ops import by_onnx_type


def chain_from(
    node: onnx.NodeProto, readers: Mapping[str, Sequence[onnx.NodeProto]], output: str
) -> list[onnx.NodeProto]:
    """The longest chain of nodes, each read by the next alone, that an operation names and that have one name.

    Args:
        node: The first.
        readers: Of each tensor, a node as often as it reads it.
        output: The network's, which no chain hides.

    Returns:
        The nodes, at least two; none if there is no such chain.
    """
    found: list[onnx.NodeProto] = []
    for kinds in (name.split("+") for name in by_onnx_type() if name.startswith(f"{node.op_type}+")):
        chain = [node]
        while len(chain) < len(kinds) and chain[-1].output[0] != output:
            following = readers.get(chain[-1].output[0], ())
            if len(following) != 1 or following[0].op_type != kinds[len(chain)]:
                break
            chain.append(following[0])
        if len(chain) == len(kinds) > len(found) and of_one_name(chain):
            found = chain
    return found


def of_one_name(nodes: Sequence[onnx.NodeProto]) -> bool:
    """Whether one of the nodes is called ``NAME`` and the others ``NAME.more``."""
    name = naming(nodes).name
    return bool(name) and all(each.name == name or each.name.startswith(f"{name}.") for each in nodes)


def naming(nodes: Sequence[onnx.NodeProto]) -> onnx.NodeProto:
    """The one that is called ``NAME``."""
    return min(nodes, key=lambda node: len(node.name))
