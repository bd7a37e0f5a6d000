"""Trains the jet tagger with Brevitas and exports it: `python examples/from_brevitas/train_brevitas.py`.

In an environment of its own, with ``pip install brevitas==0.13.4 onnx onnxscript onnxoptimizer qonnx``.
The quantizers are Brevitas's defaults: scales that are any floats, biases that are floats.
"""

import argparse
from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import onnx
import torch
from brevitas.export import export_qonnx
from torch import Tensor, nn

HERE = Path(__file__).parent
JETS = HERE.parent / "jets" / "lhc_jets.npz"


class QuantTagger(nn.Module):
    """The MLP 16-64-32-32-5 of ../jets, with Brevitas's default quantizers: 8 bits at the input, 6 elsewhere."""

    def __init__(self, bits: int = 6) -> None:
        super().__init__()
        self.given = qnn.QuantIdentity(bit_width=8)
        self.fc1 = qnn.QuantLinear(16, 64, bias=True, weight_bit_width=bits)
        self.relu1 = qnn.QuantReLU(bit_width=bits)
        self.fc2 = qnn.QuantLinear(64, 32, bias=True, weight_bit_width=bits)
        self.relu2 = qnn.QuantReLU(bit_width=bits)
        self.fc3 = qnn.QuantLinear(32, 32, bias=True, weight_bit_width=bits)
        self.relu3 = qnn.QuantReLU(bit_width=bits)
        self.fc4 = qnn.QuantLinear(32, 5, bias=True, weight_bit_width=bits)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[batch, 5]`` from features ``[batch, 16]``."""
        x = self.relu1(self.fc1(self.given(x)))
        x = self.relu2(self.fc2(x))
        x = self.relu3(self.fc3(x))
        return self.fc4(x)


def splits() -> list[tuple[Tensor, Tensor]]:
    """Training, validation and test as in the build files, normalized by the training split."""
    with np.load(JETS) as jets:
        x, y = jets["x"], torch.from_numpy(jets["y"].astype(np.int64))
    mean, deviation = x[:48000].mean(0, dtype=np.float64), x[:48000].std(0, dtype=np.float64)
    normal = torch.from_numpy(((x - mean) / deviation).astype(np.float32))
    return [(normal[a:b], y[a:b]) for a, b in ((0, 48000), (48000, 64000), (64000, 80000))]


@torch.no_grad()
def accuracy(model: nn.Module, inputs: Tensor, wanted: Tensor) -> float:
    """Share of jets put in their class, by Brevitas itself."""
    model.eval()
    return float((model(inputs).argmax(1) == wanted).float().mean())


def export(model: nn.Module, inputs: Tensor, path: Path) -> None:
    """Write QONNX in one file, without the stack traces that the exporter leaves at every node."""
    export_qonnx(model, args=inputs, export_path=str(path))
    written = onnx.load(path)
    for node in written.graph.node:
        kept = [item for item in node.metadata_props if item.key != "pkg.torch.onnx.stack_trace"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(written, path)
    Path(f"{path}.data").unlink(missing_ok=True)  # the weights are in the file now


def main() -> None:
    """Train with Adam on a cosine, measure, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "jet_tagger.onnx")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--bits", type=int, default=6)
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    (x, y), validation, test = splits()
    model = QuantTagger(options.bits)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    for epoch in range(options.epochs):
        model.train()
        for rows in torch.randperm(len(y)).split(512):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        schedule.step()
        print(f"epoch {epoch + 1}: validation {accuracy(model, *validation):.4f}", flush=True)
    print(f"test accuracy in Brevitas: {accuracy(model, *test):.4f}")
    export(model, x[:1], options.out)


if __name__ == "__main__":
    main()
