"""Writes the jet tagger of ../jets as an ONNX file, ``jet_tagger.onnx``, as it might come from elsewhere."""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

HERE = Path(__file__).parent
JETS = HERE.parent / "jets"
sys.path.insert(0, str(JETS))

from model import JetTagger  # noqa: E402  (the folder's own)


def main() -> None:
    """Load, export."""
    network = JetTagger()
    network.load_state_dict(load_file(JETS / "jet_tagger.safetensors"))
    network.eval()
    path = HERE / "jet_tagger.onnx"
    # The newer exporter (dynamo=True) does as well; it needs the package onnxscript.
    torch.onnx.export(network, (torch.zeros(1, 16),), str(path), input_names=["x"], output_names=["y"], dynamo=False)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
