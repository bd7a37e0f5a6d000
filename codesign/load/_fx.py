"""From a torch module to a graph, by symbolic tracing."""

import operator
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any, TypeGuard, cast

import numpy as np
import torch
from torch import fx, nn

from codesign.arrays import FloatArray
from codesign.errors import ContractError, InputError
from codesign.graph import Graph, Node
from codesign.ops import by_torch_target
from codesign.ops.op import Rewritten, Shape, TorchCall


def graph_from_module(module: nn.Module, shapes: list[Shape]) -> tuple[Graph, list[str]]:
    """Convert a trained module.

    Args:
        module: Any module that ``torch.fx`` can trace and whose calls are all supported operations.
        shapes: Shape of each input, the batch axis left out.

    Returns:
        The graph, rewritten for hardware, and notices for the user.

    Raises:
        InputError: It can't be traced, a call isn't supported (with its path), or shapes don't fit.
    """
    if fx.Tracer().is_leaf_module(module, ""):  # tracing looks into the outermost module
        module = nn.Sequential(module)
    try:
        with evaluating(module):
            traced = fx.symbolic_trace(module)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"network {type(module).__name__}", f"cannot be traced: {reason}", "a forward without branches on data"
        ) from error
    graph = _Importer(traced, shapes).run()
    graph.shapes()
    return rewritten(graph)


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


def rewritten(graph: Graph) -> tuple[Graph, list[str]]:
    """Fold or take off every operation that hardware never sees.

    Returns:
        The graph, and what was done, for the user.

    Raises:
        InputError: One can't be taken out, or nothing with weights is left.
    """
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
            raise refusal or ContractError("rewriting", "nothing to rewrite", "progress")
    if not graph.weighted():
        raise InputError("network", "no layer with weights", "at least one linear layer or convolution")
    graph.verify()
    return graph, notices


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


@dataclass
class _Importer:
    """Walks a traced module and gathers nodes."""

    traced: fx.GraphModule
    shapes: list[Shape]
    tensors: dict[str, str] = field(default_factory=dict[str, str])
    nodes: list[Node] = field(default_factory=list[Node])
    parameters: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    sizes: set[str] = field(default_factory=set[str])

    def run(self) -> Graph:
        inputs: dict[str, Shape] = {}
        outputs: tuple[str, ...] = ()
        placeholders = [node.name for node in self.traced.graph.nodes if node.op == "placeholder"]
        if len(placeholders) != len(self.shapes):
            found = f"{len(placeholders)} inputs ({', '.join(placeholders)})"
            raise InputError("network", found, f"{len(self.shapes)}, as the data has input arrays")
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                inputs[node.name] = self.shapes[len(inputs)]
                self.tensors[node.name] = node.name
            elif node.op == "output":
                outputs = self._outputs(node)
            elif node.op == "get_attr":
                raise InputError(f"network attribute {node.target!r}", "used directly as a tensor", "layers only")
            elif self._is_size(node):
                self.sizes.add(node.name)
            else:
                self._add(node, inputs)
        return Graph(inputs, outputs, tuple(self.nodes), self.parameters)

    def _is_size(self, node: fx.Node) -> bool:
        """Whether it is a tensor's shape, or the batch size, which views are given."""
        if node.op == "call_method":
            return node.target == "size" and (*node.args[1:], *node.kwargs.values()) in ((), (0,))
        if node.target is getattr:
            return str(node.args[1]) == "shape"
        if node.target is not operator.getitem or not isinstance(node.args[0], fx.Node):
            return False
        return node.args[0].name in self.sizes and str(node.args[1]) == "0"

    def _outputs(self, node: fx.Node) -> tuple[str, ...]:
        result = node.args[0]
        found = list(result) if isinstance(result, tuple | list) else [result]
        if not found or not all(isinstance(item, fx.Node) and item.name in self.tensors for item in found):
            raise InputError("network output", f"{type(result).__name__}", "a tensor or a tuple of tensors")
        return tuple(self.tensors[item.name] for item in found if isinstance(item, fx.Node))

    def _add(self, node: fx.Node, inputs: dict[str, Shape]) -> None:
        call = self._call(node)
        supported = by_torch_target()
        if call.target not in supported:
            raise InputError(
                f"layer {call.path!r}",
                f"unsupported operation {call.target}",
                f"one of {', '.join(sorted(supported))}",
            )
        op = supported[call.target].from_torch(call)
        values = [*node.args, *node.kwargs.values()]
        sources = [self.tensors[item.name] for item in values if self._is_tensor(item)]
        taken = {*inputs, *(other.name for other in self.nodes)}
        choices = chain((call.path,), (f"{call.path}_{number}" for number in count(1)))
        name = next(name for name in choices if name not in taken)
        for parameter in op.parameters().values():
            if parameter in self.parameters:
                raise InputError(f"layer {call.path!r}", "used more than once", "weights used once", "copy the layer")
            self.parameters[parameter] = self._parameter(parameter)
        if _in_place(call):  # who reads the overwritten tensor from here on reads the result
            self.tensors |= {other: name for other, source in self.tensors.items() if source == sources[0]}
        self.tensors[node.name] = name
        self.nodes.append(Node(name, op, tuple(sources), name))

    def _is_tensor(self, item: Any) -> TypeGuard[fx.Node]:
        return isinstance(item, fx.Node) and item.name not in self.sizes

    def _call(self, node: fx.Node) -> TorchCall:
        arguments = tuple(_plain(item) for item in node.args if not self._is_tensor(item))
        keywords = {key: _plain(item) for key, item in node.kwargs.items() if not self._is_tensor(item)}
        if node.op == "call_module":
            path = str(node.target)
            module = self.traced.get_submodule(path)
            return TorchCall(path, f"nn.{type(module).__name__}", module, arguments, keywords)
        if node.op == "call_method":
            return TorchCall(node.name, f"Tensor.{node.target}", None, arguments, keywords)
        return TorchCall(node.name, _function_name(node.target), None, arguments, keywords)

    def _parameter(self, name: str) -> FloatArray:
        path, _, leaf = name.rpartition(".")
        tensor: torch.Tensor = getattr(self.traced.get_submodule(path), leaf)
        return np.array(tensor.detach().cpu().float().numpy())


def _plain(item: Any) -> Any:
    """An argument with the batch size as torch's own word for "as many as there are"."""
    if isinstance(item, tuple | list):
        return tuple(_plain(element) for element in cast(Sequence[Any], item))
    return -1 if isinstance(item, fx.Node) else item


def _in_place(call: TorchCall) -> bool:
    """Whether a call writes its result over its first input."""
    inplace = getattr(call.module, "inplace", call.keywords.get("inplace", False))
    return bool(inplace) or call.target.endswith("_") or call.target == "operator.iadd"


def _function_name(target: Any) -> str:
    """``F.relu`` for ``torch.nn.functional.relu``, ``torch.relu`` for ``torch.relu``, ``operator.add`` for ``+``."""
    name = str(getattr(target, "__name__", target))
    if getattr(nn.functional, name, None) is target and getattr(torch, name, None) is not target:
        return f"F.{name}"
    if getattr(torch, name, None) is target:
        return f"torch.{name}"
    return f"{getattr(target, '__module__', '').lstrip('_')}.{name}"
