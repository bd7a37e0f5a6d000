"""Softmax at the end of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from codesign.errors import InputError
from codesign.ops.op import OnnxCall, Rewritten, TorchCall

if TYPE_CHECKING:
    from codesign.graph import Graph, Node


@dataclass(frozen=True)
class Softmax(Rewritten):
    """A final softmax or log-softmax: monotone per class, so the firmware gives the logits and argmax is the same."""

    kind: ClassVar[str] = "softmax"
    torch_targets: ClassVar[tuple[str, ...]] = (
        "nn.Softmax",
        "nn.LogSoftmax",
        "F.softmax",
        "F.log_softmax",
        "torch.softmax",
        "torch.log_softmax",
        "Tensor.softmax",
        "Tensor.log_softmax",
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Softmax", "LogSoftmax")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Softmax:
        """From the module, the function or the method, over the classes."""
        if call.module is not None:
            axis = call.module.dim
        else:
            axis = call.keywords.get("dim", call.arguments[0] if call.arguments else None)
        if axis not in (None, 1, -1):
            raise InputError(f"layer {call.path!r}", f"softmax over axis {axis}", "over the classes, axis 1 or -1")
        return cls()

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Softmax:
        """From ``Softmax`` or ``LogSoftmax``, over the classes."""
        axis = call.attributes.get("axis", -1)
        if axis not in (1, -1):
            raise call.refused(f"softmax over axis {axis}", "over the classes, axis 1 or -1")
        return cls()

    def rewrite(self, graph: Graph, node: Node) -> tuple[Graph, str]:
        """Taken off with a notice, if nothing follows it."""
        if graph.consumers(node.output) or node.output not in graph.outputs:
            raise InputError(
                f"layer {node.name!r}", "a softmax inside the network", "softmax only as the last operation"
            )
        return graph.without(node), f"{node.name}: final softmax taken off; the firmware gives the logits"
