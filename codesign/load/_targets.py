"""What traced calls are called: by the user, and as operations know them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from codesign.errors import InputError
from codesign.ops import by_torch_target

#: Attributes and methods that give a tensor's shape, which is known: what follows from it is computed when loading.
SHAPES = ("shape", "size", "ndim", "dim", "ndimension", "sym_size")


def target_of(traced: fx.GraphModule, node: fx.Node, path: Callable[[fx.Node], str]) -> tuple[str, str]:
    """The user's name of a call, and that of what is called, as in ``TorchCall.target``.

    Args:
        traced: The module.
        node: A call of it.
        path: The user's name of a node that is no module's.
    """
    if node.op == "call_module":
        return str(node.target), f"nn.{type(traced.get_submodule(str(node.target))).__name__}"
    if node.op == "call_method":
        return path(node), f"Tensor.{node.target}"
    return path(node), f"Tensor.{node.args[1]}" if node.target is getattr else name_of(node.target)


def unsupported(traced: fx.GraphModule, path: Callable[[fx.Node], str]) -> InputError:
    """The error that names every call that meets a tensor and that no operation stands for; arguments as above."""
    known, reached = by_torch_target(), set[fx.Node]()
    found: dict[str, str] = {}
    for node in traced.graph.nodes:
        calls = node.op.startswith("call_") and not reached.isdisjoint(node.all_input_nodes)
        if not calls and node.op != "placeholder":
            continue
        name, target = (node.name, "") if node.op == "placeholder" else target_of(traced, node, path)
        if node.op != "call_module" and target.rpartition(".")[2] in SHAPES:
            continue
        reached.add(node)
        if node.op != "placeholder" and target not in known:
            found[name] = target
    several = "s" if len(found) > 1 else ""
    where, what = f"layer{several} {', '.join(map(repr, found))}", f"unsupported operation{several} "
    return InputError(where, what + ", ".join(dict.fromkeys(found.values())), f"one of {', '.join(sorted(known))}")


def name_of(target: Any) -> str:
    """``F.relu`` for ``torch.nn.functional.relu``, ``torch.relu`` for ``torch.relu``, ``operator.add`` for ``+``."""
    if isinstance(target, str):
        return target
    if isinstance(target, torch._ops.OpOverload):  # pyright: ignore[reportPrivateUsage]
        return _aten(str(target.name()).partition("::")[2].partition(".")[0])
    name = str(getattr(target, "__name__", target))
    if getattr(nn.functional, name, None) is target and getattr(torch, name, None) is not target:
        return f"F.{name}"
    if getattr(torch, name, None) is target:
        return f"torch.{name}"
    return f"{getattr(target, '__module__', '').lstrip('_')}.{name}"


def _aten(name: str) -> str:
    """An exported call by the name of the torch function that it is."""
    names = [f"{prefix}.{name}" for prefix in ("torch", "F", "Tensor")]
    return next((each for each in names if each in by_torch_target()), f"aten.{name}")
