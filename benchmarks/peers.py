"""Accuracy against logic: `finetune.per_weight` beside HGQ2 and uniform bits, with the same data, seconds and core.

    python -m venv HGQ && HGQ/bin/pip install hgq2==0.2.0 alkaid==0.8.2 jax==0.10.2
    pip install -e ".[rtl,generate]"
    python examples/jets/generate.py --jets 40000 --seed 2 --out build/jets-test.npz
    python benchmarks/peers.py --hgq HGQ/bin/python --test build/jets-test.npz [--seconds 300] [--seeds 0 1 2]

Rows 0 to 63,999 of the example's jets train, the rest of it are the validation samples, and the other file is the test
sample, which is used for nothing but the last column. Each maker trains for as long on one core, each seed by itself,
compilation apart, and gives a front: of each step of its own cost, the network that is best on the validation samples,
by loss (codesign) or accuracy (HGQ2, as in its own example). All are made into Verilog and counted by the same alkaid
and the same Yosys. What is there already is not made again.

How to read the tables: "LUT" is synthesized, for UltraScale+, or with `--estimated` alkaid's estimate; accuracies are
simulated, by alkaid's interpreter, on the test sample. Between points of a seed, accuracy is interpolated over the
logarithm of LUTs; figures are means of seeds.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from peers_makers.curves import comparison, drawn, pace
from peers_makers.gates import counted, estimated
from rich.console import Console

HERE = Path(__file__).parent
JETS, TRAINING = HERE.parent / "examples/jets/lhc_jets.npz", 64_000


@dataclass(frozen=True)
class Maker:
    """A way to make a front.

    Args:
        program: The maker's file.
        environment: What is set for it.
        rate: Step size; None for its own.
    """

    program: str
    environment: tuple[tuple[str, str], ...] = ()
    rate: float | None = None

    def command(self, python: Path, data: Path, out: Path, seconds: float, seed: int) -> list[str]:
        """How it is called."""
        rate = [] if self.rate is None else [str(self.rate)]
        arguments = [str(data), str(out), str(seconds), str(seed), *rate]
        return [str(python), str(HERE / f"peers_makers/{self.program}.py"), *arguments]


MAKERS = {
    "codesign": Maker("per_weight"),
    "HGQ2 published": Maker("hgq_program", (("FIXED", "1"),)),
    "HGQ2 tuned": Maker("hgq_program"),
    "uniform": Maker("uniform"),
    "codesign, plain start": Maker("per_weight", (("START", "plain"),)),
    "codesign, curvature start": Maker("per_weight", (("START", "curvature"),)),
    "codesign, EBOPs": Maker("per_weight", (("COST", "counted_ebops"),)),
    **{f"HGQ2, rate {rate}": Maker("hgq_program", rate=rate) for rate in (0.002, 0.01)},
}


def joined(test: Path, out: Path) -> Path:
    """One file for all makers: normalized inputs, labels, where splits end."""
    known, new = np.load(JETS), np.load(test)
    x = np.concatenate([known["x"], new["x"]])
    mean, scale = x[:TRAINING].mean(0), x[:TRAINING].std(0)
    rows = np.array([TRAINING, len(known["x"]), len(x)])
    path = out / "jets.npz"
    if path.exists() and not np.array_equal(np.load(path)["x"], ((x - mean) / scale).astype(np.float32)):
        sys.exit(f"{out}: what is there was made with other jets; take another --out")
    np.savez(path, x=((x - mean) / scale).astype(np.float32), y=np.concatenate([known["y"], new["y"]]), rows=rows)
    return path


def made(name: str, seed: int, given: argparse.Namespace, data: Path, cores: "SimpleQueue[int]") -> Path:
    """The folder of a maker's front, made on a core that nothing else uses."""
    out: Path = given.out / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}-{given.seconds:g}s"
    if (out / "points.json").exists():
        return out
    maker = MAKERS[name]
    python = given.hgq if maker.program == "hgq_program" else Path(sys.executable)
    core = cores.get()
    try:
        command = maker.command(python, data, out, given.seconds, seed)
        settings = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **dict(maker.environment)}
        with (given.out / f"{out.name}.log").open("w") as log:
            pinned = ["taskset", "--cpu-list", str(core), *command]
            subprocess.run(pinned, env=os.environ | settings, stdout=log, stderr=log, check=True)
    finally:
        cores.put(core)
    print(f"{name}, seed {seed}: done", flush=True)
    return out


def main() -> None:
    """Train, synthesize, compare, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hgq", type=Path, help="Python that has HGQ2; without it HGQ2 is left out")
    parser.add_argument("--test", type=Path, required=True, help="jets that were never looked at")
    parser.add_argument("--seconds", type=float, default=300.0, help="of training")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--makers", nargs="*", default=list(MAKERS)[:4], choices=list(MAKERS), help="which")
    parser.add_argument("--estimated", action="store_true", help="LUTs by alkaid's estimate: nothing is synthesized")
    parser.add_argument("--out", type=Path, default=Path("build/benchmark-peers"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at once, each on a core")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    data = joined(given.test, given.out)
    names = [name for name in given.makers if given.hgq or MAKERS[name].program != "hgq_program"]
    cores: SimpleQueue[int] = SimpleQueue()
    for core in range(given.jobs):
        cores.put(core)
    runs = [(seed, name) for seed in given.seeds for name in names]
    with ThreadPoolExecutor(given.jobs) as pool:
        folders = list(pool.map(lambda run: made(run[1], run[0], given, data, cores), runs))
        rows = list(pool.map(estimated if given.estimated else counted, folders))
    fronts: dict[str, list[list[dict[str, float]]]] = {name: [] for name in names}
    for (_, name), each in zip(runs, rows, strict=True):
        fronts[name].append(each)
    said: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for (_, name), folder in zip(runs, folders, strict=True):
        said[name].append(json.loads((folder / "points.json").read_text()))
    for table in (*comparison(fronts), pace(said)):
        Console(width=160).print(table)
    drawn(fronts, given.out / "peers.svg", "estimated by alkaid" if given.estimated else "synthesized by Yosys")


if __name__ == "__main__":
    main()
