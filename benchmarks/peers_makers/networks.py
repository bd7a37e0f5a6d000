"""What codesign's own makers share: a float network, its design, and integers as alkaid's logic."""

from collections.abc import Iterator
from importlib import util
from itertools import pairwise
from math import cos, pi
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from fronts import Given, Made, judged
from torch import nn

from codesign.design import Dataset, Design
from codesign.fixed import Codes
from codesign.hdl.circuit import trace_network
from codesign.load.torch import graph_for
from codesign.quantized import Quantized
from codesign.target import load_target

MODEL = Path(__file__).parents[2] / "examples/jets/model.py"
BATCH, RATE = 1024, 5e-3


def float_network(given: Given, seconds: float) -> nn.Module:
    """The example's jet tagger, trained from random numbers by Adam, the step size on a cosine of the clock."""
    torch.manual_seed(given.seed)
    network = _tagger()
    adam, x, y = torch.optim.Adam(network.parameters(), fused=True), torch.tensor(given.x[0]), torch.tensor(given.y[0])
    began = monotonic()
    for rows in _batches(len(y)):
        if (done := (monotonic() - began) / seconds) >= 1:
            break
        for group in adam.param_groups:
            group["lr"] = RATE * (0.01 + 0.99 * 0.5 * (1 + cos(pi * done)))
        adam.zero_grad()
        nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
        adam.step()
    return network


def _tagger() -> nn.Module:
    found = util.spec_from_file_location("jets_model", MODEL)
    assert found is not None and found.loader is not None
    module: Any = util.module_from_spec(found)
    found.loader.exec_module(module)
    tagger: nn.Module = module.JetTagger()
    return tagger


def _batches(samples: int) -> Iterator[torch.Tensor]:
    while True:
        yield from torch.randperm(samples)[: samples // BATCH * BATCH].split(BATCH)


def designed(given: Given, network: nn.Module) -> Design:
    """The design that the passes begin with."""
    ends = np.cumsum([0, *(len(y) for y in given.y)]).tolist()
    rows = dict(zip(("train", "validation", "test"), pairwise(ends), strict=True))
    dataset = Dataset((np.concatenate(given.x),), np.concatenate(given.y), rows)  # type: ignore[arg-type]
    graph, _ = graph_for(network, dataset)
    target = load_target("vu13p-l1t", Path())
    return Design({"dataset": dataset, "graph": graph, "target": target, "notices": {}})


def evaluated(quantized: Quantized, given: Given, own: float, name: str) -> Made:
    """A network in integers as logic, which takes its codes."""

    def words(x: np.ndarray) -> np.ndarray:
        (codes,) = quantized.encode([x]).values()
        return _values(codes)

    return judged(trace_network(quantized).logic, words, given, own, name)


def _values(codes: Codes) -> np.ndarray:
    return codes.values
