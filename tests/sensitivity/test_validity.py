"""What the user is told about the loss and about the scores."""

import re
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from codesign.calibrate import even_rows
from codesign.design import Design, Score, Sensitivity
from codesign.errors import InputError
from codesign.graph import Graph, Node
from codesign.ops.linear import Linear
from codesign.sensitivity._metric import Metric
from codesign.sensitivity._validity import remarks
from codesign.sensitivity.empirical_fisher import EmpiricalFisher
from codesign.sensitivity.hessian_trace import HessianTrace
from codesign.sensitivity.hutchinson import Hutchinson
from codesign.sensitivity.hutchpp import Hutchpp
from codesign.sensitivity.perturbation import Perturbation
from codesign.sensitivity.top_eigenvalue import TopEigenvalue
from codesign.sensitivity.xtrace import Xtrace
from tests.jets import loaded
from tests.sensitivity.networks import Tanh, bent, design_of, found, identical, notices, run, small

STEPS: tuple[type[Metric], ...] = (
    HessianTrace,
    EmpiricalFisher,
    Hutchinson,
    Hutchpp,
    Xtrace,
    TopEigenvalue,
    Perturbation,
)
EVERY = pytest.mark.parametrize("kind", STEPS, ids=lambda kind: kind.__name__)
FAR = "second derivatives say little"


def with_parameters(change: Any) -> Design:
    """The jet tagger with other numbers."""
    design = loaded()
    parameters = {name: change(value).astype(np.float32) for name, value in design.graph.parameters.items()}
    graph = Graph(design.graph.inputs, design.graph.outputs, design.graph.nodes, parameters)
    return Design({"graph": graph, "dataset": design.dataset})


def test_a_trained_network_is_fine() -> None:
    assert notices(HessianTrace(), loaded()) == []
    assert not run(HessianTrace(), loaded()).has("notices") or run(HessianTrace(), loaded()).notices == {}


@EVERY
def test_every_metric_says_that_a_network_is_not_trained(kind: type[Metric]) -> None:
    generator = np.random.default_rng(0)
    design = with_parameters(lambda value: generator.standard_normal(value.shape) / value.shape[-1] ** 0.5)
    options = {} if kind in (Perturbation, EmpiricalFisher, HessianTrace) else {"relative_error": 0.3}
    told = run(kind(200, **options), design).notices
    assert any(FAR in text for text in told.values())
    assert {name.split(".")[0] for name in told} <= {"sensitivity", kind.key()}


def test_noise_on_the_weights_is_noticed() -> None:
    generator = np.random.default_rng(0)
    for size, wanted in ((1e-3, False), (0.5, True)):
        design = with_parameters(lambda value, size=size: value * (1 + size * generator.standard_normal(value.shape)))
        assert any(FAR in text for text in notices(HessianTrace(), design)) == wanted


def test_a_loss_that_bends_down_is_noticed() -> None:
    square, node = Square(), Node("0", Linear("0.weight", None), ("x",), "0")
    graph = Graph({"x": (1,)}, ("1",), (node, Node("1", square, ("0",), "1")), {"0.weight": np.full((1, 1), 0.1, "f")})
    x = np.linspace(0.5, 1, 16, dtype=np.float32)[:, None]
    design = design_of(graph, x, np.full(16, 5.0, np.float32))  # (w^2 x^2 - 5)^2 is a hill at w = 0
    told = notices(Hutchinson(loss="squared_error"), design)
    assert any("bends down" in text and FAR in text for text in told)
    assert any("negative trace of 0.weight: no minimum" in text for text in told)
    top = notices(TopEigenvalue(loss="squared_error"), design)
    assert any("negative eigenvalue of 0.weight: no minimum" in text for text in top)


class Square(Tanh):
    """``x^2``, for tests only."""

    kind: ClassVar[str] = "test_square"

    def forward(self, inputs: list[Tensor], parameters: Any) -> Tensor:
        return inputs[0].square()


class Noise(Tanh):
    """Never the same twice, for tests only."""

    kind: ClassVar[str] = "test_noise"

    def forward(self, inputs: list[Tensor], parameters: Any) -> Tensor:
        return inputs[0] * (1 + torch.rand_like(inputs[0]))


class NoisyGradient(Tanh):
    """Only its gradient differs, for tests only."""

    kind: ClassVar[str] = "test_noisy_gradient"

    def forward(self, inputs: list[Tensor], parameters: Any) -> Tensor:
        result = inputs[0] * 1
        if result.requires_grad:
            result.register_hook(lambda gradient: gradient * (1 + torch.rand_like(gradient)))
        return result


@EVERY
@pytest.mark.parametrize(("op", "where"), [(Noise, "loss"), (NoisyGradient, "gradient of '0.weight'")])
def test_randomness_is_refused(kind: type[Metric], op: type[Tanh], where: str) -> None:
    case = bent(samples=20)
    nodes = tuple(
        Node(n.name, op() if n.op.kind == "test_tanh" else n.op, n.inputs, n.output) for n in case.graph.nodes
    )
    graph = Graph(case.graph.inputs, case.graph.outputs, nodes, case.graph.parameters)
    with pytest.raises(InputError, match=f"^{where}: differs"):
        run(kind(), design_of(graph, case.x, case.y))


@EVERY
def test_the_same_twice(kind: type[Metric]) -> None:
    case = small((4, 5, 3), 12)
    assert identical(found(kind(), case.design, 3), found(kind(), case.design, 3))


def test_torch_is_left_as_it_was() -> None:
    before = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    run(HessianTrace(threads=2, precision="float64"), small().design)
    assert (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()) == before


@EVERY
def test_a_network_that_knows_its_data_by_heart(kind: type[Metric]) -> None:
    """Losses that are zero but for their gradient, in float32."""
    graph = Graph(
        {"x": (2,)},
        ("0",),
        (Node("0", Linear("0.weight", None), ("x",), "0"),),
        {"0.weight": np.eye(2, dtype="f") * 20},
    )
    x = np.repeat(np.eye(2, dtype=np.float32), 8, 0)
    sensitivity = found(kind(), design_of(graph, x, np.repeat([0, 1], 8)))
    assert sensitivity.loss == 0
    assert abs(sensitivity.parameters["0.weight"].value) < 1e-6


@pytest.mark.parametrize("samples", [64, 512])
def test_the_samples_that_would_do(samples: int) -> None:
    asked = 0.02
    told = [text for text in notices(HessianTrace(samples, relative_error=asked), loaded()) if "samples leave" in text]
    (text,) = told
    tensor, used, needed = re.search(r"(\S+): (\d+) samples leave .* about (\d+) samples would do", text).groups()  # type: ignore[union-attr]
    assert int(used) == samples
    sensitivity = found(HessianTrace(samples), loaded())
    relative = {name: score.data_error / score.value for name, score in sensitivity.scores.items()}
    assert max(relative, key=lambda name: relative[name]) == tensor
    enough = found(HessianTrace(int(needed)), loaded()).scores[tensor]
    assert asked / 1.6 < enough.data_error / enough.value < asked * 1.6
    assert not any("samples leave" in text for text in notices(HessianTrace(40000, relative_error=asked), loaded()))


def test_probes_that_are_too_few_are_noticed() -> None:
    told = notices(Hutchinson(500, relative_error=0.01, max_products=24), loaded())
    assert any("the estimate leaves an error of" in text for text in told)
    assert not any("the estimate leaves" in text for text in notices(Hutchpp(500), loaded()))


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (Score(1.0, 0.04, 0.04, 3), []),
        (Score(1.0, 0.1, 0.01, 3), ["w: 10 samples leave a standard error of 10.0%.*about 40 samples"]),
        (Score(-1.0, 0.01, 0.1, 3), ["w: the estimate leaves an error of 10.0%", "negative trace of w"]),
        (Score(-1.0, 0.0, 0.6, 3), ["w: the estimate leaves"]),
        (Score(0.0, 0.0, 0.0, 3), []),
    ],
)
def test_remarks(score: Score, said: list[str]) -> None:
    texts = remarks(Sensitivity("trace", "hessian", {"w": score}, {}, 10, 1.0), 0.05)
    assert len(texts) == len(said)
    assert all(re.search(pattern, text) for pattern, text in zip(said, texts, strict=True))


def test_the_error_of_the_data_is_the_spread_over_other_data() -> None:
    design, train = loaded(), loaded().dataset.split("train")
    rows = even_rows(len(train), 512 * 20)
    parts = [design_of(design.graph, train.inputs[0][rows[k::20]], train.labels[rows[k::20]]) for k in range(20)]
    for step in (HessianTrace(512), EmpiricalFisher(512)):
        many = [found(step, part) for part in parts]
        for name in many[0].scores:
            spread = np.std([one.scores[name].value for one in many], ddof=1)
            told = np.mean([one.scores[name].stderr ** 2 for one in many]) ** 0.5
            assert 0.6 < told / spread < 1.7, (step.name, name)  # twenty draws know the spread to a sixth
        for name in many[0].channels:
            spread = np.std([one.channels[name] for one in many], axis=0, ddof=1)
            ratio = np.mean([one.channel_errors[name] for one in many], axis=0)[spread > 0] / spread[spread > 0]
            assert 0.7 < np.median(ratio) < 1.4


@pytest.mark.parametrize("kind", [Hutchinson, Hutchpp, Xtrace, TopEigenvalue], ids=lambda kind: kind.__name__)
def test_both_errors_of_probed_metrics_are_the_spread_over_data_and_seeds(kind: Any) -> None:
    case = small((6, 8, 3), 24 * 64)
    values, told = [], []
    for k in range(24):
        step = kind(precision="float64", relative_error=0.1)
        score = found(step, design_of(case.graph, case.x[k::24], case.y[k::24]), k).parameters["0.weight"]
        values.append(score.value)
        told.append(score.stderr**2)
    assert 0.6 < np.mean(told) ** 0.5 / np.std(values, ddof=1) < 1.8
