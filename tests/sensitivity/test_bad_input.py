"""Everything that can be wrong with network, data and options ends in an error that names it."""

from typing import Any, ClassVar, Literal, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from torch import nn

from codesign.design import Dataset, Design
from codesign.errors import InputError
from codesign.graph import Graph, Node
from codesign.load._fx import graph_from_module
from codesign.sensitivity._metric import Metric
from codesign.sensitivity.empirical_fisher import EmpiricalFisher
from codesign.sensitivity.hessian_trace import HessianTrace
from codesign.sensitivity.hutchinson import Hutchinson
from codesign.sensitivity.hutchpp import Hutchpp
from codesign.sensitivity.perturbation import Perturbation
from codesign.sensitivity.top_eigenvalue import TopEigenvalue
from codesign.sensitivity.xtrace import Xtrace
from tests.sensitivity.networks import Tanh, bent, design_of, perceptron, run, small

STREAMED: tuple[type[Metric], ...] = (HessianTrace, EmpiricalFisher)
STEPS: tuple[type[Metric], ...] = (*STREAMED, Hutchinson, Hutchpp, Xtrace, TopEigenvalue, Perturbation)
EVERY = pytest.mark.parametrize("kind", STEPS, ids=lambda kind: kind.__name__)
SAMPLES = 16


def changed(parameters: dict[str, Any]) -> Design:
    """A small network with some parameters changed."""
    case = small(samples=SAMPLES)
    values = {name: np.array(value) for name, value in case.graph.parameters.items()}
    for name, change in parameters.items():
        values[name] = np.asarray(change(values[name]), np.float32)
    return design_of(Graph(case.graph.inputs, case.graph.outputs, case.graph.nodes, values), case.x, case.y)


def labelled(labels: Any, outputs: int = 3) -> Design:
    """A small network with other labels."""
    case = small((3, 4, outputs), SAMPLES)
    return design_of(case.graph, case.x, np.asarray(labels))


@EVERY
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_parameter_that_is_no_number(kind: type[Metric], bad: float) -> None:
    def spoiled(value: np.ndarray) -> np.ndarray:
        value.flat[1] = bad
        return value

    for name in ("0.weight", "2.bias"):
        with pytest.raises(InputError, match=f"parameter {name!r}: 1 of .* NaN or infinite"):
            run(kind(), changed({name: spoiled}))


@EVERY
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("batch", [None, 5])
def test_an_input_that_is_no_number(kind: type[Metric], bad: float, batch: int | None) -> None:
    case = small(samples=SAMPLES)
    case.x[-1, 2] = bad
    with pytest.raises(InputError, match=r"'input_1': 1 .* NaN or infinite"):
        run(kind(batch=batch), case.design)


@EVERY
def test_an_activation_that_overflows(kind: type[Metric]) -> None:
    def huge(value: np.ndarray) -> np.ndarray:
        return np.full_like(value, 1e30)

    module = perceptron([3, 4, 4, 2])
    graph, _ = graph_from_module(module, [(3,)])
    values = {**graph.parameters, "0.weight": huge(graph.parameters["0.weight"])}
    values["2.weight"] = huge(graph.parameters["2.weight"])
    graph = Graph(graph.inputs, graph.outputs, graph.nodes, values)
    design = design_of(graph, np.ones((SAMPLES, 3), np.float32), np.arange(SAMPLES) % 2)
    with pytest.raises(InputError, match="activation '2': 64 of 64 values are NaN or infinite"):
        run(kind(), design)


@EVERY
def test_a_loss_that_overflows(kind: type[Metric]) -> None:
    design = changed({"2.bias": lambda value: np.full_like(value, 1e25)})
    with pytest.raises(InputError, match="loss of output '2': not finite"):
        run(kind(loss="squared_error"), design)
    run(kind(loss="squared_error", precision="float64"), design)


@pytest.mark.parametrize("kind", STREAMED, ids=lambda kind: kind.__name__)
def test_a_dead_layer(kind: type[Metric]) -> None:
    dead = changed({"0.bias": lambda value: np.full_like(value, -100.0)})
    with pytest.raises(
        InputError, match=rf"parameter '(0|2).weight': no gradient.*all {SAMPLES} samples.*what follows it"
    ):
        run(kind(), dead)
    silent = changed({"2.weight": np.zeros_like})
    with pytest.raises(InputError, match=r"parameter '0\.bias': no gradient.*so for 0\.weight, 0\.bias"):
        run(kind(), silent)


@pytest.mark.parametrize("kind", [Hutchinson, Hutchpp, Xtrace, TopEigenvalue], ids=lambda kind: kind.__name__)
def test_a_dead_layer_has_no_curvature(kind: type[Metric]) -> None:
    score = run(kind(), changed({"2.weight": np.zeros_like})).sensitivity[kind.key()].parameters["0.weight"]
    assert (score.value, score.probe_error) == (0, 0)


@EVERY
def test_a_batch_larger_than_the_data(kind: type[Metric]) -> None:
    design = small(samples=SAMPLES).design
    with pytest.raises(InputError, match=rf"{kind.name}, batch: 17, larger than the 16 samples.*at most 16"):
        run(kind(batch=17), design)
    with pytest.raises(InputError, match=rf"{kind.name}, batch: 10, larger than the 9 samples"):
        run(kind(samples=9, batch=10), design)
    run(kind(batch=16), design)


@EVERY
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([3] * SAMPLES, "labels from 3 to 3; wanted: 0 to 2"),
        ([-1] + [0] * (SAMPLES - 1), "labels from -1 to 0; wanted: 0 to 2"),
        (np.zeros(SAMPLES), r"shape \[16\] of torch.float64; wanted: class indices .*squared_error"),
        (np.zeros((SAMPLES, 3), int), r"shape \[16, 3\] of torch.int64; wanted: class indices"),
        (np.zeros((SAMPLES, 1), int), r"shape \[16, 1\] of torch.int64; wanted: class indices"),
    ],
)
def test_labels_that_are_no_classes(kind: type[Metric], labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"labels: .*{message}"):
        run(kind(), labelled(labels))


@EVERY
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((SAMPLES, 2)), r"labels of shape \[16, 2\]; wanted: \[samples, 3\]"),
        (np.zeros((SAMPLES, 2), int), r"labels of shape \[16, 2\]; wanted: \[samples, 3\]"),
        (np.zeros(SAMPLES), r"labels of shape \[16\]; wanted: \[samples, 3\]"),
        ([3] * SAMPLES, "labels from 3 to 3; wanted: 0 to 2"),
    ],
)
def test_labels_that_are_no_targets(kind: type[Metric], labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(kind(loss="squared_error"), labelled(labels))


@EVERY
def test_one_output_has_no_classes(kind: type[Metric]) -> None:
    with pytest.raises(InputError, match=r"1 output; wanted: one per class; or set loss = 'squared_error'"):
        run(kind(), labelled([0] * SAMPLES, 1))
    run(kind(loss="squared_error"), labelled(np.linspace(0, 1, SAMPLES), 1))


@EVERY
def test_labels_that_are_not_finite(kind: type[Metric]) -> None:
    labels = np.zeros((SAMPLES, 3), np.float32)
    labels[3, 1] = np.nan
    with pytest.raises(InputError, match=r"label|loss"):
        run(kind(loss="squared_error"), labelled(labels))


@EVERY
def test_an_output_with_positions(kind: type[Metric]) -> None:
    graph, _ = graph_from_module(nn.Sequential(nn.Linear(4, 3)), [(3, 4)])
    x = np.random.default_rng(0).standard_normal((SAMPLES, 3, 4)).astype(np.float32)
    for loss, labels in (
        ("cross_entropy", np.arange(SAMPLES) % 3),
        ("squared_error", np.zeros((SAMPLES, 3), np.float32)),
        ("squared_error", np.zeros((SAMPLES, 3, 3), np.float32)),
    ):
        with pytest.raises(InputError, match=r"output|labels"):
            run(kind(loss=loss), design_of(graph, x, labels))  # type: ignore[arg-type]


@EVERY
def test_two_outputs(kind: type[Metric]) -> None:
    case = small(samples=SAMPLES)
    graph = Graph(case.graph.inputs, ("1", "2"), case.graph.nodes, case.graph.parameters)
    with pytest.raises(InputError, match=r"network output: 2 outputs.*wanted: one output"):
        run(kind(), design_of(graph, case.x, case.y))


@EVERY
@pytest.mark.parametrize("count", [0, 1])
def test_too_little_data(kind: type[Metric], count: int) -> None:
    case = small(samples=SAMPLES)
    dataset = Dataset((case.x,), case.y, {"train": (0, count), "validation": (count, SAMPLES)})
    with pytest.raises(InputError, match=rf"{kind.name}: {count} sample.* at least 2"):
        run(kind(), Design({"graph": case.graph, "dataset": dataset}))


@EVERY
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(kind: type[Metric]) -> None:
    design = small(samples=SAMPLES).design
    with pytest.raises(InputError, match=rf"{kind.name}, device: 'cuda'.*no GPU.*'cpu'"):
        run(kind(device="cuda"), design)
    run(kind(device="auto"), design)


PROBED: list[tuple[dict[str, Any], str]] = [
    ({"relative_error": 0.0}, "relative_error"),
    ({"relative_error": 1.0}, "relative_error"),
    ({"max_products": 23}, "max_products"),
]
OPTIONS: dict[type[Metric], list[tuple[dict[str, Any], str]]] = {
    HessianTrace: [({"draws": 3}, "draws"), ({"draws": 0}, "draws"), ({"relative_error": -1.0}, "relative_error")],
    EmpiricalFisher: [({"relative_error": 2.0}, "relative_error")],
    Hutchinson: PROBED,
    Hutchpp: PROBED,
    Xtrace: PROBED,
    TopEigenvalue: [*PROBED, ({"parts": 1}, "parts")],
    Perturbation: [
        ({"bits": ()}, "bits"),
        ({"bits": (1, 4)}, "bits"),
        ({"bits": (4, 25)}, "bits"),
        ({"bits": (4, 4)}, "bits"),
        ({"ranking_bits": 20}, "ranking_bits"),
        ({"calibration": 0}, "calibration"),
    ],
}


@EVERY
def test_option_values(kind: type[Metric]) -> None:
    shared = [({"samples": 1}, "samples"), ({"batch": 0}, "batch"), ({"threads": 0}, "threads")]
    for options, named in [*shared, *OPTIONS[kind]]:
        with pytest.raises(InputError, match=f"^{kind.name}, {named}: "):
            kind(**options)


@EVERY
def test_words_that_are_no_choice(kind: type[Metric]) -> None:
    choices = [name for name, hint in get_type_hints(kind).items() if get_origin(hint) is Literal]
    assert {"loss", "precision", "device"} <= set(choices)
    for option in choices:
        with pytest.raises(InputError, match=f"{option}.*hinge"):
            run(kind(**{option: "hinge"}), small(samples=SAMPLES).design)


def test_more_parts_than_samples() -> None:
    with pytest.raises(InputError, match="parts: 17 of 16 samples"):
        run(TopEigenvalue(parts=17), small(samples=SAMPLES).design)


class Root(Tanh):
    """``|x|^1.5``, with no second derivative at 0, for tests only."""

    kind: ClassVar[str] = "test_root"

    def forward(self, inputs: list[torch.Tensor], parameters: Any) -> torch.Tensor:
        return inputs[0].abs().pow(1.5)


def test_second_derivatives_that_are_not_finite() -> None:
    case = bent(samples=SAMPLES)
    first, tanh, last = case.graph.nodes
    nodes = (first, Node(tanh.name, Root(), tanh.inputs, tanh.output), last)
    parameters = {**case.graph.parameters, "0.weight": case.graph.parameters["0.weight"] * 0}
    parameters["0.bias"] = parameters["0.bias"] * 0
    graph = Graph(case.graph.inputs, case.graph.outputs, nodes, parameters)
    for kind in (Hutchinson, Hutchpp, Xtrace, TopEigenvalue):
        with pytest.raises(InputError, match=r"0\.weight|0\.bias"):
            run(kind(), design_of(graph, case.x, case.y))
