"""Training under a falling cost: one run gives the whole front."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, inf, isfinite, log, pi
from pathlib import Path

import torch
from torch import Tensor

from codesign.design import Design
from codesign.finetune._compiled import compiled
from codesign.finetune._front import Trial, Trials
from codesign.finetune._keep import restore, save
from codesign.finetune._start import Beginning
from codesign.finetune._step import MEAN, SQUARE, Control, State, make_step
from codesign.finetune._train import Batches
from codesign.passes import Progress
from codesign.torch_forward import mean_loss, split_tensors

#: Most samples of one evaluation.
AT_ONCE = 4096
#: Most steps between two evaluations, and how many are made at least.
BETWEEN, EVALUATIONS = 100, 50
#: Steps, or seconds, after which the state is saved at the next evaluation.
SAVED, SAVED_S = 2000, 60.0
#: Share of the step size that is left where a cosine is lowest, for values and for bits; steps of warming up.
LOWEST, LOWEST_BITS, WARM = 0.05, 0.2, 300
#: The price follows the cost as much in a run of few steps as in one of many.
PULLS, LEAST_PULL, MOST_PULL = 150.0, 1e-3, 0.05
#: The average reaches back over this share of a run, or over this many steps.
REACH, MOST_REACH = 1 / 150, 150


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Args:
        steps: How many.
        seconds: Longest time; the schedule goes by it then. None for no limit.
        batch: Samples of a step.
        learning_rate: Adam's step size for values.
        bits_rate: And for bits.
        restarts: How often the cosine of the step sizes starts anew.
        highest: The cost that is aimed at first.
        lowest: And last.
        compiled: Whether a step is compiled.
        seed: For the order of samples.
    """

    steps: int
    seconds: float | None
    batch: int
    learning_rate: float
    bits_rate: float
    restarts: int
    highest: float
    lowest: float
    compiled: bool
    seed: int


@dataclass
class Run:
    """What a run has reached.

    Args:
        state: What is trained.
        trials: What was evaluated.
        step: Steps that are done.
        stopped: Why it ended early; empty if it did not.
        elapsed: Seconds of training.
    """

    state: State
    trials: Trials
    step: int = 0
    stopped: str = ""
    elapsed: float = 0.0


def data_of(design: Design) -> tuple[Batches, Batches]:
    """Training and validation samples."""
    found = [split_tensors(design.dataset.split(name)) for name in ("train", "validation")]
    return Batches(*found[0]), Batches(*found[1])


def anneal(
    begun: Beginning,
    data: tuple[Batches, Batches],
    recipe: Recipe,
    work: Path,
    progress: Progress,
) -> Run:
    """Train while the cost that is aimed at falls from the highest to the lowest, evenly on a logarithmic scale.

    Args:
        begun: What to start from.
        data: Training and validation samples.
        recipe: How to train.
        work: Folder where the state is saved, and found again after a kill.
        progress: Told the steps.
    """
    training, _ = data
    run = Run(State.at(begun.vector, log(1e-2 / recipe.highest)), Trials())
    restore(run, work / "per_weight.safetensors")
    if run.step:
        progress(f"goes on after step {run.step:,}", *_told(run, recipe, _share(run, recipe)))
    batches = _batches(training, recipe, run.step)
    step, evaluate = _functions(begun, run.state, data, recipe)
    between = max(1, min(BETWEEN, recipe.steps // EVALUATIONS))
    began, saved = time.monotonic() - run.elapsed, (run.step, run.elapsed)
    while (done := _share(run, recipe)) < 1:
        batch = next(batches)
        made = step(*run.state, torch.tensor(_control(run.step, done, recipe)), batch.wanted, *batch.inputs)
        run.state, run.step, run.elapsed = State(*made[:5]), run.step + 1, time.monotonic() - began
        if run.step % between == 0 or _share(run, recipe) >= 1:
            trial = evaluate(run)
            for loss, of in ((float(made[5]), "the loss"), (trial.loss, "the validation loss")):
                if not isfinite(loss):
                    run.stopped = run.stopped or f"{of} became {loss} before step {run.step}"
            if run.stopped:
                break
            run.trials.add(trial)
            task = f"{begun.network.cost_name} {trial.cost:,.0f}, validation loss {trial.loss:.4f}"
            progress(task, *_told(run, recipe, done))
            if run.step >= saved[0] + SAVED or run.elapsed >= saved[1] + SAVED_S:
                save(run, work / "per_weight.safetensors")
                saved = run.step, run.elapsed
    run.trials.finish()
    return run


def _told(run: Run, recipe: Recipe, done: float) -> tuple[int, int]:
    return (run.step, recipe.steps) if recipe.seconds is None else (round(done * 1000), 1000)


def _share(run: Run, recipe: Recipe) -> float:
    """How much of the schedule is over."""
    return run.step / recipe.steps if recipe.seconds is None else run.elapsed / recipe.seconds


def _control(step: int, done: float, recipe: Recipe) -> Control:
    """Step sizes, the cost that is aimed at, and how fast price and average follow."""
    cosine = LOWEST + (1 - LOWEST) * 0.5 * (1 + cos(pi * (done * recipe.restarts % 1)))
    scale = cosine * min(1.0, (step + 1) / WARM)
    # Adam's correction of averages that start at zero.
    correction = (1 - SQUARE ** (step + 1)) ** 0.5 / (1 - MEAN ** (step + 1))
    target = log(recipe.highest) + (log(recipe.lowest) - log(recipe.highest)) * done
    steps = recipe.steps if recipe.seconds is None else inf
    reach = min(MOST_REACH, steps * REACH)
    return Control(
        recipe.learning_rate * scale * correction,
        recipe.bits_rate * max(scale, LOWEST_BITS) * correction,
        target,
        min(max(PULLS / steps, LEAST_PULL), MOST_PULL),
        max(1 / max(reach, 1), 1 - (1 + step) / (10 + step)),
    )


def _batches(data: Batches, recipe: Recipe, step: int) -> Iterator[Batches]:
    """Batches from a step on, in an order that only the seed and the epoch decide."""
    batch = min(recipe.batch, len(data.wanted))
    steps = len(data.wanted) // batch
    while True:
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step // steps)
        shuffled = data.rows(torch.randperm(len(data.wanted), generator=generator))
        for place in range(step % steps, steps):
            rows = slice(place * batch, (place + 1) * batch)
            yield Batches([x[rows] for x in shuffled.inputs], shuffled.wanted[rows])
            step += 1


def _functions(
    begun: Beginning, state: State, data: tuple[Batches, Batches], recipe: Recipe
) -> tuple[Callable[..., Sequence[Tensor]], Callable[[Run], Trial]]:
    """The step, and the evaluation of what is trained or of its average, whichever is better."""
    (training, validation), network = data, begun.network
    count = min(recipe.batch, len(training.wanted))
    example = (*state, torch.tensor(_control(0, 0.0, recipe)), training.wanted[:count])
    step = compiled(
        make_step(network, begun.limits), (*example, *(x[:count] for x in training.inputs)), recipe.compiled
    )

    def outcome(vector: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        parts = network.whole(vector)
        return network.forward(parts, inputs)[0], network.total(parts)

    size = min(AT_ONCE, len(validation.wanted))
    # Compiled functions take one number of samples: what the last rows lack, the first ones fill.
    batches = [
        [x[torch.arange(first, first + size) % len(x)] for x in validation.inputs]
        for first in range(0, len(validation.wanted), size)
    ]
    look = compiled(outcome, (state.vector, *batches[0]), recipe.compiled)

    def trial(run: Run, vector: Tensor) -> Trial:
        found = [look(vector, *inputs) for inputs in batches]
        outputs = torch.cat([made for made, _ in found])[: len(validation.wanted)]
        loss = float(mean_loss(outputs, validation.wanted))
        return Trial(run.step, float(found[0][1]), loss, vector.clone(), run.state.square.clone())

    # The average is smoother, but for a while after a bit has changed it mixes numbers from before and after.
    def evaluate(run: Run) -> Trial:
        trained, average = trial(run, run.state.vector), trial(run, run.state.average)
        return average if isfinite(trained.loss) and average.loss < trained.loss else trained

    return step, evaluate


def one_answer(wanted: Tensor) -> float:
    """Loss of the best answer that is the same for all samples: the entropy of labels, the variance of targets."""
    if wanted.is_floating_point():
        return float(mean_loss(wanted.mean(0).expand_as(wanted), wanted))
    shares = torch.bincount(wanted).float() / len(wanted)
    return float(mean_loss(shares.log().expand(len(wanted), -1), wanted))
