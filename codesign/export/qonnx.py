"""`export.qonnx`: the integer network as a QONNX file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from codesign.design import Artifact, Design
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class Qonnx(Pass):
    """Write a QONNX file: standard ONNX nodes, with a Quant node on every input, parameter and activation.

    Scales are powers of two, one per tensor, zero points 0; weights round to nearest even, activations floor. The
    accumulators' exact widths are in the file's metadata (``accumulator:TENSOR``), and so are the bits of every output
    channel of weights whose channels differ (``widths:WEIGHT``).
    """

    reads: ClassVar[tuple[str, ...]] = ("quantized",)
    writes: ClassVar[tuple[str, ...]] = ("artifacts.qonnx",)
    distributions: ClassVar[tuple[str, ...]] = ("onnx",)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Write, and let onnx's own checker read it."""
        import onnx

        from codesign.export.writers.qonnx import Writer

        model = Writer(design.quantized).write()
        onnx.checker.check_model(model)  # pyright: ignore[reportUnknownMemberType]
        digest = context.store.put(model.SerializeToString(deterministic=True))
        return {"artifacts": {"qonnx": Artifact("network.qonnx.onnx", digest)}}
