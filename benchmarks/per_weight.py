"""Fronts of the examples' networks with bits for every weight, beside the same bits for all.

    pip install -e ".[benchmarks]"
    python benchmarks/per_weight.py [digits jet_constituents] [--steps N] [--bits B ...] [--epochs N]

The flow `per_weight` trains once and leaves a front. Beside it, `finetune.qat` trains the example's network with as
many bits for every weight and every activation, once for each number of bits: for epochs of which each training took
0.6 to 1.3 times as long as the front's, or as --epochs says. Everything else is the build file's.

How to read the table: LUTs are estimated, by `estimate.resources`, whose error is not known for convolutions;
accuracies are simulated, of integers, on the test split, which chose nothing. Points of the front are of those that
have less loss on the validation split than all that cost less. "seconds" are of training, in this run; "-" where it
was taken from the cache.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from codesign.console import Watcher
from codesign.design import Dataset, Design
from codesign.directory import CACHE
from codesign.estimate.model.hardware import estimate_layers
from codesign.finetune._points import Points
from codesign.pipeline import build_file
from codesign.quantized import Quantized
from codesign.setting import Setting
from codesign.store import Store

ROOT = Path(__file__).parent.parent
#: Options of `finetune.per_weight`, by example.
OPTIONS: Mapping[str, Mapping[str, object]] = {"digits": {"batch": 64}, "jet_constituents": {"batch": 512}}
#: Epochs of `finetune.qat`, by example: of the order of 40,000 steps of `finetune.per_weight` in seconds.
EPOCHS: Mapping[str, int] = {"digits": 2400, "jet_constituents": 350}
#: More than any network has: nothing is held to it.
FREE = 1e12
#: Most points of a front that are shown.
SHOWN = 10
HEADS = ("bits", "LUT (estimated)", "accuracy (simulated)", "seconds")
TRAINING = ("finetune.per_weight", "finetune.qat")


def built(example: str, out: Path, flow: str, options: Mapping[str, object]) -> tuple[Design, str]:
    """A build up to its integers, and the seconds that training took."""
    watcher = Watcher(Console(stderr=True))
    settings = [Setting(key, value, "benchmark", ROOT, explicit=True) for key, value in options.items()]
    try:
        path = ROOT / f"examples/{example}/build.toml"
        result = build_file(path, out, flow=flow, set_options=settings, until="finetune", observer=watcher)
    finally:
        watcher.stop()
    (run,) = (each for each in result.passes if each.name in TRAINING)
    return result.design, f"{run.seconds:.0f}" if run.status == "ran" else "-"


def front(example: str, out: Path, steps: int) -> Iterator[tuple[str, Quantized, Dataset, str]]:
    """The best points of the front."""
    own = {f"finetune.per_weight.{key}": value for key, value in OPTIONS[example].items()}
    design, seconds = built(example, out, "per_weight", {**own, "finetune.per_weight.steps": steps})
    content = Store(out / CACHE).path(design.artifacts["per_weight"].digest).read_bytes()
    points, least, best = Points.load(content, design), np.inf, list[int]()
    for index, point in enumerate(points.points):
        if point.loss < least:
            least = point.loss
            best.append(index)
    for place in np.unique(np.linspace(0, len(best) - 1, SHOWN).round().astype(int)):
        yield "every weight its own", points.integers(best[place])[0], design.dataset, seconds


def uniform(example: str, out: Path, bits: int, epochs: int) -> tuple[str, Quantized, Dataset, str]:
    """The network with as many bits for all."""
    options = {
        "allocate.weight_bits": [bits, bits],
        "allocate.activation_bits": [bits, bits],
        "allocate.activation_offset": 0,
        "allocate.budgets.weight_bits": FREE,
        "finetune.qat.epochs": epochs,
    }
    design, seconds = built(example, out, "qonnx", options)
    return f"{bits} for all", design.quantized, design.dataset, seconds


def row(bits: str, quantized: Quantized, dataset: Dataset, seconds: str) -> list[str]:
    """A line of the table."""
    test = dataset.split("test")
    (codes,) = quantized.outputs(test.inputs)
    accuracy = (codes.values.reshape(len(test), -1).argmax(1) == test.labels).mean()
    return [bits, f"{sum(estimate_layers(quantized).values()):,.0f}", f"{accuracy:.4f}", seconds]


def main() -> None:
    """Build, print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", nargs="*", default=list(OPTIONS), help="which")
    parser.add_argument("--steps", type=int, default=40_000, help="of training, for the front")
    parser.add_argument("--bits", type=int, nargs="*", default=[2, 3, 4, 5, 6], help="for all")
    parser.add_argument("--epochs", type=int, help="of the same bits for all")
    parser.add_argument("--out", type=Path, default=Path("build/benchmark-per-weight"), help="build directories")
    given = parser.parse_args()
    for example in given.examples:
        folder = given.out / example
        epochs = given.epochs or EPOCHS[example]
        others = (uniform(example, folder, bits, epochs) for bits in given.bits)
        found = [*front(example, folder, given.steps), *others]
        table = Table(*HEADS, title=example)
        rows = [row(*each) for each in found]
        for each in rows:
            table.add_row(*each)
        Console(stderr=True).print(table)
        print("\n".join("| " + " | ".join(each) + " |" for each in (HEADS, ["---"] * len(HEADS), *rows)), "\n")


if __name__ == "__main__":
    main()
