"""da4ml's arrays on the layers of ``FOLDER/mlp.npz``: Verilog goes into the folder, and ``made.npz``.

Run by a Python that has da4ml, and no codesign: ``da4ml_program.py FOLDER LEVELS``.
"""

import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np


def main() -> None:
    """Trace, cut into stages, write, play on da4ml's interpreter."""
    arrays: Any = import_module("da4ml.trace")
    model: Any = import_module("da4ml.codegen").RTLModel
    folder, levels = Path(sys.argv[1]), int(sys.argv[2])
    found = np.load(folder / "mlp.npz")
    kif = found["kif"]
    count = found["weight0"].shape[1]
    begin = perf_counter()
    bits = (np.full(count, each) for each in kif[0])
    given = arrays.FixedVariableArray.from_kif(*bits, arrays.HWConfig(1, -1, -1), 0.0, {"hard_dc": 2})
    x = given
    for index in range(len(kif)):
        x = x @ found[f"weight{index}"].T + found[f"bias{index}"]
        if index + 1 < len(kif):
            x = x.relu(f=np.int64(kif[index + 1][2])).quantize(*kif[index + 1], overflow_mode="SAT")
    logic = arrays.comb_trace(given, x, keep_dead_inputs=True)
    pipeline = arrays.to_pipeline(logic, levels, verbose=False)
    model(pipeline, "network", folder).write()
    seconds = perf_counter() - begin
    outputs = logic.predict(found["codes"] * 2.0 ** -float(kif[0][2]))
    np.savez(folder / "made.npz", stages=len(pipeline.solutions), outputs=outputs, seconds=seconds)


if __name__ == "__main__":
    main()
