"""Writing the float network as plain ONNX nodes: what the integers are held against when new data comes."""

import numpy as np
import onnx

from codesign.export.writers.qonnx import OPSET, Writer
from codesign.graph import Graph
from codesign.quantized import Quantized


class FloatWriter(Writer):
    """Gathers nodes without quantizers.

    Args:
        graph: The network, with its float parameters.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(Quantized(graph, {}, {}))

    def write(self) -> onnx.ModelProto:
        """The whole model; tensors keep the graph's names."""
        graph = self.quantized.graph
        shapes = graph.shapes()
        for node in graph.nodes:
            self.current, self.input_shapes = shapes[node.output], [shapes[name] for name in node.inputs]
            node.op.write_float(self, node.name, list(node.inputs), node.output)
        return self.model({"": OPSET})

    def parameter(self, name: str, transpose: bool = False) -> str:
        """An initializer; under another name if it is written in both directions."""
        values = np.asarray(self.quantized.graph.parameters[name], np.float64)
        place = f"{name}.transposed" if transpose else name
        if place not in self.initializers:
            self._initializer(place, values.T if transpose else values)
        return place
