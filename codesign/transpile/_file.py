"""What a QONNX file says: constants, formats and shapes of its tensors, and who reads them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from codesign.fixed import Fixed
from codesign.ops.op import Shape

Values = npt.NDArray[Any]


@dataclass
class File:
    """A QONNX file.

    Args:
        model: With C identifiers for names, and a batch of one.
    """

    model: onnx.ModelProto

    @cached_property
    def constants(self) -> dict[str, Values]:
        """Initializers, and what Quant nodes make of them, which are on its grid already."""
        found = {item.name: numpy_helper.to_array(item) for item in self.model.graph.initializer}
        quants = [node for node in self.model.graph.node if node.op_type == "Quant" and node.input[0] in found]
        return found | {node.output[0]: found[node.input[0]] for node in quants}

    @cached_property
    def formats(self) -> dict[str, Fixed]:
        """Of what Quant nodes give, by tensor name."""
        return {node.output[0]: self._format(node) for node in self.model.graph.node if node.op_type == "Quant"}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """By tensor, the batch axis left out."""
        graph = self.model.graph
        return {
            info.name: tuple(dimension.dim_value for dimension in info.type.tensor_type.shape.dim)[1:]
            for info in (*graph.input, *graph.value_info, *graph.output)
        }

    def readers(self, tensor: str) -> list[onnx.NodeProto]:
        """Nodes that read a tensor."""
        return [node for node in self.model.graph.node if tensor in node.input]

    def _format(self, node: onnx.NodeProto) -> Fixed:
        found = {item.name: numpy_helper.to_array(item) for item in self.model.graph.initializer}
        scale, width = found[node.input[1]].astype(np.float64), int(found[node.input[3]])
        signed, places = bool(attributes(node)["signed"]), np.frexp(scale)[1].astype(np.int64) - 1
        return Fixed(signed, width, width + (places if scale.ndim else int(places)))


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}
