"""The emulator beside hls4ml's own compiled predict, on the same integers: inferences per second on one core.

    pip install -e ".[rtl]"
    python benchmarks/emulator.py [--rounds N] [--json FILE]

The jet tagger is built by the flow hls4ml (350,000 BOPs), which compiles hls4ml's project, and `deploy.emulator` is
made of the same build. All are given the test split, 16,000 samples:

- "emulator": one call of `NAME_predict`, real numbers in and out; also with one instruction set alone;
- "emulator, one by one": `prepare_input`, `predict` and `read_result` of the class that CMS software loads;
- "hls4ml predict": `predict` of hls4ml's model, which calls its compiled function for each sample;
- "hls4ml in a C++ loop": the same function called for each sample by compiled code.

How to read the table: in every round each is run once, in turn. A rate is the median over rounds of samples by the CPU
time of the process, which other processes on the machine change less than wall time; "ratio" is the median over
rounds of the emulator's rate by that one's. "differ" counts samples with other outputs than the emulator's.
"""

import argparse
import ctypes
import json
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from codesign.capture import output_to
from codesign.deployment import deploy
from codesign.pipeline import build_file
from codesign.setting import Setting

ROOT = Path(__file__).parent.parent
Call = Callable[[np.ndarray, np.ndarray], None]
#: Calls a function for each sample.
LOOP = """
#include <cstddef>
extern "C" void network_float(float *, float *);
extern "C" void loop(float *in, float *out, std::size_t samples) {
  for (std::size_t i = 0; i < samples; ++i) network_float(in + i * INPUTS, out + i * OUTPUTS);
}
"""
#: Does what CMS software does for each sample.
ONE_BY_ONE = """
#include <any>
#include <cstddef>
#include "emulator.h"
extern "C" hls4mlEmulator::Model *create_model();
extern "C" void destroy_model(hls4mlEmulator::Model *);
extern "C" void loop(float *in, float *out, std::size_t samples) {
  hls4mlEmulator::Model *model = create_model();
  for (std::size_t i = 0; i < samples; ++i) {
    model->prepare_input(in + i * INPUTS);
    model->predict();
    model->read_result(out + i * OUTPUTS);
  }
  destroy_model(model);
}
"""


def called(library: Path, function: str) -> Call:
    """A function of real numbers ``[samples, ...]`` in a library."""
    own = ctypes.CDLL(str(library))[function]
    own.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return lambda x, out: own(x.ctypes.data, out.ctypes.data, len(x))


def looped(folder: Path, source: str, library: Path, sizes: tuple[int, int]) -> Call:
    """A loop in C++ around a library."""
    folder.mkdir()
    (folder / "loop.cpp").write_text(source)
    include = f"-I{library.parent / 'include'}"
    flags = ["-std=c++17", "-O3", "-fPIC", "-shared", include, f"-DINPUTS={sizes[0]}", f"-DOUTPUTS={sizes[1]}"]
    command = ["g++", *flags, "loop.cpp", library, f"-Wl,-rpath,{library.parent}", "-o", "loop.so"]
    subprocess.run(command, cwd=folder, check=True)
    return called(folder / "loop.so", "loop")


def by_hls4ml(project: Path, log: Path) -> Call:
    """hls4ml's own predict, on the project that it wrote, with the library that the build compiled of it (-O3)."""
    from hls4ml.converters import link_existing_project

    with output_to(log):
        model = link_existing_project(str(project))
        model._top_function_lib = ctypes.CDLL(str(project / "firmware/network.so"))

    def predict(x: np.ndarray, out: np.ndarray) -> None:
        out[:] = model.predict(x).reshape(out.shape)

    return predict


def only(emulator: Path, folder: Path, instructions: str) -> Call:
    """The emulator with one instruction set."""
    shutil.copytree(emulator, folder)
    command = ["make", "-s", "-B", "jets_v1.so", f"CXXFLAGS=-O2 -DEMULATOR_SET={instructions}"]
    subprocess.run(command, cwd=folder, check=True)
    return called(folder / "jets_v1.so", "jets_predict")


def main() -> None:
    """Build, deploy, run in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="times that each is run")
    parser.add_argument("--out", type=Path, default=Path("build/benchmark-emulator"), help="build directory")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    given = parser.parse_args()
    build_file(ROOT / "examples/jets/build.toml", given.out, flow="hls4ml")
    deploy(given.out, ["emulator"], [Setting("deploy.emulator.project", "jets", "here", ROOT, explicit=True)])
    emulator = (given.out / "emulator").resolve()
    x = np.fromfile(emulator / "test/inputs.f32", "<f4").reshape(-1, 16)
    outputs = np.fromfile(emulator / "test/outputs.i64", "<i8").size // len(x)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = Path(shutil.copytree(given.out / "hls4ml", folder / "hls4ml"))
        calls: dict[str, Call] = {
            "emulator": called(emulator / "jets_v1.so", "jets_predict"),
            "emulator, one by one": looped(folder / "one", ONE_BY_ONE, emulator / "jets_v1.so", (16, outputs)),
            "hls4ml predict": by_hls4ml(project, folder / "log"),
            "hls4ml in a C++ loop": looped(
                folder / "loop", LOOP, (given.out / "hls4ml/firmware/network.so").resolve(), (16, outputs)
            ),
        }
        cpu = Path("/proc/cpuinfo").read_text() if platform.machine() == "x86_64" else ""
        sets = {"plain": True, "avx2": "avx2" in cpu, "avx512": "avx512vl" in cpu}
        calls |= {f"emulator, {each} alone": only(emulator, folder / each, each) for each, has in sets.items() if has}
        rates: dict[str, list[float]] = {each: [] for each in calls}
        results: dict[str, np.ndarray] = {}
        for _ in range(given.rounds):
            for each, call in calls.items():
                out = np.empty((len(x), outputs), np.float32)
                start = time.process_time()
                call(x, out)
                rates[each].append(len(x) / (time.process_time() - start))
                results[each] = out
    table, rows = Table("", "inferences/s", "ratio", "differ"), list[dict[str, object]]()
    for each, found in rates.items():
        ratio = median(one / other for one, other in zip(rates["emulator"], found, strict=True))
        differ = int(np.count_nonzero((results[each] != results["emulator"]).any(1)))
        table.add_row(each, f"{median(found):,.0f}", f"{ratio:.2f}", str(differ))
        rows.append({"name": each, "rate": median(found), "ratio": ratio, "differ": differ, "rates": found})
    Console().print(table)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
