"""What transpile.rtl makes."""

from pathlib import Path
from time import perf_counter

import numpy as np

from codesign.hdl.circuit import trace_network
from codesign.hdl.unrolled import write_unrolled
from codesign.quantized import Quantized
from rtl_peers import Ints, Made


def by_codesign(quantized: Quantized, codes: Ints, levels: int, folder: Path) -> Made:
    """Trace, write, play on alkaid's interpreter."""
    begin = perf_counter()
    circuit = trace_network(quantized)
    written = write_unrolled(circuit, quantized.graph, "network", 5.0, levels, folder)
    seconds = perf_counter() - begin
    (output,) = circuit.outputs.values()
    outputs = circuit.logic.predict(codes.astype(np.float64), n_threads=1) * 2.0 ** -float(output.fraction)
    return Made("network", written.stages, outputs, seconds)
