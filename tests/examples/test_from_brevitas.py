"""The file from Brevitas: what was read computes what Brevitas measured, and the check says what the README says."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from codesign.torch_forward import float_forward, to_tensors
from tests.builds import run
from tests.jets import loaded
from tests.load.onnx_nets import read

FOLDER = Path(__file__).parents[2] / "examples" / "from_brevitas"
FILE = FOLDER / "jet_tagger.onnx"
README = (FOLDER / "README.md").read_text()


def test_the_file_as_read_has_the_accuracy_that_brevitas_measured() -> None:
    test = loaded().dataset.split("test")
    (x,) = test.inputs
    network = read(FILE, x[:64])
    with torch.no_grad():
        values = float_forward(network.marked, to_tensors(network.marked.parameters), [torch.tensor(x)])
    right = np.mean(values[network.marked.outputs[0]].numpy().argmax(1) == test.labels)
    (measured,) = re.findall(r"\| in Brevitas, by Brevitas \| (0\.\d{4}) \|", README)
    assert f"{right:.4f}" == measured


def test_what_the_check_finds() -> None:
    outcome = run("check", str(FILE), "--json")
    assert outcome.code == 0, outcome.err
    found = [item for item in json.loads(outcome.out) if item["effect"] == "changes"]
    kinds = Counter(re.sub(r" [\d.]+$", "", item["found"]) for item in found)
    assert kinds == {"scale": 8, "a float bias": 4, "rounding ROUND": 4}
    assert {"fc1.bias", "fc1.weight", "relu1"} <= {item["where"] for item in found}  # the modules' paths
    assert all(f"{count} {what}" in README for count, what in ((8, "scales"), (4, "float biases"), (4, "quantizers")))


def test_nothing_in_the_file_is_of_a_machine() -> None:
    assert not re.search(rb"/(home|tmp|root|usr)/", FILE.read_bytes())
