"""`load.onnx`: an ONNX file becomes a graph, and its quantizers what an allocation can start from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from codesign.design import Dataset, Design
from codesign.ops.softmax import Tables
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class Onnx(Pass):
    """Read the network: an ONNX file of floats, or with quantizers.

    Those can be QONNX's, or pairs of QuantizeLinear and DequantizeLinear. allocate.given takes them for the allocation;
    without that, the network is quantized anew.

    Args:
        model: The file, of opset 13 or newer. Weights in files beside it are read if they are in its folder.
        output: Name of the tensor with the logits; needed if the file has several outputs.
        softmax: Which softmax is made of lookup tables: "none"; "inside", those that something follows; or "all". Of
            the others, one at the end is taken off, and the firmware gives the logits.
    """

    model: Path
    output: str = ""
    softmax: Tables = "none"

    reads: ClassVar[tuple[str, ...]] = ("dataset",)
    writes: ClassVar[tuple[str, ...]] = ("graph", "given", "notices")
    distributions: ClassVar[tuple[str, ...]] = ("torch", "onnx", "onnxruntime", "qonnx")

    def files(self) -> tuple[Path, ...]:
        """The file, and those with its weights."""
        from codesign.load.onnx_files.file import OnnxFile
        from codesign.load.onnx_files.tensors import external_files
        from codesign.shipped import is_file

        if not is_file(self.model):
            return (self.model,)
        return (self.model, *external_files(OnnxFile.read(self.model)))

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Read, convert, and check against the file itself."""
        return fields_from_file(self.model, design.dataset, self.output, self.softmax)


def fields_from_file(model: Path, dataset: Dataset, output: str = "", softmax: Tables = "none") -> dict[str, object]:
    """What a design has of an ONNX file: graph, quantizers, notices of the conversion.

    Args:
        model: The file.
        dataset: The data that it is for.
        output: Name of the tensor with the logits; nothing for the only output.
        softmax: Which softmax is made of lookup tables.

    Raises:
        InputError: The file can't be converted, or doesn't fit the data.
    """
    from codesign.load._conversion import check_outputs
    from codesign.load._onnx import network_from_file
    from codesign.load.onnx_files.file import OnnxFile

    network = network_from_file(OnnxFile.read(model), dataset, output, softmax)
    check_outputs(network.graph, dataset)
    notices = {f"load.{index}": notice for index, notice in enumerate(network.notices)}
    return {"graph": network.graph, "given": network.quantizers, "notices": notices}
