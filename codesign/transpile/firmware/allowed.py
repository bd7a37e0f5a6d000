"""What the hls4ml route makes: the operations whose C++ gave the reference's integers, and within which bounds."""

from collections.abc import Callable, Iterator, Mapping

from codesign.errors import InputError
from codesign.graph import Graph, Node
from codesign.ops.maxpool import MaxPool
from codesign.ops.op import Shape
from codesign.transpile.firmware.backends import BACKENDS, BackendName, IoType

#: Says what a node lacks, given its input shapes; empty if nothing.
Bound = Callable[[Node, list[Shape]], str]

#: Most axes of a tensor, the batch axis left out.
MOST_AXES = 3


def anything(node: Node, inputs: list[Shape]) -> str:
    """No bound."""
    return ""


def whole_windows(node: Node, inputs: list[Shape]) -> str:
    """Windows side by side, without padding."""
    windows = node.op.windows if isinstance(node.op, MaxPool) else None
    aside = windows is not None and windows.kernel == windows.stride and not any(windows.padding)
    return "" if aside else "windows that overlap, leave gaps or are padded"


def along_positions(node: Node, inputs: list[Shape]) -> str:
    """Tensors with positions."""
    return "" if len(inputs[0]) > 1 else "tensors without positions"


#: Kinds of operations that are made without bounds, with io_parallel. Tests compile each and compare integers.
PARALLEL = (
    *("add", "affine", "avgpool", "clip", "concat", "conv", "flatten", "floor", "leaky_relu", "linear", "lookup"),
    *(
        "max",
        "maxpool",
        "mean",
        "mul",
        "pad",
        "relu",
        "reshape",
        "select",
        "sub",
        "sum",
        "table",
        "transpose",
        "upsample",
    ),
)


#: Kinds of operations that need layers of our own.
OWN = ("affine", "clip", "lookup", "max", "reshape", "select", "table", "upsample")


def made_by(backend: BackendName, io_type: IoType) -> Mapping[str, Bound]:
    """What a backend makes, by kind of operation."""
    streamed = io_type == "io_stream"
    kinds = [kind for kind in PARALLEL if kind not in OWN] if streamed and not BACKENDS[backend].extended else PARALLEL
    made: dict[str, Bound] = dict.fromkeys(kinds, anything)
    if streamed:
        made["maxpool"] = whole_windows
        if backend == "Catapult":
            made["concat"] = along_positions
    return made


def require_allowed(graph: Graph, backend: BackendName, io_type: IoType) -> None:
    """Refuse a network that this route can't make.

    Raises:
        InputError: Names the first layer of it.
    """
    for error in refusals(graph, backend, io_type):
        raise error


def refusals(graph: Graph, backend: BackendName, io_type: IoType) -> Iterator[InputError]:
    """What this route lacks for a network, layer by layer."""
    shapes, allowed = graph.shapes(), made_by(backend, io_type)
    route = f"which the hls4ml route does not make ({backend}, {io_type})"
    for node in graph.nodes:
        where, step = f"layer {node.name!r}", "use --flow qonnx, which stops before hls4ml"
        if node.op.kind not in allowed:
            yield InputError(where, f"an operation {node.op.kind!r}, {route}", f"one of {', '.join(allowed)}", step)
            continue
        inputs = [shapes[name] for name in node.inputs]
        if lacking := allowed[node.op.kind](node, inputs):
            found = f"an operation {node.op.kind!r} with {lacking}, {route}"
            yield InputError(where, found, str(allowed[node.op.kind].__doc__).rstrip("."), step)
        elif len(shape := shapes[node.output]) > MOST_AXES:
            yield InputError(where, f"a tensor of shape {list(shape)}", f"at most {MOST_AXES} axes", step)
