"""Operations that do nothing at inference, and are taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from codesign.errors import InputError
from codesign.ops.op import OnnxCall, Rewritten, TorchCall

if TYPE_CHECKING:
    from codesign.graph import Graph, Node


@dataclass(frozen=True)
class Identity(Rewritten):
    """Identity and dropout: the output is the input once training is over."""

    kind: ClassVar[str] = "identity"
    arithmetic: ClassVar[bool] = False
    torch_targets: ClassVar[tuple[str, ...]] = (
        "nn.Identity",
        "nn.Dropout",
        "nn.Dropout1d",
        "nn.Dropout2d",
        "nn.Dropout3d",
        "nn.AlphaDropout",
        "F.dropout",
        "F.dropout1d",
        "F.dropout2d",
        "F.dropout3d",
        "torch.dropout",
        "Tensor.contiguous",
    )
    onnx_types: ClassVar[tuple[str, ...]] = ("Identity", "Dropout")

    @classmethod
    def from_torch(cls, call: TorchCall) -> Identity:
        """From any of the calls above, dropout turned off."""
        if call.module is None and "dropout" in call.target:
            flag = "train" if call.target == "torch.dropout" else "training"
            given = dict(zip(("p", flag), call.arguments, strict=False)) | dict(call.keywords)
            if given.get(flag, True):
                raise InputError(
                    f"layer {call.path!r}",
                    f"dropout is left on ({flag}=True)",
                    "dropout that is off once training is over",
                    "pass training=self.training, or use nn.Dropout",
                )
        return cls()

    @classmethod
    def from_onnx(cls, call: OnnxCall) -> Identity:
        """From any of the operators above, dropout turned off."""
        if 2 in call.constants and call.constants[2].any():
            raise call.refused("dropout is left on (training_mode)", "dropout that is off once training is over")
        if call.outputs > 1:
            raise call.refused("dropout whose mask is used", "values only")
        return cls()

    def rewrite(self, graph: Graph, node: Node) -> tuple[Graph, str]:
        """Taken out, silently."""
        return graph.without(node), ""
