"""Softmax: at the end of a network taken off, or made of tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from codesign.errors import InputError
from codesign.ops.add import Sub
from codesign.ops.mul import Mul
from codesign.ops.op import OnnxCall, Op, Rewritten, TorchCall
from codesign.ops.reduce import Max, Sum
from codesign.ops.relu import Relu
from codesign.ops.table import Table

if TYPE_CHECKING:
    from codesign.graph import Graph, Node

#: Which are made of tables: none, those that something follows, or all. Of the others, one at the end is taken off.
Tables = Literal["none", "inside", "all"]


@dataclass(frozen=True)
class Softmax(Rewritten):
    """A softmax or log-softmax.

    At the end it is monotone per class, so the firmware gives the logits and argmax is the same. Made of tables it is
    ``exp(-d) * (1 / sum(exp(-d)))`` with ``d = max(x) - x``, both functions rounded (see ``Table``).

    Args:
        axis: Along which it adds up to one, the batch axis not counted.
        log: Whether its logarithm is taken.
        tables: What else may be done than taking it off.
    """

    axis: int
    log: bool = False
    tables: Tables = "none"

    kind: ClassVar[str] = "softmax"
    torch_targets: ClassVar[tuple[str, ...]] = (
        *("nn.Softmax", "nn.LogSoftmax", "F.softmax", "F.log_softmax"),
        *("torch.softmax", "torch.log_softmax", "Tensor.softmax", "Tensor.log_softmax"),
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Softmax", "LogSoftmax")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Softmax:
        """From the module, the function or the method, over an axis behind the batch."""
        axis = call.options("dim").get("dim")
        if axis is None and len(call.shapes[0]) > 1:
            raise InputError(f"layer {call.path!r}", "softmax over no axis that is named", "dim")
        return cls(call.axes(1 if axis is None else axis)[0], "log" in call.target.lower())

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Softmax:
        """From ``Softmax`` or ``LogSoftmax``, over an axis behind the batch."""
        return cls(call.axes([call.attributes.get("axis", -1)])[0], call.op_type == "LogSoftmax")

    def rewrite(self, graph: Graph, node: Node) -> tuple[Graph, str]:
        """Taken off with a notice, if nothing follows it.

        Raises:
            InputError: Something does, or it is to be made of tables.
        """
        if self.tables == "all" or graph.consumers(node.output) or node.output not in graph.outputs:
            hint = "for tables in the firmware, set softmax of load.torch or load.onnx to 'inside'"
            raise InputError(
                f"layer {node.name!r}",
                "a log-softmax inside the network" if self.log else "a softmax inside the network",
                "softmax only as the last operation",
                "" if self.log else hint,
            )
        return graph.without(node), f"{node.name}: final softmax taken off; the firmware gives the logits"

    def instead(self, graph: Graph, node: Node) -> Graph | None:
        """Made of tables, if that is wanted."""
        from codesign.graph import Node

        if self.tables == "none" or self.log:
            return None
        (given,), prefix = node.inputs, node.name
        while any(each.output.startswith(f"{prefix}.") for each in graph.nodes):
            prefix += "_"
        most, below, distance, decay, total, one_over = (
            f"{prefix}.{part}" for part in ("max", "below", "distance", "decay", "sum", "reciprocal")
        )
        parts: list[tuple[str, Op, tuple[str, ...]]] = [
            (most, Max((self.axis,), keepdim=True), (given,)),
            (below, Sub(), (most, given)),
            (distance, Relu(), (below,)),  # changes nothing, but says that nothing is negative
            (decay, Table("decay"), (distance,)),
            (total, Sum((self.axis,), keepdim=True), (decay,)),
            (one_over, Table("reciprocal"), (total,)),
        ]
        made = [*(Node(name, op, inputs, name) for name, op, inputs in parts)]
        made.append(replace(node, op=Mul(), inputs=(decay, one_over)))
        place = graph.nodes.index(node)
        return replace(graph, nodes=(*graph.nodes[:place], *made, *graph.nodes[place + 1 :]))
