"""What every maker is given and gives back; numpy alone, as HGQ2 has a Python of its own.

A maker is a program: ``MAKER.py DATA OUT SECONDS SEED [LEARNING_RATE]``. ``DATA`` is an npz file: ``x`` float32
``[samples, 16]``, normalized; ``y`` labels; ``rows``, the ends of the training, validation and test samples.
``OUT`` is a folder for a JSON file of alkaid's logic for each point, and for ``points.json``.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

#: Own costs at which points are looked for: one between each pair of neighbours.
GRID = np.geomspace(200, 16_000, 15)


@dataclass(frozen=True)
class Given:
    """The arguments of a maker, and the samples.

    Args:
        out: Where points go.
        seconds: How long to train.
        seed: For all that is random.
        rate: A step size instead of the maker's own; None for that.
        x: Inputs of the training, validation and test samples.
        y: Their labels.
    """

    out: Path
    seconds: float
    seed: int
    rate: float | None
    x: tuple[npt.NDArray[np.float32], ...]
    y: tuple[npt.NDArray[np.int64], ...]

    @classmethod
    def read(cls) -> "Given":
        """From the command line."""
        data, out, seconds, seed, *rest = sys.argv[1:]
        found = np.load(data)
        ends = found["rows"][:-1]
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        return cls(
            folder, float(seconds), int(seed), float(rest[0]) if rest else None,
            tuple(np.split(found["x"], ends)), tuple(np.split(found["y"].astype(np.int64), ends)),
        )  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A point of a front.

    Args:
        file: Alkaid's logic, in the maker's folder.
        own: What the maker's own cost of it is.
        alkaid: Alkaid's cost.
        validation, test: Share of the samples that the logic, run by alkaid's interpreter, puts in the right class.
    """

    file: str
    own: float
    alkaid: float
    validation: float
    test: float


def spread(costs: Sequence[float], losses: Sequence[float]) -> list[int]:
    """Places of the points that are synthesized: of each step of the grid the best on the validation samples."""
    steps = np.digitize(costs, GRID)
    found: dict[int, int] = {}
    for place, step in enumerate(steps.tolist()):
        if 0 < step < len(GRID) and (step not in found or losses[place] < losses[found[step]]):
            found[step] = place
    return [found[step] for step in sorted(found)]


def judged(logic: Any, words: Callable[[npt.NDArray[np.float32]], Any], given: Given, own: float, name: str) -> Made:
    """Save a network's logic, and run it on the samples that did not train it.

    Args:
        logic: Alkaid's.
        words: Of samples, what the logic takes.
        given: Folder and samples.
        own: What the maker's own cost of it is.
        name: Of the point.
    """
    logic.save(given.out / f"{name}.json.gz")
    right = [
        float((logic.predict(np.asarray(words(x), np.float64), n_threads=1).argmax(1) == y).mean())
        for x, y in zip(given.x[1:], given.y[1:], strict=True)
    ]
    return Made(f"{name}.json.gz", own, float(logic.cost), *right)


def finish(given: Given, made: Iterable[Made], steps: int, seconds: float) -> None:
    """Say what was made, last: a run without this file is made anew.

    Args:
        given: Where to.
        made: The points.
        steps: Steps of training that led to them.
        seconds: That these took, validation included.
    """
    points = [asdict(each) for each in made]
    about = {"steps": steps, "seconds": seconds, "ended": time.time(), "points": points}
    (given.out / "points.json").write_text(json.dumps(about, indent=1))
