"""Running the representations side by side, and counting the input vectors on which their integers differ."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx

from codesign import tools
from codesign.arrays import FloatArray
from codesign.design import Check, Trained
from codesign.errors import ContractError
from codesign.fixed import FLOAT32_BITS, Codes
from codesign.ops.op import Shape
from codesign.quantized import Quantized
from codesign.transpile.firmware.options import INTERFACE
from codesign.verify.hops.float64 import in_float64

#: Longest time that a simulation of the test split may take.
SIMULATION_TIMEOUT_S = 3600.0
Outputs = Sequence[npt.NDArray[np.float64]]


def compare(start: str, end: str, before: Outputs, after: Outputs, detail: str) -> Check:
    """Compare the outputs of two representations.

    Both are on one power-of-two grid and exact in float64, so equal numbers are equal integers.

    Args:
        start: Name of the one representation.
        end: Name of the other.
        before: Outputs of the one, ``[batch, ...]`` each.
        after: Outputs of the other.
        detail: How the end was run.
    """
    count = len(before[0])
    differs = np.zeros(count, bool)
    for left, right in zip(before, after, strict=True):
        differs |= (left.reshape(count, -1) != right.reshape(count, -1)).any(1)
    mismatches = int(np.count_nonzero(differs))
    return Check(start, end, count, mismatches, "differs" if mismatches else "exact", detail)


def torch_outputs(quantized: Quantized, trained: Trained, inputs: Sequence[FloatArray]) -> tuple[Outputs, str]:
    """The fine-tuned torch network in eval mode, from its float parameters, and the number type it ran in."""
    import torch

    from codesign.network import QuantizedNetwork, exact_outputs, exact_type
    from codesign.torch_forward import threads, to_tensors

    network = QuantizedNetwork(quantized.graph, trained.formats)
    dtype = exact_type(quantized)
    tensors = [torch.tensor(np.asarray(x, np.float32)) for x in inputs]
    with threads(1):
        outputs = exact_outputs(network, to_tensors(trained.parameters), tensors, dtype)
    return [output.double().numpy() for output in outputs], str(dtype).removeprefix("torch.")


def qonnx_outputs(
    path: Path, outputs: Sequence[str], mantissa_bits: int, inputs: Sequence[FloatArray]
) -> tuple[Outputs, str]:
    """The exported file, run by qonnx's executor, and the number type it ran in.

    qonnx computes in float32. Where that does not hold every partial sum exactly, onnx's reference evaluator runs the
    same nodes in float64, with qonnx's own quantizer.

    Args:
        path: The file.
        outputs: Names of the network's outputs.
        mantissa_bits: Bits that a float type needs for every partial sum.
        inputs: ``[batch, ...]`` each, in the network's order.
    """
    model = onnx.load_model_from_string(path.read_bytes())
    names = [info.name for info in model.graph.input]
    if mantissa_bits > FLOAT32_BITS:
        found = in_float64(model)(dict(zip(names, inputs, strict=True)))
        detail = "float64, onnx reference evaluator with qonnx's Quant"
    else:
        from qonnx.core.modelwrapper import ModelWrapper  # type: ignore[import-untyped]
        from qonnx.core.onnx_exec import execute_onnx  # type: ignore[import-untyped]

        _set_batch(model, len(inputs[0]))
        feeds = {name: np.asarray(x, np.float32) for name, x in zip(names, inputs, strict=True)}
        found = cast(Any, execute_onnx)(ModelWrapper(model), feeds)
        detail = "float32, qonnx executor"
    return [np.asarray(found[name], np.float64) for name in outputs], detail


def _set_batch(model: onnx.ModelProto, batch: int) -> None:
    graph = model.graph
    for info in (*graph.input, *graph.output, *graph.value_info):
        for dimension in info.type.tensor_type.shape.dim:
            if dimension.HasField("dim_param"):
                dimension.dim_value = batch


def why_not_compiled(folder: Path) -> str:
    """Why an hls4ml project has no simulation library; empty if it has."""
    if list((folder / "firmware").glob("*.so")):
        return ""
    return f"not compiled: no {json.loads((folder / INTERFACE).read_text())['compiler']} on PATH"


def output_shapes(quantized: Quantized) -> dict[str, Shape]:
    """Shapes of the network's outputs by name, the batch axis left out."""
    shapes = quantized.graph.shapes()
    return {name: shapes[name] for name in quantized.graph.outputs}


def hls4ml_outputs(
    shapes: Mapping[str, Shape], folder: Path, inputs: Sequence[Codes], work: Path
) -> tuple[Outputs, str]:
    """The C++ simulation of an hls4ml project.

    It runs in a process of its own: firmware that fails an assertion takes its process with it.

    Args:
        shapes: Of the network's outputs by name, the batch axis left out.
        folder: The project, compiled.
        inputs: Codes of the inputs ``[batch, ...]``: the firmware is fed numbers on the input grid.
        work: Folder for the numbers on their way, and a log.

    Raises:
        ToolError: The simulation crashed.
    """
    libraries = sorted((folder / "firmware").glob("*.so"))
    if len(libraries) != 1:
        raise ContractError(str(folder), f"{len(libraries)} simulation libraries", "one")
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    count = len(inputs[0].values)
    ports: dict[str, Any] = json.loads((folder / INTERFACE).read_text())
    given = [_permuted(codes.real(), axes) for codes, axes in zip(inputs, ports["inputs"], strict=True)]
    np.savez(work / "inputs.npz", *(values.reshape(count, -1) for values in given))
    command = [
        sys.executable,
        "-m",
        "codesign.verify.hops._simulate",
        libraries[0].resolve(),
        (work / "inputs.npz").resolve(),
        (work / "outputs.npz").resolve(),
    ]
    # In the project's folder: some firmware reads its weights from files there as it starts.
    tools.run([*command, *map(str, sizes)], folder, work / "simulation.log", SIMULATION_TIMEOUT_S, tools.python_path())
    with np.load(work / "outputs.npz", allow_pickle=False) as found:
        flat = [found[name] for name in found]
    outputs: list[npt.NDArray[np.float64]] = []
    made: list[list[int]] = ports["outputs"]
    for values, own, axes in zip(flat, shapes.values(), made, strict=True):
        shape = [own[axis] for axis in axes]
        outputs.append(_permuted(values.reshape(count, *shape), [axes.index(axis) for axis in range(len(axes))]))
    return outputs, f"C++ simulation, {ports['made_for']}"


def _permuted(values: npt.NDArray[np.float64], axes: Sequence[int]) -> npt.NDArray[np.float64]:
    """Arrays ``[batch, ...]`` with the axes after the first in another order."""
    return values.transpose(0, *(axis + 1 for axis in axes))
