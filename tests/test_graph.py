"""The IR: what verify refuses, and what the questions to a graph answer."""

from dataclasses import replace

import numpy as np
import pytest

from codesign.errors import ContractError, InputError
from codesign.graph import Graph, Node
from codesign.ops.flatten import Flatten
from codesign.ops.linear import Linear
from codesign.ops.relu import Relu


def linear(name: str, source: str, bias: bool = True) -> Node:
    """A linear node that reads ``source``."""
    return Node(name, Linear(f"{name}.weight", f"{name}.bias" if bias else None), (source,), name)


def parameters(name: str, outputs: int, inputs: int, bias: bool = True) -> dict[str, np.ndarray]:
    """Parameters of a linear node."""
    made = {f"{name}.weight": np.ones((outputs, inputs), np.float32)}
    return made | ({f"{name}.bias": np.ones(outputs, np.float32)} if bias else {})


@pytest.fixture
def graph() -> Graph:
    """x -> one -> relu -> flat -> two; relu -> three; two and three are outputs."""
    nodes = (
        linear("one", "x"),
        Node("relu", Relu(), ("one",), "relu"),
        Node("flat", Flatten(), ("relu",), "flat"),
        linear("two", "flat", bias=False),
        linear("three", "relu"),
    )
    values = parameters("one", 4, 3) | parameters("two", 2, 8, False) | parameters("three", 5, 4)
    return Graph({"x": (2, 3)}, ("two", "three"), nodes, values)


def test_a_sound_graph(graph: Graph) -> None:
    graph.verify()
    assert graph.shapes() == {"x": (2, 3), "one": (2, 4), "relu": (2, 4), "flat": (8,), "two": (2,), "three": (2, 5)}


def test_a_tensor_read_before_it_is_written(graph: Graph) -> None:
    nodes = (graph.nodes[1], graph.nodes[0], *graph.nodes[2:])
    with pytest.raises(ContractError, match=r"graph node 'relu': undefined \['one'\]"):
        replace(graph, nodes=nodes).verify()


def test_a_parameter_that_is_missing(graph: Graph) -> None:
    rest = {name: value for name, value in graph.parameters.items() if name != "one.bias"}
    with pytest.raises(ContractError, match=r"graph node 'one': undefined \['one.bias'\]"):
        replace(graph, parameters=rest).verify()


@pytest.mark.parametrize(
    "extra",
    [
        Node("one", Relu(), ("x",), "fresh"),
        Node("fresh", Relu(), ("x",), "one"),
        Node("fresh", Relu(), ("x",), "x"),
    ],
    ids=["node name", "tensor", "input"],
)
def test_a_name_twice(graph: Graph, extra: Node) -> None:
    with pytest.raises(ContractError, match="defined twice"):
        replace(graph, nodes=(*graph.nodes, extra)).verify()


def test_an_output_that_no_node_writes(graph: Graph) -> None:
    with pytest.raises(ContractError, match=r"graph outputs: no node writes \['four'\]"):
        replace(graph, outputs=("two", "four")).verify()


def test_shapes_that_do_not_fit_are_both_named(graph: Graph) -> None:
    values = {**graph.parameters, "two.weight": np.ones((2, 7), np.float32)}
    with pytest.raises(InputError, match=r"layer 'two'.*shape \[8\].*7 features, by two.weight \[2, 7\]"):
        replace(graph, parameters=values).verify()


def test_run_evaluates_in_order(graph: Graph) -> None:
    depth = graph.run({"x": 0}, lambda _, depths: max(depths) + 1)
    assert depth == {"x": 0, "one": 1, "relu": 2, "flat": 3, "two": 4, "three": 3}


def test_neighbours(graph: Graph) -> None:
    assert graph.producer("x") is None
    assert graph.producer("relu") is graph.nodes[1]
    assert [node.name for node in graph.consumers("relu")] == ["flat", "three"]
    assert graph.consumers("two") == []
    assert [node.name for node in graph.weighted()] == ["one", "two", "three"]


def test_origin_is_where_values_are_computed(graph: Graph) -> None:
    assert graph.origin("flat") == "relu"
    assert graph.origin("relu") == "relu"
    assert graph.origin("x") == "x"
    ahead = replace(graph, nodes=(Node("flat", Flatten(), ("x",), "flat"),), outputs=("flat",))
    assert ahead.origin("flat") == "x"


def test_activations_are_inputs_and_what_is_multiplied(graph: Graph) -> None:
    assert graph.activations() == ["x", "relu"]
    without = graph.without(graph.nodes[1])
    assert without.activations() == ["x", "one"]
    unused = replace(graph, inputs={"other": (1,), **graph.inputs})
    assert unused.activations() == ["other", "x", "relu"]


def test_signs(graph: Graph) -> None:
    signs = {"x": True, "one": True, "relu": False, "flat": False, "two": True, "three": True}
    assert graph.signed() == signs


def test_feeding_is_the_weighted_node_behind(graph: Graph) -> None:
    one = graph.nodes[0]
    assert [graph.feeding(tensor) for tensor in ("one", "relu", "flat")] == [one, one, one]
    assert graph.feeding("two") is graph.nodes[3]
    assert graph.feeding("x") is None


def test_without_a_node_its_readers_read_its_input(graph: Graph) -> None:
    rest = graph.without(graph.nodes[1])
    rest.verify()
    assert [node.inputs for node in rest.nodes] == [("x",), ("one",), ("flat",), ("one",)]
    assert rest.parameters.keys() == graph.parameters.keys()
    assert len(graph.nodes) == 5


def test_without_the_last_node_its_input_is_the_output(graph: Graph) -> None:
    rest = graph.without(graph.nodes[4])
    rest.verify()
    assert rest.outputs == ("two", "relu")
    assert set(graph.parameters) - set(rest.parameters) == {"three.weight", "three.bias"}


def test_without_keeps_parameters_that_others_use(graph: Graph) -> None:
    twin = replace(graph.nodes[4], op=Linear("three.weight", None), name="four", output="four")
    rest = replace(graph, nodes=(*graph.nodes, twin)).without(graph.nodes[4])
    rest.verify()
    assert "three.weight" in rest.parameters
    assert "three.bias" not in rest.parameters


def test_replaced(graph: Graph) -> None:
    old = graph.nodes[3]
    new = replace(old, op=Linear("two.weight", "two.bias"))
    bias = np.zeros(2, np.float32)
    changed = graph.replaced(old, new, {"two.bias": bias})
    changed.verify()
    assert changed.nodes == (*graph.nodes[:3], new, graph.nodes[4])
    assert changed.parameters["two.bias"] is bias
    assert "two.bias" not in graph.parameters
