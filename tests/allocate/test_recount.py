"""The recount: what is allocated is what the exported file costs, for every cost; fine-tuning only lowers it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.allocate._model import Model
from codesign.allocate._problem import Bound
from codesign.allocate._setup import set_up
from codesign.allocate._widths import Rules
from codesign.allocate.costs import Counted, Hardware, costs, make_cost
from codesign.allocate.solvers import Effort, make_solver
from codesign.design import Allocation, Design, Measurement, Point
from codesign.export.writers.qonnx import Writer
from codesign.finetune.qat import Qat
from codesign.fixed import Fixed
from codesign.network import QuantizedNetwork
from codesign.quantized import Quantized
from codesign.report._recount import recount
from codesign.starting import Starting
from tests.builds import lasting_folder
from tests.jets import measured
from tests.test_convolutional_build import OPTIONS as SMALL
from tests.test_convolutional_build import data, network

NETWORKS = ("jets", "residual")
#: Options by granularity, activations, pruning; budgets are drawn for each of them.
CASES = [
    Rules(),
    Rules(prune=True, weight_bits=(2, 8), activation_offset=1),
    Rules(activations="free", weight_bits=(2, 9), activation_bits=(3, 10)),
    Rules(activations="free", prune=True, granularity="group", group_size=4, weight_bits=(3, 6)),
    Rules(activations="free", prune=True, granularity="channel", weight_bits=(2, 7), input_bits=9),
    Rules(activations="free", granularity="channel", weight_bits=(4, 5), activation_bits=(6, 8)),
]
#: Of each case; the slow ones are 204 for each network.
BUDGETS = (10, pytest.param(34, marks=pytest.mark.slow))
#: Rates at which one epoch makes each network better.
RATES = {"jets": 0.001, "residual": 0.02}
CALIBRATION = 256


@cache
def design_of(name: str) -> Design:
    """A network with sensitivities: the jet tagger, or one with convolutions, a residual block and pooling."""
    if name == "jets":
        return measured()
    out = lasting_folder() / "small"
    return codesign.build(network(), data(), "pynq-z2", "qonnx", out, SMALL, until="sensitivity").design


@cache
def start_of(name: str) -> Starting:
    return Starting.of(design_of(name), CALIBRATION)


@cache
def format_of(name: str, tensor: str, bits: int | tuple[int, ...]) -> Fixed:
    return start_of(name).format(tensor, bits)[0]


@dataclass(frozen=True)
class Case:
    """Tables of a network for some rules, with every cost that can be told of them."""

    name: str
    rules: Rules
    hardware: Hardware
    model: Model

    @classmethod
    @cache
    def of(cls, name: str, index: int) -> "Case":
        """Measurements of the corners of all widths, so that what is between is interpolated."""
        design, rules, reuse = design_of(name), CASES[index], (1, 4)[index % 2]
        ends = ((0, 0), (0, 24), (24, 0), (24, 24))
        nodes = [node.name for node in design.graph.weighted()]
        rows = tuple(Measurement(node, w, a, 7.0 * i + w * a) for i, node in enumerate(nodes) for w, a in ends)
        known = [key for key, cost in costs().items() if cost.by_channel or rules.granularity == "tensor"]
        setup = set_up(design, "hessian_trace", rules, known, reuse, rows, CALIBRATION)
        return cls(name, rules, Hardware(design.target, reuse, rows), setup.model)

    def budgets(self, rng: np.random.Generator) -> dict[str, float]:
        """On bops_campos or up to three other costs; an assignment of about one level everywhere meets them."""
        level, spread = rng.uniform(-0.1, 1.1), rng.choice([0.0, 0.1, 0.5])
        sizes = np.array(self.model.problem().sizes)
        picks = np.rint((level + spread * rng.normal(size=len(sizes))) * (sizes - 1)).astype(int)
        point = self.model.point(np.clip(picks, 0, sizes - 1).tolist(), None)
        known = list(self.model.costs)
        names = ["bops_campos"] if rng.random() < 0.4 else rng.choice(known, rng.integers(1, 4), replace=False).tolist()
        return {name: point.costs[name] * rng.uniform(1, 1.2) for name in names}

    def best(self, budgets: dict[str, float]) -> Point:
        """The least loss within budgets, nearly."""
        bounds = [Bound(self.model.costs[name], most) for name, most in budgets.items()]
        problem = self.model.problem().bounded(*bounds)
        solution = make_solver("lagrangian", "test").solve(problem, Effort(gap=0.01))
        assert solution.picks is not None
        return self.model.point(solution.picks, solution.gap)

    def quantized(self, point: Point) -> Quantized:
        """The network at the bits of a point, not trained."""
        formats = {tensor: format_of(self.name, tensor, bits) for tensor, bits in point.bits.items()}
        graph = design_of(self.name).graph
        return QuantizedNetwork(graph, formats).freeze(graph.parameters)

    def recosted(self, quantized: Quantized, path: Path) -> dict[str, float]:
        """Every cost of the exported file."""
        path.write_bytes(Writer(quantized).write().SerializeToString())
        counted: Counted = recount(path)
        return {name: make_cost(name, self.hardware, "test").total(counted) for name in self.model.costs}


@pytest.mark.parametrize("count", BUDGETS)
@pytest.mark.parametrize("index", range(len(CASES)))
@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_costs_exactly_what_was_allocated(name: str, index: int, count: int, tmp_path: Path) -> None:
    case, rng = Case.of(name, index), np.random.default_rng(index)
    for _ in range(count):
        budgets = case.budgets(rng)
        point = case.best(budgets)
        found = case.recosted(case.quantized(point), tmp_path / "network.onnx")
        assert found == point.costs
        assert all(found[key] <= most for key, most in budgets.items())


def test_the_cases_have_what_they_are_for() -> None:
    """Pruned tensors and channels, widths that differ inside of a tensor, every cost, residual sums."""
    rng, pruned, mixed = np.random.default_rng(1), set[str](), set[str]()
    for index, rules in enumerate(CASES):
        for name in NETWORKS:
            case = Case.of(name, index)
            for widths in [widths for _ in range(5) for widths in case.best(case.budgets(rng)).bits.values()]:
                pruned |= {rules.granularity} if 0 in np.ravel(widths) else set()
                mixed |= {rules.granularity} if len(np.unique(widths)) > 1 else set()
    assert mixed == {"group", "channel"}
    assert pruned == {"tensor", "group", "channel"}
    assert set(Case.of("jets", 0).model.costs) == set(costs())
    assert any(node.op.kind == "add" for node in design_of("residual").graph.nodes)


@pytest.mark.parametrize(("name", "index"), [("jets", 4), ("residual", 1), ("residual", 4)])
def test_fine_tuning_costs_no_more(name: str, index: int, tmp_path: Path) -> None:
    case, design = Case.of(name, index), design_of(name)
    point = case.best(case.budgets(np.random.default_rng(5)))
    step = Qat(epochs=1, batch=512 if name == "jets" else 32, learning_rate=RATES[name], calibration=CALIBRATION)
    done = step(design.updated({"allocation": Allocation(point, 0)}))
    found = case.recosted(done.quantized, tmp_path / "network.onnx")
    weights = [node.op.parameters()["weight"] for node in design.graph.weighted()]
    before = case.quantized(point)
    assert any((done.quantized.codes[weight] != before.codes[weight]).any() for weight in weights)
    assert all(found[key] <= cost for key, cost in point.costs.items())
