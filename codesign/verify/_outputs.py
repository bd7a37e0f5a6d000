"""What the float network and the integers give for the test split."""

import numpy as np
import numpy.typing as npt

from codesign.design import Design
from codesign.separation import Network


def both(design: Design) -> dict[Network, npt.NDArray[np.float64]]:
    """Outputs ``[samples, outputs]`` of the ``float`` network and of the ``quantized`` one, as real numbers."""
    import torch

    from codesign.torch_forward import float_forward, split_tensors, threads, to_tensors

    test = design.dataset.split("test")
    inputs, _ = split_tensors(test)
    with torch.no_grad(), threads(1):
        values = float_forward(design.graph, to_tensors(design.graph.parameters), inputs)
    exact = design.quantized.outputs(test.inputs)[0]
    return {
        "float": values[design.graph.outputs[0]].double().numpy(),
        "quantized": exact.real(),
    }
