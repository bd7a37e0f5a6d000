"""What alkaid makes of a torch module by itself."""

from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from codesign.fixed import Fixed
from codesign.hdl.alkaid import FVArray, HWConfig, RTLModel, static_files, trace, write_modules
from rtl_peers import Ints, Made, Mlp


class Cut(nn.Module):
    """ReLU, and what is behind the last bit dropped."""

    def __init__(self, fixed: Fixed) -> None:
        super().__init__()
        self.scale = 2.0 ** int(fixed.fraction)
        self.high = float(fixed.high) / self.scale

    def forward(self, x: Tensor) -> Tensor:
        """Numbers of the format."""
        return torch.clamp(torch.floor(x * self.scale) * (1 / self.scale), 0.0, self.high)


def by_alkaid(mlp: Mlp, codes: Ints, levels: int, folder: Path) -> Made:
    """Trace the module, write, play on alkaid's interpreter."""
    layers: list[nn.Module] = []
    for index, (weight, bias) in enumerate(zip(mlp.weights, mlp.biases, strict=True)):
        linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.as_tensor(weight))
            linear.bias.copy_(torch.as_tensor(bias))
        layers += [linear, Cut(mlp.formats[index + 1])] if index + 1 < len(mlp.formats) else [linear]
    tracer: Any = import_module("alkaid.converter")
    fixed = mlp.formats[0]
    signed, fraction = bool(fixed.signed), int(fixed.fraction)
    kif = (np.full(mlp.inputs, each) for each in (signed, int(fixed.integer) - signed, fraction))
    begin = perf_counter()
    config, options = HWConfig(1, -1, -1), {"hard_dc": 2}
    given = FVArray.from_kif(*kif, config, 0.0, options)
    _, made = tracer.trace_model(nn.Sequential(*layers), config, options, inputs=(given[None],))
    logic = trace(given, made, keep_dead_inputs=True)
    machine = RTLModel(logic, folder, "network", latency_cutoff=levels, clock_period=5.0).fsm
    for source in static_files("verilog"):
        (folder / source.name).write_bytes(source.read_bytes())
    for name, code in write_modules(machine, "network", "verilog", "network").items():
        (folder / f"{name}.v").write_text(code)
    seconds = perf_counter() - begin
    (outputs,) = machine.out_signals
    return Made("network", outputs.schedule.bias, logic.predict(codes * 2.0**-fraction, n_threads=1), seconds)
