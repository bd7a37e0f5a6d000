"""An ONNX file for given data: the network in its final form, proven to compute what the file does."""

import numpy as np
import torch

from codesign.design import Dataset
from codesign.errors import InputError
from codesign.load._conversion import FLIPS, SAMPLES, difference, samples
from codesign.load.onnx_files.ends import network_inputs, network_output
from codesign.load.onnx_files.file import OnnxFile
from codesign.load.onnx_files.importer import Importer
from codesign.load.onnx_files.reference import reference_outputs
from codesign.load.onnx_files.settle import Settled, settle, without_offsets
from codesign.ops.softmax import Tables

#: onnx's reference, which runs files with quantizers, is slow.
QUANTIZED_SAMPLES = 32


def network_from_file(file: OnnxFile, dataset: Dataset, output: str = "", softmax: Tables = "none") -> Settled:
    """The network of a file.

    Args:
        file: The file.
        dataset: The data that it is for.
        output: The tensor with the logits; nothing for the only output.
        softmax: Which softmax is made of lookup tables.

    Raises:
        InputError: The file can't be converted, doesn't fit the data, or computes something else than was read.
    """
    end = network_output(file, output)
    graph, layers = Importer(file, network_inputs(file, [x.shape[1:] for x in dataset.inputs]), end).run()
    settled = settle(graph, layers, softmax)
    inputs = samples(dataset, QUANTIZED_SAMPLES if settled.quantizers else SAMPLES)
    wanted = torch.tensor(np.asarray(reference_outputs(file, end, [x.numpy() for x in inputs]), np.float32))
    largest = difference(settled.marked, inputs, wanted, FLIPS if settled.quantizers else 0.0)
    if largest is not None:
        found = f"computes something else than was read from it: outputs differ by up to {largest:.3g}"
        raise InputError(str(file.path), found, "the network that it describes", "please report it, with the file")
    return without_offsets(settled)
