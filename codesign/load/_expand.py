"""Calls on several tensors at once, spelt out in a traced network as calls on one."""

import operator
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, cast

import torch
from torch import fx

from codesign.errors import InputError


def expand(graph: fx.Graph) -> None:
    """Write ``stack`` as new axes and ``cat``, and each part of ``unbind`` and ``split`` as an index.

    Raises:
        InputError: Their result is used as a whole.
    """
    for node in list(graph.nodes):
        if node.op not in ("call_function", "call_method"):
            continue
        name = _name(node.target)
        if name == "stack":
            _stack(graph, node)
        elif name == "_assert_tensor_metadata":  # what torch.export knows of a type, for torch alone
            graph.erase_node(node)
        elif name in ("unbind", "split", "split_with_sizes"):
            _parts(graph, node, name)


def _name(target: Any) -> str:
    """The call's name without what it belongs to: of the exported ``aten.stack.default`` too."""
    if isinstance(target, str):
        return target
    packet = getattr(target, "overloadpacket", target)
    own = str(getattr(packet, "__name__", ""))
    return own if packet is not target or getattr(torch, own, None) is target else ""


def _stack(graph: fx.Graph, node: fx.Node) -> None:
    options = dict(zip(("tensors", "dim"), node.args, strict=False)) | dict(node.kwargs)
    tensors: Any = options["tensors"]
    axis = options.get("dim", 0)
    with graph.inserting_before(node):
        rows = [graph.call_function(torch.unsqueeze, (each, axis)) for each in tensors]
        joined = graph.call_function(torch.cat, (rows, axis))
    _replace(graph, node, joined)


def _parts(graph: fx.Graph, node: fx.Node, name: str) -> None:
    size = {} if name == "unbind" else {"split_size": None}
    options = dict(zip(("input", *size, "dim"), node.args, strict=False)) | dict(node.kwargs)
    axis: Any = options.get("dim", 0)
    for user in list(node.users):
        if user.target is not operator.getitem or user.args[0] is not node:
            found = f"{name} whose parts are not taken one by one"
            raise InputError(f"layer {node.name!r}", found, "first, second = x.unbind(-1)")
        number: Any = user.args[1]
        part = number if name == "unbind" else _range(options.get("split_size", options.get("split_sizes")), number)
        around = (slice(None),) * axis if axis >= 0 else (Ellipsis,)
        behind = () if axis >= 0 else (slice(None),) * (-axis - 1)
        index: Any = (*around, part, *behind)
        with graph.inserting_before(user):
            taken = graph.call_function(operator.getitem, (options["input"], index))
        _replace(graph, user, taken)
    graph.erase_node(node)


def _range(sizes: Any, number: int) -> slice:
    """Where a part of a split tensor is."""
    if isinstance(sizes, Sequence):
        ends = [0, *accumulate(cast(Sequence[int], sizes))]
        return slice(ends[number], ends[number + 1])
    return slice(number * sizes, (number + 1) * sizes)


def _replace(graph: fx.Graph, node: fx.Node, new: fx.Node) -> None:
    node.replace_all_uses_with(new)
    new.meta = dict(node.meta)
    graph.erase_node(node)
