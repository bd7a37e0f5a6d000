"""From a traced module to a graph's nodes: every call that meets a tensor becomes an operation."""

import inspect
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any, cast

import numpy as np
import torch
from torch import fx, nn
from torch.fx.node import map_arg

from codesign.arrays import FloatArray
from codesign.errors import InputError
from codesign.graph import Graph, Node
from codesign.load._expand import expand
from codesign.load._targets import SHAPES, name_of, target_of, unsupported
from codesign.ops import by_torch_target
from codesign.ops.op import BatchSize, Parameter, Shape, TorchCall


@dataclass(frozen=True)
class Ref:
    """A tensor of the graph, by name."""

    name: str


@dataclass(frozen=True)
class Held:
    """A tensor that no input reaches: a parameter or a constant, or what is computed from them.

    Args:
        name: Its name in the graph.
        tensor: Its numbers.
        trained: Whether training changes them.
    """

    name: str
    tensor: torch.Tensor
    trained: bool


@dataclass
class Importer:
    """Walks a traced module and gathers nodes.

    Args:
        traced: The module.
        given: Shape of each input, the batch axis left out.
        path: The user's name of a traced node that is no module's.
    """

    traced: fx.GraphModule
    given: Sequence[Shape]
    path: Callable[[fx.Node], str] = lambda node: node.name
    shapes: dict[str, Shape] = field(default_factory=dict[str, Shape])
    values: dict[fx.Node, Any] = field(default_factory=dict[fx.Node, Any])
    nodes: list[Node] = field(default_factory=list[Node])
    parameters: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])

    def run(self) -> Graph:
        """The graph.

        Raises:
            InputError: A call isn't supported (with its path), or shapes don't fit.
        """
        outputs: tuple[str, ...] = ()
        expand(self.traced.graph)
        placeholders = [node for node in self.traced.graph.nodes if node.op == "placeholder"]
        if len(placeholders) != len(self.given):
            found = f"{len(placeholders)} inputs ({', '.join(node.name for node in placeholders)})"
            raise InputError("network", found, f"{len(self.given)}, as the data has input arrays")
        inputs = {node.name: shape for node, shape in zip(placeholders, self.given, strict=True)}
        self.shapes |= inputs
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = Ref(node.name)
            elif node.op == "get_attr":
                self.values[node] = self._attribute(str(node.target))
            elif node.op == "output":
                outputs = self._outputs(node)
            else:
                self.values[node] = self._value(node)
        return Graph(inputs, outputs, tuple(self.nodes), self.parameters)

    def _attribute(self, target: str) -> Any:
        path, _, leaf = target.rpartition(".")
        value = getattr(self.traced.get_submodule(path), leaf)
        return Held(target, value, isinstance(value, nn.Parameter)) if isinstance(value, torch.Tensor) else value

    def _outputs(self, node: fx.Node) -> tuple[str, ...]:
        result: object = self._known(node.args[0])
        found = [] if isinstance(result, dict) else list(_leaves(result))
        if not found or not all(isinstance(item, Ref) for item in found):
            raise InputError("network output", type(cast(object, result)).__name__, "a tensor or a tuple of tensors")
        return tuple(item.name for item in found)

    def _known(self, arguments: Any) -> Any:
        """Arguments with the values of traced nodes in their place."""
        return map_arg(arguments, self.values.__getitem__)

    def _value(self, node: fx.Node) -> Any:
        args: tuple[Any, ...] = self._known(node.args)
        kwargs: dict[str, Any] = self._known(node.kwargs)
        target = name_of(node.target)
        if not any(isinstance(leaf, Ref) for leaf in _leaves((args, kwargs))):
            return self._computed(node, args, kwargs)
        if (
            args
            and isinstance(args[0], Ref)
            and (isinstance(node.target, str) or node.target is getattr or "aten." in target)
        ):
            name = str(args[1]) if node.target is getattr else target.rpartition(".")[2]
            if name in SHAPES and (node.op != "call_module"):
                return self._shape(args[0], name, args[2:] if node.target is getattr else args[1:], kwargs)
        return Ref(self._add(node, args, kwargs))

    def _shape(self, ref: Ref, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What is asked about the shape of a tensor."""
        shape = (BatchSize(), *self.shapes[ref.name])
        if name in ("ndim", "dim", "ndimension"):
            return len(shape)
        axes: list[int] = [*args, *kwargs.values()]
        return shape[axes[0]] if axes else shape

    def _computed(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        """What does not depend on the inputs, computed once and for all."""
        function: Any = node.target
        if node.op == "call_module":
            function = self.traced.get_submodule(str(node.target))
        elif node.op == "call_method":
            function = operator.methodcaller(str(node.target), *_plain(args[1:]), **_plain(kwargs))
            args, kwargs = args[:1], {}
        try:
            with torch.no_grad():
                result = function(*_plain(args), **_plain(kwargs))
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"call {node.name!r}", reason, "a value that does not depend on the batch") from error
        if isinstance(result, torch.Tensor):
            taken = {name for name, _ in chain(self.traced.named_parameters(), self.traced.named_buffers())}
            trained = any(isinstance(leaf, Held) and leaf.trained for leaf in _leaves((args, kwargs)))
            return Held(_free(node.name, taken), result, trained)
        return result

    def _add(self, node: fx.Node, args: Any, kwargs: Any) -> str:
        """An operation for a call; returns the name of its tensor."""
        ordered = sorted(kwargs.items(), key=lambda item: item[0] == "other")
        sources = [leaf.name for leaf in _leaves((args, [value for _, value in ordered])) if isinstance(leaf, Ref)]
        call = self._call(node, args, kwargs, sources)
        supported = by_torch_target()
        if call.target not in supported:
            raise unsupported(self.traced, self.path)
        op = supported[call.target].from_torch(call)
        held = {leaf.name: leaf.tensor for leaf in _leaves((args, kwargs)) if isinstance(leaf, Held)}
        for parameter in op.parameters().values():
            tensor = held[parameter] if parameter in held else self._attribute(parameter).tensor
            self.parameters[parameter] = np.array(tensor.detach().cpu().float().numpy())
        name = _free(call.path, self.shapes)
        self.shapes[name] = op.shape(name, [self.shapes[source] for source in sources], self.parameters)
        if self._in_place(node, call):  # who reads the overwritten tensor from here on reads the result
            over = Ref(sources[0])
            self.values |= {other: Ref(name) for other, value in self.values.items() if value == over}
        self.nodes.append(Node(name, op, tuple(sources), name))
        return name

    def _call(self, node: fx.Node, args: Any, kwargs: Any, sources: Sequence[str]) -> TorchCall:
        arguments = [_argument(node.name, item) for item in args]
        keywords = {key: _argument(node.name, item) for key, item in kwargs.items()}
        path, target = target_of(self.traced, node, self.path)
        plain = tuple(item for item in arguments if not isinstance(item, Ref))
        return TorchCall(
            path,
            target,
            self.traced.get_submodule(path) if node.op == "call_module" else None,
            () if node.target is getattr else plain,
            {key: item for key, item in keywords.items() if not isinstance(item, Ref)},
            tuple(self.shapes[source] for source in sources),
            next((place for place, item in enumerate(arguments) if isinstance(item, Ref)), 0),
        )

    def _in_place(self, node: fx.Node, call: TorchCall) -> bool:
        """Whether a call writes its result over its first input."""
        if call.module is not None:
            return bool(getattr(call.module, "inplace", False))
        if call.target.endswith("_") or call.target.startswith("operator.i"):
            return True
        try:
            bound = inspect.signature(cast(Any, node.target)).bind(*node.args, **node.kwargs)
        except (TypeError, ValueError):  # a builtin or a method, which would say so by its name
            return False
        return bool(bound.arguments.get("inplace", False))


def _free(name: str, taken: Any) -> str:
    """A name that is not taken, as close to the given one as can be."""
    return next(each for each in chain((name,), (f"{name}_{number}" for number in count(1))) if each not in taken)


def _leaves(item: Any) -> Iterator[Any]:
    """What is no list, tuple or dictionary, in nested ones."""
    if isinstance(item, tuple | list):
        for element in cast(Sequence[Any], item):
            yield from _leaves(element)
    elif isinstance(item, Mapping):
        yield from _leaves(list(cast(Mapping[Any, Any], item).values()))
    else:
        yield item


def _plain(item: Any) -> Any:
    """Tensors in place of held ones, in lists and dictionaries too."""
    if isinstance(item, tuple | list):
        return type(item)(_plain(element) for element in cast(Sequence[Any], item))  # type: ignore[call-arg]
    if isinstance(item, Mapping):
        return {key: _plain(value) for key, value in cast(Mapping[Any, Any], item).items()}
    return item.tensor if isinstance(item, Held) else item


def _argument(name: str, item: Any) -> Any:
    """An argument as an operation sees it: parameters by name, sequences as tuples, one of tensors as its first."""
    if isinstance(item, tuple | list):
        items = [_argument(name, element) for element in cast(Sequence[Any], item)]
        tensors = [element for element in items if isinstance(element, Ref)]
        if tensors and len(tensors) < len(items):
            other = next(element for element in items if not isinstance(element, Ref))
            raise InputError(f"layer {name!r}", f"{other} among tensors", "tensors that the inputs reach")
        return tensors[0] if tensors else tuple(items)
    if not isinstance(item, Held):
        return item
    values = None if item.trained else item.tensor.detach().cpu().double().numpy()
    return Parameter(item.name, tuple(item.tensor.shape), values)
