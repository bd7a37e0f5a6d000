"""Rankings and disagreements of scores made by hand."""

from pathlib import Path
from xml.etree import ElementTree

from codesign.design import Design, Score, Sensitivity
from codesign.graph import Graph, Node
from codesign.ops.relu import Relu
from codesign.passes import Context
from codesign.ranking import Disagreement, Ranked, disagreements, groups, ranking, unit
from codesign.sensitivity.comparison import Comparison
from codesign.store import Store
from tests.jets import loaded


def trace(scores: dict[str, tuple[float, float, int]]) -> Sensitivity:
    """Value, error and size."""
    made = {name: Score(value, error, 0.0, size) for name, (value, error, size) in scores.items()}
    return Sensitivity("trace", "hessian", made, {}, 10, 1.0)


def eigenvalue(**values: float) -> Sensitivity:
    made = {name: Score(value, 0.0, 0.01, 100) for name, value in values.items()}
    return Sensitivity("eigenvalue", "hessian", made, {}, 10, 1.0)


def increase(**values: float) -> Sensitivity:
    made = {name: Score(value, 0.003, 0.004, 7) for name, value in values.items()}
    return Sensitivity("loss_increase", None, {}, made, 10, 1.0, ranking_bits=5)


def test_traces_are_ranked_per_element() -> None:
    found = trace({"a": (10.0, 1.0, 100), "b": (2.0, 0.2, 10), "c": (0.5, 0.1, 1)})
    assert ranking(found, ["a", "b", "c", "missing"]) == [
        Ranked("c", 0.5, 0.1),
        Ranked("b", 0.2, 0.02),
        Ranked("a", 0.1, 0.01),
    ]
    assert ranking(found, []) == []
    assert unit(found) == "trace per element"


def test_eigenvalues_and_increases_are_ranked_as_they_are() -> None:
    assert [each.figure for each in ranking(eigenvalue(a=1.0, b=3.0), ["a", "b"])] == [3.0, 1.0]
    (first, *_) = ranking(increase(a=0.1, b=0.2), ["a", "b"])
    assert (first.tensor, first.figure) == ("b", 0.2)
    assert abs(first.error - 0.005) < 1e-12  # both errors together
    assert unit(increase(a=1.0)) == "loss increase at 5 bits"
    assert unit(eigenvalue(a=1.0)) == "largest eigenvalue"


def test_disagreements_beyond_the_errors() -> None:
    metrics = {
        "traces": trace({"a": (1.0, 0.1, 1), "b": (2.0, 0.1, 1), "c": (2.2, 0.1, 1)}),
        "eigenvalues": eigenvalue(a=5.0, b=4.0, c=3.0),
        "increases": increase(a=0.1, b=0.11, c=0.3),
    }
    assert disagreements(metrics, ["a", "b", "c"]) == [
        Disagreement("a", "b", ("eigenvalues",), ("traces",)),  # the increases are too close to tell
        Disagreement("a", "c", ("eigenvalues",), ("traces", "increases")),
        Disagreement("b", "c", ("eigenvalues",), ("increases",)),
    ]
    first = disagreements(metrics, ["a", "b"])[0]
    assert str(first) == "a above b by eigenvalues; below it by traces"
    assert disagreements(metrics, ["b", "a"]) == [Disagreement("b", "a", ("traces",), ("eigenvalues",))]


def test_two_standard_errors_are_needed() -> None:
    for gap, wanted in ((0.25, 0), (0.31, 1)):  # 2 * hypot(0.1, 0.1) = 0.283
        metrics = {
            "one": trace({"a": (1.0, 0.1, 1), "b": (1.0 + gap, 0.1, 1)}),
            "other": eigenvalue(a=2.0, b=1.0),
        }
        assert len(disagreements(metrics, ["a", "b"])) == wanted


def test_agreement_and_tensors_that_only_one_metric_has() -> None:
    one, other = eigenvalue(a=2.0, b=1.0), eigenvalue(a=4.0, b=3.0, c=9.0)
    assert disagreements({"one": one, "other": other}, ["a", "b", "c"]) == []
    assert disagreements({"one": one}, ["a", "b"]) == []
    assert disagreements({}, ["a", "b"]) == []


def test_weights_are_compared_with_weights() -> None:
    graph = loaded().graph
    assert groups(graph) == {
        "weights": [node.op.parameters()["weight"] for node in graph.weighted()],
        "activations": ["x", "relu1", "relu2", "relu3"],
    }


def test_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    names = [r"x$\frac$", "a$b", "$", "$$", r"\$x$y\$"]
    nodes = tuple(Node(f"relu{place}", Relu(), (name,), f"out{place}") for place, name in enumerate(names))
    graph = Graph(dict.fromkeys(names, (2,)), tuple(node.output for node in nodes), nodes, {})
    shown = groups(graph)["activations"]
    metric = trace({name: (10.0**place, 0.1, 1) for place, name in enumerate(shown)})
    store = Store(tmp_path)
    design = Design({"graph": graph, "sensitivity": {"hessian_trace": metric}})
    found = Comparison()(design, Context(store, tmp_path)).artifacts["sensitivity"]
    written = "".join(ElementTree.fromstring(store.path(found.digest).read_bytes()).itertext())
    assert shown == names
    assert all(name in written for name in shown)
