"""What an ONNX file computes by itself: run by onnxruntime, or with quantizers by onnx's reference and qonnx."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnx
from onnx import numpy_helper

from codesign.errors import InputError
from codesign.load.onnx_files.file import QUANTIZERS, OnnxFile
from codesign.load.onnx_files.order import needed_nodes
from codesign.load.onnx_files.tensors import Array, array

Feeds = Mapping[str, Array]
Run = Callable[[Feeds], Array]


def reference_outputs(file: OnnxFile, output: str, inputs: Sequence[Array]) -> Array:
    """A tensor of the file for a batch.

    Args:
        file: The file.
        output: The tensor's name.
        inputs: ``[batch, ...]`` each, in the file's order.

    Raises:
        InputError: It cannot be run.
    """
    model = _whole(file, output)
    names = [info.name for info in file.inputs()]
    count = len(inputs[0])
    step = max(info.type.tensor_type.shape.dim[0].dim_value for info in file.inputs()) or count
    rows = np.arange(-(-count // step) * step) % count  # whole batches of the size that the file wants
    try:
        run = _with_quantizers(model, output) if _quantizers(model) else _with_onnxruntime(model, output)
        batches = [run({name: x[own] for name, x in zip(names, inputs, strict=True)}) for own in rows.reshape(-1, step)]
    except Exception as error:  # executors raise anything at files that they don't like
        reason = str(error).strip().partition("\n")[0]
        raise InputError(str(file.path), f"cannot be run: {reason}", "a file that onnx's own tools run") from error
    return np.concatenate([np.asarray(batch) for batch in batches])[:count]


def _whole(file: OnnxFile, output: str) -> onnx.ModelProto:
    """What the wanted output needs, all numbers inside, and one domain for quantizers."""
    nodes = needed_nodes(file, output)
    read = {name for node in nodes for name in node.input}
    numbers = [
        numpy_helper.from_array(array(file, tensor), name) for name, tensor in file.initializers.items() if name in read
    ]
    # Without what the file says of shapes in between, which may be wrong.
    ends = file.inputs(), [onnx.ValueInfoProto(name=output)]
    graph = onnx.helper.make_graph(nodes, "network", *ends, numbers)
    model = onnx.helper.make_model(graph, opset_imports=file.model.opset_import, ir_version=file.model.ir_version)
    for node in model.graph.node:
        if node.domain in QUANTIZERS:
            node.domain = QUANTIZERS[0]
    if not any(item.domain == QUANTIZERS[0] for item in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(QUANTIZERS[0], 1))
    return model


def _quantizers(model: onnx.ModelProto) -> bool:
    return any(node.domain == QUANTIZERS[0] for node in model.graph.node)


def _with_onnxruntime(model: onnx.ModelProto, output: str) -> Run:
    import onnxruntime

    runtime: Any = onnxruntime
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Fused integer kernels would round elsewhere than the file says.
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(feeds: Feeds) -> Array:
        return session.run([output], feeds)[0]

    return run


def _with_quantizers(model: onnx.ModelProto, output: str) -> Run:
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun
    from qonnx.custom_op.general.bipolar_quant import binary_quant  # type: ignore[import-untyped]
    from qonnx.custom_op.general.intquant import int_quant  # type: ignore[import-untyped]
    from qonnx.custom_op.general.trunc import trunc_v1, trunc_v2  # type: ignore[import-untyped]

    quant, bipolar = cast(Any, int_quant), cast(Any, binary_quant)
    trunc_old, trunc = cast(Any, trunc_v1), cast(Any, trunc_v2)

    class Quant(OpRun):
        """qonnx's quantizer as an operator of the evaluator."""

        op_domain = QUANTIZERS[0]

        def _run(self, *inputs: Any, signed: Any = 1, narrow: Any = 0, rounding_mode: Any = "ROUND") -> tuple[Any]:
            return (np.asarray(quant(*inputs, signed, narrow, rounding_mode), np.float32),)

    class Trunc(OpRun):
        """Likewise; of five inputs it is the older kind."""

        op_domain = QUANTIZERS[0]

        def _run(self, *inputs: Any, signed: Any = 1, narrow: Any = 0, rounding_mode: Any = "FLOOR") -> tuple[Any]:
            if len(inputs) == 5:
                return (np.asarray(trunc_old(*inputs, rounding_mode), np.float32),)
            return (np.asarray(trunc(*inputs[:4], narrow, signed, *inputs[4:], rounding_mode), np.float32),)

    class BipolarQuant(OpRun):
        """Likewise."""

        op_domain = QUANTIZERS[0]

        def _run(self, *inputs: Any) -> tuple[Any]:
            return (np.asarray(bipolar(*inputs), np.float32),)

    class Gather(OpRun):
        """In place of the evaluator's own, which fails at indices that are not contiguous."""

        op_domain = ""

        def _run(self, x: Any, indices: Any, axis: Any = 0) -> tuple[Any]:
            return (np.take(x, indices, axis),)

    integer = type("IntQuant", (Quant,), {})
    evaluator: Any = ReferenceEvaluator(model, new_ops=[Quant, integer, Trunc, BipolarQuant, Gather])

    def run(feeds: Feeds) -> Array:
        return evaluator.run([output], dict(feeds))[0]

    return run
