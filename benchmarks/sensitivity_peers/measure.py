"""Time to an error, for each kind of method."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from sensitivity_peers.exact import Block
from sensitivity_peers.methods import Method
from sensitivity_peers.networks import Workload

ERRORS = (0.05, 0.01)


@dataclass(frozen=True)
class Effort:
    """How much time to spend.

    Args:
        rounds_s: On timing all exact methods together.
        passes_s: On the spread of a method's passes.
        run_s: Longest run to the end; what would take longer is extrapolated.
        layers: Networks with more leave out all methods that are not exact.
    """

    rounds_s: float = 40.0
    passes_s: float = 8.0
    run_s: float = 20.0
    layers: int = 1000


@dataclass(frozen=True)
class Timed:
    """Time to each of ``ERRORS``.

    Args:
        seconds: To each.
        known: Of each: "exact", "run" to the end or "extrapolated".
        products: Number of products or passes for each, all layers together; empty if exact.
        error: Largest relative error over layers that was seen: of the exact traces, or of the longest run.
        counts: Products by layer for the smallest error if that was run, else a few for the first layer.
        details: More numbers for the JSON file.
    """

    seconds: tuple[float, ...]
    known: tuple[str, ...]
    products: tuple[int, ...] = ()
    error: float | None = None
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


def seconds_of(call: Callable[[], object]) -> float:
    """Wall time."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def largest_error(found: dict[str, float], blocks: dict[str, Block]) -> float | None:
    """Largest relative error over layers; None without traces."""
    return max((abs(trace / blocks[name].trace - 1) for name, trace in found.items()), default=None)


def time_exact(
    runs: dict[str, Callable[[], dict[str, float]]], blocks: dict[str, Block], effort: Effort
) -> dict[str, Timed]:
    """All exact methods, in turn, after a warm-up: the median of 200 rounds, fewer if they are long."""
    found = {name: run() for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [seconds_of(run)] for name, run in runs.items()}
    rounds = min(200, max(2, int(effort.rounds_s / (sum(first for (first,) in times.values()) or 1.0))))
    for _ in range(rounds - 1):
        for name, run in runs.items():
            times[name].append(seconds_of(run))
    known = ("exact",) * len(ERRORS)
    return {
        name: Timed(
            (statistics.median(times[name]),) * len(ERRORS),
            known,
            error=largest_error(found[name], blocks),
            details={"rounds": rounds, "traces": found[name]},
        )
        for name in runs
    }


def time_layerwise(method: Method, load: Workload, blocks: dict[str, Block], effort: Effort) -> Timed:
    """Products needed by each layer times the time of one, or the run itself where it is short."""
    needed = {name: method.needed(block, ERRORS) for name, block in blocks.items()}
    begin = time.perf_counter()
    estimate = method.prepare(load)
    setup = time.perf_counter() - begin
    few = max(1, method.stages * load.columns)
    estimate(next(iter(blocks)), min(few, load.columns * 4))
    per_product: dict[str, float] = {}
    for name, block in blocks.items():
        count = min(few, block.shape[0])
        repeats = [
            seconds_of(lambda name=name, count=count: estimate(name, count)) for _ in range(3 if few == 1 else 1)
        ]
        per_product[name] = statistics.median(repeats) / count
    seconds, known, error = [], [], None
    counts = {next(iter(blocks)): few}
    for index in range(len(ERRORS)):
        wanted = {name: counts[index] for name, counts in needed.items()}
        predicted = setup + sum(count * per_product[name] for name, count in wanted.items())
        if predicted > effort.run_s:
            seconds.append(predicted)
            known.append("extrapolated")
            continue
        begin = time.perf_counter()
        estimate = method.prepare(load)
        found = {name: estimate(name, count) for name, count in wanted.items()}
        seconds.append(time.perf_counter() - begin)
        known.append("run")
        error, counts = largest_error(found, blocks), wanted
    products = tuple(sum(counts[index] for counts in needed.values()) for index in range(len(ERRORS)))
    details = {"ms_per_product": {name: value * 1e3 for name, value in per_product.items()}, "products": needed}
    return Timed(tuple(seconds), tuple(known), products, error, counts, details)


def time_passes(method: Method, load: Workload, blocks: dict[str, Block], effort: Effort) -> Timed:
    """Passes needed by the spread of some, times the time of one, or the run itself where it is short."""
    begin = time.perf_counter()
    draw = method.prepare(load)
    setup = time.perf_counter() - begin
    draw(1)
    first = seconds_of(lambda: draw(1))
    sample = min(300, max(4, int(effort.passes_s / first)))
    begin = time.perf_counter()
    drawn = draw(sample).double()
    per_pass = (time.perf_counter() - begin) / sample
    per_layer = drawn.shape[1] == len(blocks)
    traces = (
        torch.tensor([block.trace for block in blocks.values()], dtype=torch.float64) if per_layer else drawn.mean(0)
    )
    spread = (drawn - traces).square().sum(0).div(sample if per_layer else sample - 1).sqrt() / traces
    products = tuple(int((float(spread.max()) / error) ** 2) + 1 for error in ERRORS)
    seconds, known, error = [], [], None
    for count in products:
        predicted = setup + count * per_pass
        if predicted > effort.run_s:
            seconds.append(predicted)
            known.append("extrapolated")
            continue
        begin = time.perf_counter()
        found = method.prepare(load)(count).double().mean(0)
        seconds.append(time.perf_counter() - begin)
        known.append("run")
        error = float((found / traces - 1).abs().max()) if per_layer else None
    details = {"ms_per_pass": per_pass * 1e3, "spread_from_passes": sample, "largest_spread": float(spread.max())}
    return Timed(tuple(seconds), tuple(known), products, error, {}, details)
