"""What the hls4ml route makes: the operations whose C++ gave the reference's integers, and within which bounds."""

from collections.abc import Callable, Mapping

from codesign.errors import InputError
from codesign.graph import Graph, Node
from codesign.ops.op import Shape
from codesign.ops.pad import Pad

#: Says what a node lacks, given its input shapes; empty if nothing.
Bound = Callable[[Node, list[Shape]], str]

#: Most axes of a tensor, the batch axis left out.
MOST_AXES = 3


def anything(node: Node, inputs: list[Shape]) -> str:
    """No bound."""
    return ""


def equal_shapes(node: Node, inputs: list[Shape]) -> str:
    """Both tensors of one shape."""
    return "" if inputs[0] == inputs[1] else f"tensors of shapes {', '.join(str(list(shape)) for shape in inputs)}"


def positions_only(node: Node, inputs: list[Shape]) -> str:
    """Zeros around positions, none around channels."""
    padded = isinstance(node.op, Pad) and (node.op.before[0] or node.op.after[0] or len(inputs[0]) < 2)
    return "zeros along the channels" if padded else ""


#: By kind of operation, for hls4ml's Vitis backend with io_parallel. Tests compile each and compare integers.
ALLOWED: Mapping[str, Bound] = {
    "add": equal_shapes,
    "avgpool": anything,
    "concat": anything,
    "conv": anything,
    "flatten": anything,
    "leaky_relu": anything,
    "linear": anything,
    "maxpool": anything,
    "mean": anything,
    "mul": equal_shapes,
    "pad": positions_only,
    "relu": anything,
    "reshape": anything,
    "sub": equal_shapes,
    "sum": anything,
    "transpose": anything,
}


def require_allowed(graph: Graph) -> None:
    """Refuse a network that this route can't make.

    Raises:
        InputError: Names the first layer of it.
    """
    shapes = graph.shapes()
    for node in graph.nodes:
        where, step = f"layer {node.name!r}", "use --flow qonnx, which stops before hls4ml"
        if node.op.kind not in ALLOWED:
            found = f"an operation {node.op.kind!r}, which the hls4ml route does not make"
            raise InputError(where, found, f"one of {', '.join(ALLOWED)}", step)
        inputs = [shapes[name] for name in node.inputs]
        if lacking := ALLOWED[node.op.kind](node, inputs):
            found = f"an operation {node.op.kind!r} with {lacking}, which the hls4ml route does not make"
            raise InputError(where, found, str(ALLOWED[node.op.kind].__doc__).rstrip("."), step)
        if len(shape := shapes[node.output]) > MOST_AXES:
            raise InputError(where, f"a tensor of shape {list(shape)}", f"at most {MOST_AXES} axes", step)
