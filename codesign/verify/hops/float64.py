"""Running an exported file in float64, where every integer of it is exact."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx

from codesign.arrays import FloatArray
from codesign.export.writers.qonnx import QONNX_DOMAIN

Float64 = npt.NDArray[np.float64]
Watch = Callable[[onnx.NodeProto, Float64, Float64, Float64], None]
Run = Callable[[Mapping[str, FloatArray]], dict[str, Float64]]


def in_float64(model: onnx.ModelProto, watch: Watch | None = None) -> Run:
    """What runs a file, every tensor in float64: from inputs ``[batch, ...]`` by name to outputs by name.

    Args:
        model: Of codesign's own, with quantizers or without; is changed.
        watch: Called by every quantizer with its node, what it reads, its scale, and what it gives.
    """
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun
    from qonnx.custom_op.general.quant import quant  # type: ignore[import-untyped]

    class Quant(OpRun):
        """qonnx's quantizer as an operator of the evaluator."""

        op_domain = QONNX_DOMAIN

        def _run(self, *args: Any, signed: int, narrow: int, rounding_mode: str) -> tuple[Any]:
            found = cast(Any, quant)(*args, signed, narrow, rounding_mode)
            if watch is not None:
                watch(self.onnx_node, args[0], args[1], found)
            return (found,)

    class Gather(OpRun):
        """The evaluator's own fails on indices that are not contiguous in memory."""

        op_domain = ""

        def _run(self, *args: Any, axis: int) -> tuple[Any]:
            return (np.take(*args, axis=axis),)

    graph = model.graph
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            info.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for item in [item for item in graph.initializer if item.data_type == onnx.TensorProto.FLOAT]:
        item.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(item).astype(np.float64), item.name))
    for node in graph.node:
        for item in node.attribute:  # back from whole numbers
            if node.op_type == "Cast" and item.i == onnx.TensorProto.FLOAT:
                item.i = onnx.TensorProto.DOUBLE
    evaluator: Any = ReferenceEvaluator(model, new_ops=[Quant, Gather])
    outputs = [info.name for info in graph.output]

    def run(inputs: Mapping[str, FloatArray]) -> dict[str, Float64]:
        with np.errstate(over="ignore", invalid="ignore"):  # its sigmoid computes both branches, and keeps one
            found = evaluator.run(outputs, {name: np.asarray(x, np.float64) for name, x in inputs.items()})
        return dict(zip(outputs, found, strict=True))

    return run
