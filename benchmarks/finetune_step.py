"""Time of a fine-tuning step of the jet tagger, beside a plain float training step, in one run.

python benchmarks/finetune_step.py [--json FILE]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from codesign.allocate.pareto import Pareto
from codesign.design import Design
from codesign.finetune._train import Batches, Recipe, _begin, _step
from codesign.fixed import Fixed
from codesign.load.npz import Npz
from codesign.load.torch import Torch
from codesign.network import QuantizedNetwork
from codesign.sensitivity.hessian_trace import HessianTrace
from codesign.starting import Starting
from codesign.torch_forward import float_forward, split_tensors, to_tensors

JETS = Path(__file__).parent.parent / "examples" / "jets"
BATCH = 512


def starting_formats(design: Design) -> dict[str, Fixed]:
    """The formats that fine-tuning starts from."""
    start = Starting.of(design, 4096)
    return {name: start.format(name, width)[0] for name, width in design.allocation.point.bits.items()}


def median_ms(step: Callable[[], None], repeats: int = 300) -> float:
    """Median time of a step in milliseconds, after 50 to warm up."""
    times: list[float] = []
    for index in range(repeats + 50):
        begin = time.perf_counter()
        step()
        if index >= 50:
            times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3


def main() -> None:
    """Measure both, interleaved, three times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    npz = Npz(JETS / "lhc_jets.npz", (0, 48000), (48000, 64000), (64000, 80000), normalize="standard")
    design = Torch(JETS / "model.py", "JetTagger", JETS / "jet_tagger.safetensors")(npz(Design({})))
    design = Pareto(350_000)(HessianTrace()(design))
    network = QuantizedNetwork(design.graph, starting_formats(design))
    inputs, labels = split_tensors(design.dataset.split("train"))
    inputs, labels = tuple(x[:BATCH] for x in inputs), labels[:BATCH]
    state = _begin(to_tensors(design.graph.parameters), Recipe(1, BATCH, 1e-3, 0.0, 0))
    batch = Batches(network.quantized_inputs(inputs), labels)
    floats = {name: value.requires_grad_() for name, value in to_tensors(design.graph.parameters).items()}
    adam = torch.optim.Adam(list(floats.values()), lr=1e-3, fused=True)

    def float_step() -> None:
        loss = functional.cross_entropy(float_forward(design.graph, floats, inputs)[design.graph.outputs[0]], labels)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    rounds = [(median_ms(lambda: _step(network, state, batch)), median_ms(float_step)) for _ in range(3)]
    result = {
        "batch": BATCH,
        "quantized_ms": statistics.median(quantized for quantized, _ in rounds),
        "float_ms": statistics.median(plain for _, plain in rounds),
        "ratio": statistics.median(quantized / plain for quantized, plain in rounds),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
