"""From a torch module to a graph, by symbolic tracing."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from torch import fx, nn

from codesign.errors import ContractError, InputError
from codesign.graph import Graph
from codesign.load._export import exported
from codesign.load._importer import Importer
from codesign.ops.op import Rewritten, Shape
from codesign.ops.softmax import Softmax, Tables


def graph_from_module(module: nn.Module, shapes: list[Shape], softmax: Tables = "none") -> tuple[Graph, list[str]]:
    """Convert a trained module.

    Args:
        module: Any module that ``torch.fx`` or ``torch.export`` can trace and whose calls are all supported operations.
        shapes: Shape of each input, the batch axis left out.
        softmax: Which are made of tables.

    Returns:
        The graph, rewritten for hardware, and notices for the user.

    Raises:
        InputError: It can't be traced, a call isn't supported (with its path), or shapes don't fit.
    """
    return rewritten(calls(module, shapes), softmax)


def calls(module: nn.Module, shapes: list[Shape]) -> Graph:
    """The calls of a module, nothing folded yet; arguments and errors as of ``graph_from_module``."""
    if fx.Tracer().is_leaf_module(module, ""):  # tracing looks into the outermost module
        module = nn.Sequential(module)
    with evaluating(module):
        try:
            traced = fx.symbolic_trace(module)
        except Exception as error:  # noqa: BLE001  (torch raises anything; the other way is tried)
            return _by_export(module, shapes, error)
        return Importer(traced, shapes).run()


def _by_export(module: nn.Module, shapes: list[Shape], before: Exception) -> Graph:
    """By ``torch.export``, where ``torch.fx`` failed.

    Raises:
        InputError: A call isn't supported, or it fails too.
    """
    try:
        return exported(module, shapes)
    except InputError:
        raise
    except Exception as error:
        reason = str(before).strip().partition("\n")[0]
        found = f"cannot be traced: {reason}; nor exported: {type(error).__name__}"
        raise InputError(f"network {type(module).__name__}", found, "a forward without branches on data") from error


@contextmanager
def evaluating(module: nn.Module) -> Generator[None]:
    """Put a module in eval mode, and every part of it back as it was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def rewritten(graph: Graph, softmax: Tables = "none") -> tuple[Graph, list[str]]:
    """Fold or take off every operation that hardware never sees.

    Args:
        graph: As it was read.
        softmax: Which are made of tables.

    Returns:
        The graph, and what was done, for the user.

    Raises:
        InputError: One can't be taken out, or nothing with weights is left.
    """
    for node in graph.nodes:
        if isinstance(node.op, Softmax):
            graph = graph.replaced(node, replace(node, op=replace(node.op, tables=softmax)), {})
    graph, notices = folded(graph)
    if not graph.weighted():
        raise InputError("network", "no layer with weights", "at least one linear layer or convolution")
    return graph, notices


def folded(graph: Graph) -> tuple[Graph, list[str]]:
    """As ``rewritten``, of what may be a part of a network."""
    graph, notices = _without_dead(graph)
    while waiting := [(node, node.op) for node in graph.nodes if isinstance(node.op, Rewritten)]:
        refusal: InputError | None = None
        for node, op in waiting:  # one may have to go before another can: dropout between batch norm and its layer
            try:
                graph, notice = op.rewrite(graph, node)
            except InputError as error:
                refusal = refusal or error
                continue
            notices += [notice] if notice else []
            break
        else:
            graph = _instead(graph, refusal or ContractError("rewriting", "nothing to rewrite", "progress"))
    graph.verify()
    return graph, notices


def _instead(graph: Graph, refusal: Exception) -> Graph:
    """The graph with other operations in place of the first that can't be rewritten and that there are some for.

    Raises:
        Exception: The refusal, where there are none.
    """
    for node in graph.nodes:
        found = node.op.instead(graph, node) if isinstance(node.op, Rewritten) else None
        if found is not None:
            return found
    raise refusal


def _without_dead(graph: Graph) -> tuple[Graph, list[str]]:
    """The graph without operations that no output depends on, and a notice for each."""
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
    if unused := [name for name in graph.inputs if name not in needed]:
        found = f"no output depends on {', '.join(map(repr, unused))}"
        raise InputError("network inputs", found, "inputs that are used", "take it out of forward, and out of the data")
    dead = [node for node in graph.nodes if node.output not in needed]
    alive = tuple(node for node in graph.nodes if node.output in needed)
    used = {name for node in alive for name in node.op.parameters().values()}
    parameters = {name: value for name, value in graph.parameters.items() if name in used}
    notices = [f"{node.name}: left out, no output depends on it" for node in dead]
    return replace(graph, nodes=alive, parameters=parameters), notices
