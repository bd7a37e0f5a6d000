"""What a network computes in our arithmetic, beside what it computes with the quantizers that it came with."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from codesign.calibrate import even_rows
from codesign.design import Design
from codesign.fixed import Fixed
from codesign.given import Quantizer
from codesign.graph import Graph, Node
from codesign.network import QuantizedNetwork, file_offsets
from codesign.torch_forward import role_tensors, threads, to_tensors

#: Most samples that are compared.
SAMPLES = 512


def effects(design: Design, formats: Mapping[str, Fixed], samples: int) -> list[str]:
    """For each layer, how far its output is from the file's; one line if none differs.

    Args:
        design: Graph, data, and the quantizers that came with the graph.
        formats: Of all weights and activations.
        samples: Training samples to look at, at most.
    """
    graph, train = design.graph, design.dataset.split("train")
    rows = even_rows(len(train), min(samples, SAMPLES))
    inputs = [torch.tensor(x[rows], dtype=torch.float64) for x in train.inputs]
    network = QuantizedNetwork(graph, formats)
    with torch.no_grad(), threads(1):
        on_grid = network.quantized_parameters(to_tensors(graph.parameters))
        ours = network.tensors({n: x.double() for n, x in on_grid.items()}, network.quantized_inputs(inputs))
        given = _as_given(graph, design.given, network, inputs)
    where = {node.name: network.carried.get(node.name, node.output) for node in graph.weighted()}
    errors = {name: _relative(ours[tensor], given[tensor]) for name, tensor in where.items()}
    count = f"on {len(rows)} training samples"
    if not any(errors.values()):
        return [f"quantizers of the file: every layer gives the same numbers as there, {count}"]
    one, other = (values[graph.outputs[0]].argmax(-1) for values in (ours, given))
    lines = [
        f"{name}: output differs from the file's by {error:.2g} of its size (rms)" for name, error in errors.items()
    ]
    if down := [name for name, quantizer in design.given.items() if _rounds_down(name, quantizer, network)]:
        lines.append(f"rounded down here, to nearest in the file: {', '.join(down)}")
    return [*lines, f"quantizers of the file: another class for {int((one != other).sum())} of {len(rows)}, {count}"]


def _rounds_down(name: str, quantizer: Quantizer, network: QuantizedNetwork) -> bool:
    """Whether an activation that the file rounds otherwise has no bias before it that could take half a step."""
    activation = name not in network.graph.parameters
    return activation and quantizer.rounding != "FLOOR" and name not in network.carried.values()


def _as_given(
    graph: Graph, given: Mapping[str, Quantizer], network: QuantizedNetwork, inputs: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Every tensor with the file's own quantizers."""
    parameters = {name: np.asarray(value, np.float64) for name, value in graph.parameters.items()}
    for bias, half in file_offsets(network, given).items():  # which loading took off
        parameters[bias] = parameters[bias] + half
    tensors = {name: torch.tensor(value) for name, value in parameters.items()}

    def quantized(name: str, value: Tensor) -> Tensor:
        return torch.tensor(given[name].applied(value.numpy())) if name in given else value

    def step(node: Node, values: list[Tensor]) -> Tensor:
        return quantized(node.output, node.op.forward(values, role_tensors(node, tensors)))

    starts = {name: quantized(name, x) for name, x in zip(graph.inputs, inputs, strict=True)}
    return graph.run(starts, step)


def _relative(found: Tensor, wanted: Tensor) -> float:
    """Root mean square of the difference, as a share of that of what is wanted."""
    size = float(wanted.square().mean().sqrt())
    return float((found - wanted).square().mean().sqrt()) / (size or 1.0)
