"""Operations that do nothing at inference, and are taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from codesign.ops.op import Rewritten, TorchCall

if TYPE_CHECKING:
    from codesign.graph import Graph, Node


@dataclass(frozen=True)
class Identity(Rewritten):
    """Identity and dropout: the output is the input once training is over."""

    kind: ClassVar[str] = "identity"
    torch_targets: ClassVar[tuple[str, ...]] = (
        "nn.Identity",
        "nn.Dropout",
        "nn.AlphaDropout",
        "F.dropout",
        "torch.dropout",
        "Tensor.contiguous",
    )

    @classmethod
    def from_torch(cls, call: TorchCall) -> Identity:
        """From any of the calls above."""
        return cls()

    def rewrite(self, graph: Graph, node: Node) -> tuple[Graph, str]:
        """Taken out, silently."""
        return graph.without(node), ""
