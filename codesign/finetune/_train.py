"""The training loop: deterministic for a seed, and resumed from its last epoch after a kill."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from codesign.errors import InputError
from codesign.network import QuantizedNetwork
from codesign.passes import Progress
from codesign.store import write_whole
from codesign.torch_forward import mean_loss


@dataclass(frozen=True)
class Recipe:
    """How to train: epochs, samples per step, Adam's first step size (a cosine takes it to zero), averaging, seed."""

    epochs: int
    batch: int
    learning_rate: float
    average: float
    seed: int


@dataclass
class Progressing:
    """What a run has reached after an epoch: the parameters, their moving average, the best of both so far."""

    parameters: dict[str, Tensor]
    average: dict[str, Tensor]
    best: dict[str, Tensor]
    losses: list[float]
    best_epoch: int
    optimizer: torch.optim.Adam


@dataclass(frozen=True)
class Batches:
    """Quantized inputs ``[samples, ...]``, and the labels ``[samples]`` or targets ``[samples, outputs]`` wanted."""

    inputs: Sequence[Tensor]
    wanted: Tensor

    def rows(self, index: Tensor) -> "Batches":
        """The samples of an index."""
        return Batches([x[index] for x in self.inputs], self.wanted[index])


def train(
    network: QuantizedNetwork,
    start: dict[str, Tensor],
    data: tuple[Batches, Batches],
    recipe: Recipe,
    work: Path,
    progress: Progress,
) -> Progressing:
    """Train, keeping the epoch with the least validation loss.

    Args:
        network: The network with its formats.
        start: Float parameters to start from.
        data: Training and validation samples.
        recipe: How to train.
        work: Folder where the state is saved after every epoch, and found again after a kill.
        progress: Told the epochs.

    Raises:
        InputError: The loss became NaN or infinite.
    """
    training, validation = data
    state = _begin(start, recipe)
    alive = _alive(network, start)
    first = _restore(state, work / "state.safetensors")
    if first == 0:
        state.losses.append(_loss(network, state.parameters, validation))
    for epoch in range(first, recipe.epochs):
        _epoch(network, state, training, alive, epoch, recipe)
        loss, kept = min(
            ((_loss(network, each, validation), each) for each in (state.parameters, state.average)),
            key=lambda pair: pair[0],
        )
        if not loss < float("inf"):
            raise InputError(
                f"finetune.qat, epoch {epoch + 1}", f"validation loss {loss}", "a finite loss", "lower learning_rate"
            )
        if loss < min(state.losses):
            state.best = {name: value.detach().clone() for name, value in kept.items()}
            state.best_epoch = epoch + 1
        state.losses.append(loss)
        _save(state, work / "state.safetensors")
        progress(f"fine-tuning, validation loss {loss:.4f}", epoch + 1, recipe.epochs)
    return state


def _alive(network: QuantizedNetwork, start: dict[str, Tensor]) -> dict[str, Tensor]:
    """1 where a weight is not zero at the start, by name. Zeros stay zero, so that the cost only falls."""
    grid = network.quantized_parameters({name: value.detach() for name, value in start.items()})
    return {name: (value != 0).float() for name, value in grid.items() if name not in network.bias_rules}


def _epoch(
    network: QuantizedNetwork,
    state: Progressing,
    training: Batches,
    alive: dict[str, Tensor],
    epoch: int,
    recipe: Recipe,
) -> None:
    """One pass over the training samples, in an order that only the seed and the epoch decide."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
    order = torch.randperm(len(training.wanted), generator=generator)
    steps = max(1, len(order) // recipe.batch)
    averaged, current = list(state.average.values()), list(state.parameters.values())
    for step in range(steps):
        count = epoch * steps + step
        for group in state.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * 0.5 * (1 + cos(pi * count / (recipe.epochs * steps)))
        _step(network, state, training.rows(order[step * recipe.batch : (step + 1) * recipe.batch]))
        with torch.no_grad():
            for name, mask in alive.items():
                state.parameters[name].mul_(mask)
            # The average forgets faster at first, so that the start does not linger in it.
            torch._foreach_lerp_(averaged, current, 1 - min(recipe.average, (1 + count) / (10 + count)))  # pyright: ignore


def _begin(start: dict[str, Tensor], recipe: Recipe) -> Progressing:
    parameters = {name: value.clone().requires_grad_() for name, value in start.items()}
    average, best = ({name: value.clone() for name, value in start.items()} for _ in range(2))
    optimizer = torch.optim.Adam(list(parameters.values()), lr=recipe.learning_rate, fused=True)
    return Progressing(parameters, average, best, [], 0, optimizer)


def _step(network: QuantizedNetwork, state: Progressing, batch: Batches) -> None:
    grid = network.quantized_parameters(state.parameters)
    loss = mean_loss(network.forward(grid, batch.inputs)[0], batch.wanted)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # pyright: ignore[reportUnknownMemberType]
    state.optimizer.step()  # pyright: ignore[reportUnknownMemberType]


@torch.no_grad()
def _loss(network: QuantizedNetwork, parameters: dict[str, Tensor], data: Batches) -> float:
    """Mean loss."""
    grid = network.quantized_parameters(parameters)
    return float(mean_loss(network.forward(grid, data.inputs)[0], data.wanted))


def _save(state: Progressing, path: Path) -> None:
    tensors = {f"parameter/{name}": value.detach() for name, value in state.parameters.items()}
    tensors |= {f"average/{name}": value for name, value in state.average.items()}
    tensors |= {f"best/{name}": value for name, value in state.best.items()}
    for name, value in state.parameters.items():
        tensors |= {f"adam/{key}/{name}": item for key, item in state.optimizer.state[value].items()}
    meta = {"losses": json.dumps(state.losses), "best_epoch": str(state.best_epoch)}
    write_whole(path, save(tensors, meta))


def _restore(state: Progressing, path: Path) -> int:
    """Load a saved state; returns the epochs it has done."""
    if not path.is_file():
        return 0
    opened: Any = safe_open(path, framework="pt")
    with opened as file:
        meta = file.metadata()
        state.losses, state.best_epoch = json.loads(meta["losses"]), int(meta["best_epoch"])
        for name, value in state.parameters.items():
            value.data.copy_(file.get_tensor(f"parameter/{name}"))
            state.average[name] = file.get_tensor(f"average/{name}")
            state.best[name] = file.get_tensor(f"best/{name}")
            keys = ("step", "exp_avg", "exp_avg_sq")
            state.optimizer.state[value] = {key: file.get_tensor(f"adam/{key}/{name}") for key in keys}
    return len(state.losses) - 1
