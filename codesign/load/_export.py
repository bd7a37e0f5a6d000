"""From a torch module to a graph by ``torch.export``, which runs the forward: it may branch on shapes and loop."""

import os
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from codesign.capture import output_to
from codesign.graph import Graph
from codesign.load._importer import Importer
from codesign.ops.op import Shape

#: Samples of the example that is traced; one would be taken for a constant.
BATCH = 2


def exported(module: nn.Module, shapes: list[Shape]) -> Graph:
    """The calls of a module's forward, inner modules taken apart.

    Args:
        module: In eval mode.
        shapes: Shape of each input, the batch axis left out.

    Raises:
        InputError: A call isn't supported.
        Exception: Whatever torch raises where it can't export.
    """
    kind = next((parameter.dtype for parameter in module.parameters()), torch.float32)
    example = tuple(torch.zeros(BATCH, *shape, dtype=kind) for shape in shapes)
    batch = {0: torch.export.Dim.AUTO}
    # Where torch fails it logs, and prints its graph, beside raising.
    with output_to(Path(os.devnull)), redirect_stderr(StringIO()):
        program = torch.export.export(module, example, dynamic_shapes=tuple(batch for _ in example))
    traced = program.module(check_guards=False)
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            node.name = str(node.target)
    return Importer(traced, shapes, _path).run()


def _path(node: fx.Node) -> str:
    """The module that a call is in, and the call's own name where the module is not torch's."""
    stack: dict[str, tuple[str, Any]] = node.meta.get("nn_module_stack", {})
    if not stack:
        return node.name
    path, kind = next(reversed(stack.values()))
    if "torch.nn.modules" in str(kind) and path:
        return path
    return f"{path}.{node.name}" if path else node.name
