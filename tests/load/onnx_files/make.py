"""Makes the files of this folder, with tools that codesign does not depend on.

In an environment of its own::

    pip install torch==2.13.0 onnx==1.22.0 onnxscript onnxruntime qonnx skl2onnx brevitas onnxoptimizer
    python tests/load/onnx_files/make.py

Beside each ``NAME.onnx`` is ``NAME.npz``: inputs ``x``, and outputs ``y`` by the tool itself.
"""

from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.export import export_onnx_qcdq, export_qonnx
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8WeightPerTensorFixedPoint,
    SignedBinaryWeightPerTensorConst,
    Uint8ActPerTensorFixedPoint,
)
from brevitas.quant import Int8BiasPerTensorFixedPointInternalScaling as FixedPointBias
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier
from torch import Tensor, nn

HERE = Path(__file__).parent


def data(count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Points around three centres: ``[count, 6]`` and labels."""
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, count)
    return (random.normal(size=(3, 6))[labels] + random.normal(size=(count, 6))).astype(np.float32), labels


def images(count: int = 64) -> np.ndarray:
    """``[count, 1, 8, 8]``."""
    return np.random.default_rng(4).normal(size=(count, 1, 8, 8)).astype(np.float32)


def save(name: str, x: np.ndarray, y: np.ndarray) -> None:
    """The numbers beside a file."""
    np.savez_compressed(HERE / f"{name}.npz", x=x[:64], y=y[:64])


def sklearn_mlp() -> None:
    """A trained classifier; its probabilities are the second output."""
    x, labels = data()
    model = MLPClassifier((8, 5), max_iter=200, random_state=0).fit(x, labels)
    (HERE / "sklearn_mlp.onnx").write_bytes(to_onnx(model, x[:1], options={"zipmap": False}).SerializeToString())
    save("sklearn_mlp", x, model.predict_proba(x[:64]).astype(np.float32))


class Quantized(nn.Module):
    """A network of Brevitas layers, trained for a few steps so that its scales are those of data."""

    def __init__(self, fixed_point: bool) -> None:
        super().__init__()
        act = Uint8ActPerTensorFixedPoint if fixed_point else None
        weight = Int8WeightPerTensorFixedPoint if fixed_point else None
        more = {"weight_quant": weight} if weight else {}
        given = {"act_quant": Int8ActPerTensorFixedPoint} if fixed_point else {}
        self.given = qnn.QuantIdentity(bit_width=8, return_quant_tensor=True, **given)
        bias = {"bias_quant": FixedPointBias} if fixed_point else {}
        self.fc1 = qnn.QuantLinear(6, 12, bias=True, weight_bit_width=4, return_quant_tensor=True, **more, **bias)
        self.relu1 = qnn.QuantReLU(bit_width=5, return_quant_tensor=True, **({"act_quant": act} if act else {}))
        self.fc2 = qnn.QuantLinear(12, 3, bias=True, weight_bit_width=5, **more, **bias)

    def forward(self, x: Tensor) -> Tensor:
        out = self.fc2(self.relu1(self.fc1(self.given(x))))
        return out if isinstance(out, Tensor) else out.value


class Convolutional(nn.Module):
    """Convolution with scales per channel, batch norm, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.given = qnn.QuantIdentity(bit_width=8, return_quant_tensor=True)
        per_channel = {"weight_scaling_per_output_channel": True}
        self.conv = qnn.QuantConv2d(1, 4, 3, padding=1, bias=False, weight_bit_width=4, **per_channel)
        self.norm = nn.BatchNorm2d(4)
        self.relu = qnn.QuantReLU(bit_width=4)
        self.pool = nn.MaxPool2d(2)
        self.fc = qnn.QuantLinear(64, 3, bias=True, weight_bit_width=4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.pool(self.relu(self.norm(self.conv(self.given(x))))), 1))


class Binary(nn.Module):
    """Weights of one bit."""

    def __init__(self) -> None:
        super().__init__()
        self.given = qnn.QuantIdentity(bit_width=8)
        self.fc1 = qnn.QuantLinear(6, 12, bias=False, weight_quant=SignedBinaryWeightPerTensorConst)
        self.relu1 = qnn.QuantReLU(bit_width=4)
        self.fc2 = qnn.QuantLinear(12, 3, bias=True, weight_bit_width=4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.relu1(self.fc1(self.given(x))))


def brevitas(name: str, module: nn.Module, x: np.ndarray, labels: np.ndarray, export: object) -> None:
    """Train shortly and export."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    inputs, wanted = torch.from_numpy(x), torch.from_numpy(labels)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs), wanted).backward()
        optimizer.step()
    module.eval()
    with torch.no_grad():
        y = module(inputs[:64]).numpy()
    export(module, args=inputs[:1], export_path=str(HERE / f"{name}.onnx"))  # type: ignore[operator]
    save(name, x, y)


def main() -> None:
    """Make them all."""
    sklearn_mlp()
    x, labels = data()
    for name, fixed_point, export in (
        ("brevitas_qonnx", False, export_qonnx),
        ("brevitas_fixed_point", True, export_qonnx),
        ("brevitas_qcdq", False, export_onnx_qcdq),
    ):
        torch.manual_seed(1)
        brevitas(name, Quantized(fixed_point), x, labels, export)
    torch.manual_seed(2)
    brevitas("brevitas_conv", Convolutional(), images(600), labels, export_qonnx)
    torch.manual_seed(3)
    brevitas("brevitas_binary", Binary(), x, labels, export_qonnx)


if __name__ == "__main__":
    main()
