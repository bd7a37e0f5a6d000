"""Saving a run, and finding it again after a kill."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open
from safetensors.torch import save as dump
from torch import Tensor

from codesign.finetune._front import Trial, Trials
from codesign.finetune._step import State
from codesign.store import write_whole

if TYPE_CHECKING:
    from codesign.finetune._anneal import Run


def save(run: "Run", path: Path) -> None:
    """Write a run's state, whole or not at all."""
    tensors = {f"state.{key}": value for key, value in run.state._asdict().items()}
    numbers: dict[str, Any] = {"step": run.step, "elapsed": run.elapsed}
    named = {f"best.{place}": trial for place, (_, trial) in run.trials.best.items()}
    named |= {f"last.{index}": trial for index, trial in enumerate(run.trials.last)}
    for name, trial in named.items():
        tensors |= {f"{name}.vector": trial.vector, f"{name}.square": trial.square}
    numbers["trials"] = {name: [trial.step, trial.cost, trial.loss] for name, trial in named.items()}
    numbers["counted"] = {place: loss for place, (loss, _) in run.trials.best.items()}
    write_whole(path, dump({name: value.clone() for name, value in tensors.items()}, {"run": json.dumps(numbers)}))


def restore(run: "Run", path: Path) -> None:
    """Go on where a saved run was; nothing if there is none."""
    if not path.is_file():
        return
    opened: Any = safe_open(path, framework="pt")
    with opened as file:
        numbers: dict[str, Any] = json.loads(file.metadata()["run"])

        def tensor(name: str) -> Tensor:
            return file.get_tensor(name)

        def trial(name: str) -> Trial:
            step, cost, loss = numbers["trials"][name]
            return Trial(step, cost, loss, tensor(f"{name}.vector"), tensor(f"{name}.square"))

        run.state = State(*(tensor(f"state.{key}") for key in State._fields))
        best = {int(place): (loss, trial(f"best.{place}")) for place, loss in numbers["counted"].items()}
        last = [trial(name) for name in sorted(numbers["trials"]) if name.startswith("last.")]
        run.step, run.elapsed = numbers["step"], numbers["elapsed"]
        run.trials = Trials(best, last)
