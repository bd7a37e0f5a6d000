"""`verify.exact`: torch, numpy, QONNX and hls4ml give the same integers on every test input."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from codesign.capture import output_to
from codesign.design import Check, Design
from codesign.passes import Context, Pass

#: Hops as they are named in reports.
HOPS = (("torch", "numpy"), ("numpy", "qonnx"), ("qonnx", "hls4ml"))


@dataclass(frozen=True)
class Exact(Pass):
    """Run every representation on the whole test split and compare integers, without tolerance.

    A hop whose representation this flow does not make is reported as not checked.
    """

    reads: ClassVar[tuple[str, ...]] = ("dataset", "trained", "quantized")
    optional: ClassVar[tuple[str, ...]] = ("artifacts.qonnx", "artifacts.hls4ml")
    writes: ClassVar[tuple[str, ...]] = ("checks",)
    distributions: ClassVar[tuple[str, ...]] = ("torch", "onnx", "onnxruntime", "qonnx")

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Hop by hop, each against the outputs of the one before it."""
        from codesign.verify.hops import representations as hops

        quantized, inputs = design.quantized, design.dataset.split("test").inputs
        encoded = quantized.encode(inputs)
        values = quantized.run(encoded)
        reference = [values[name].real() for name in quantized.graph.outputs]
        artifacts = design.artifacts if design.has("artifacts") else {}
        checks: dict[tuple[str, str], Check] = {}
        context.progress("torch -> numpy", 0, 3)
        outputs, detail = hops.torch_outputs(quantized, design.trained, inputs)
        checks["torch", "numpy"] = hops.compare("torch", "numpy", outputs, reference, detail)
        context.progress("numpy -> qonnx", 1, 3)
        if "qonnx" in artifacts:
            with output_to(context.work / "qonnx.log"):
                path, bits = context.store.path(artifacts["qonnx"].digest), quantized.mantissa_bits()
                exported, detail = hops.qonnx_outputs(path, quantized.graph.outputs, bits, inputs)
            checks["numpy", "qonnx"] = hops.compare("numpy", "qonnx", reference, exported, detail)
            reference = exported
        context.progress("qonnx -> hls4ml", 2, 3)
        if "hls4ml" in artifacts:
            with context.store.scratch() as scratch:
                context.store.take_out(artifacts["hls4ml"].digest, scratch / "project", folder=True)
                if reason := hops.why_not_compiled(scratch / "project"):
                    checks["qonnx", "hls4ml"] = Check("qonnx", "hls4ml", 0, 0, "not_checked", reason)
                else:
                    codes = list(encoded.values())
                    outputs, detail = hops.hls4ml_outputs(
                        hops.output_shapes(quantized), scratch / "project", codes, context.work
                    )
                    checks["qonnx", "hls4ml"] = hops.compare("qonnx", "hls4ml", reference, outputs, detail)
        context.progress("compared", 3, 3)
        for start, end in HOPS:
            missing = Check(start, end, 0, 0, "not_checked", f"this flow makes no {end} representation")
            checks.setdefault((start, end), missing)
        return {"checks": {f"{start}->{end}": checks[start, end] for start, end in HOPS}}
