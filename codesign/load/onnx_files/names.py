"""Names for layers, as the user knows them: torch's module paths where torch wrote the file, else the file's own."""

import json
import re
from collections.abc import Container
from itertools import chain, count

import onnx

_SCOPES = "pkg.torch.onnx.name_scopes"
#: What Brevitas has inside an activation.
_INSIDE = re.compile(r"\.act_quant\..*$")


def layer_name(node: onnx.NodeProto, weight: str, by_torch: bool) -> str:
    """The name that a node's layer would like to have.

    Args:
        node: The node.
        weight: Name of the weight that it multiplies by; empty if there is none.
        by_torch: Whether torch wrote the file.
    """
    own = node.name or node.output[0]
    if not by_torch:
        return own
    if weight.endswith(".weight"):
        return weight.removesuffix(".weight")
    return _INSIDE.sub("", _scope(node)) or own


def parameter_name(given: str, layer: str, role: str, by_torch: bool) -> str:
    """The name that a layer's parameter would like to have; the file's own, unless there is none or it says nothing."""
    # Torch's exporters make names up for weights that they change (onnx::MatMul_7, val_3); those have no module's path.
    return f"{layer}.{role}" if not given or (by_torch and "." not in given) else given


def unused(name: str, taken: Container[str]) -> str:
    """The name, or with the first number after it that makes it new."""
    choices = chain((name,), (f"{name}_{number}" for number in count(1)))
    return next(each for each in choices if each not in taken)


def _scope(node: onnx.NodeProto) -> str:
    """The path of the module that a node was in, or the function's name; empty if the node does not tell."""
    scopes = next((item.value for item in node.metadata_props if item.key == _SCOPES), "")
    if scopes:  # of the newer exporter: every module's whole path, then the node
        try:
            parts = [str(part) for part in json.loads(scopes.replace("'", '"'))]
        except (ValueError, TypeError):
            return ""
        return next((part for part in reversed(parts[:-1]) if part), parts[-1] if parts else "")
    if not node.name.startswith("/"):
        return ""
    *modules, last = node.name.strip("/").split("/")
    path = before = ""
    for part in modules:  # inside a Sequential called "body", parts are called "body.0"
        path = path + part[len(before) :] if before and part.startswith(f"{before}.") else f"{path}.{part}".strip(".")
        before = part
    return path or last.lower()
