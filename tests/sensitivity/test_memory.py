"""A million samples in little memory."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from codesign.sensitivity.hessian_trace import HessianTrace
from tests.jets import loaded
from tests.sensitivity.networks import found

SAMPLES = 1_000_000
SCRIPT = """
import json, sys
import numpy as np
from codesign.design import Dataset, Design
from codesign.sensitivity.hessian_trace import HessianTrace
from tests.jets import loaded

def memory(name):
    # Of this program alone: getrusage also knows the peak of the process that started it.
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))

folder, samples = sys.argv[1], int(sys.argv[2])
graph = loaded().graph
few = Dataset((loaded().dataset.inputs[0][:64],), loaded().dataset.labels[:64], {"train": (0, 64)})
HessianTrace()(Design({"graph": graph, "dataset": few}))  # everything is imported
x, y = (np.load(f"{folder}/{name}.npy", mmap_mode="r") for name in "xy")
design = Design({"graph": graph, "dataset": Dataset((x,), y, {"train": (0, samples)})})
before = memory("VmRSS")
found = HessianTrace(samples, granularity="element")(design).sensitivity["hessian_trace"]
scores = {name: score.value for name, score in found.scores.items()}
print(json.dumps([before, memory("VmHWM"), found.samples, scores]))
"""


def test_a_million_samples_in_less_than_a_gigabyte(tmp_path: Path) -> None:
    design = loaded()
    train = design.dataset.split("train")
    for name, source, shape in (("x", train.inputs[0], (SAMPLES, 16)), ("y", train.labels, (SAMPLES,))):
        array = np.lib.format.open_memmap(tmp_path / f"{name}.npy", "w+", source.dtype, shape)
        for start in range(0, SAMPLES, len(source)):
            array[start : start + len(source)] = source[: SAMPLES - start]
        array.flush()
    del array
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(SAMPLES)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert ran.returncode == 0, ran.stderr
    before, peak, samples, scores = json.loads(ran.stdout)
    assert samples == SAMPLES
    assert peak - before < 2**30
    whole = found(HessianTrace(len(train)), design)
    for name, value in scores.items():  # the same jets over and over
        assert value == pytest.approx(whole.scores[name].value, rel=0.01)
