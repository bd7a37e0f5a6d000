"""Peak memory of one method, in a process of its own."""

import gc
import multiprocessing
import pickle
from dataclasses import replace
from pathlib import Path

import torch

from sensitivity_peers.methods import METHODS, Method
from sensitivity_peers.networks import Workload


def peak_mib(method: Method, load: Workload, counts: dict[str, int]) -> float | None:
    """Highest resident memory while the method prepares and runs, less that just before; None where unknown.

    Before, in the fresh process, it has run on two samples, so that its code is loaded.

    Args:
        method: Its index in ``METHODS`` is what the process is told.
        load: The network.
        counts: Products by layer, of a layerwise method.
    """
    if not Path("/proc/self/clear_refs").exists():
        return None
    threads = torch.get_num_threads()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (METHODS.index(method), pickle.dumps(load), counts, threads))


def _measure(index: int, pickled: bytes, counts: dict[str, int], threads: int) -> float:
    torch.set_num_threads(threads)
    method, load = METHODS[index], pickle.loads(pickled)
    run_once(method, replace(load, x=load.x[:2], y=load.y[:2]), {next(iter(load.layers())): 6})
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = _status_kib("VmRSS")
    run_once(method, load, counts)
    return (_status_kib("VmHWM") - before) / 1024


def run_once(method: Method, load: Workload, counts: dict[str, int]) -> None:
    """Prepare and run: all layers at once, or those of ``counts``."""
    run = method.prepare(load)
    if method.kind == "exact":
        run()
    elif method.kind == "passes":
        run(1)
    else:
        for layer, count in counts.items():
            run(layer, count)


def _status_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1])
