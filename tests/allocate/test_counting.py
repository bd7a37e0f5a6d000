"""What costs see, from the graph and from the exported file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from torch import Tensor, nn

from codesign.allocate.costs import Counted, Hardware, costs
from codesign.allocate.counting import counts
from codesign.design import Measurement
from codesign.errors import ContractError, InputError
from codesign.export.writers.qonnx import Writer
from codesign.fixed import Fixed
from codesign.graph import Graph
from codesign.load._fx import graph_from_module
from codesign.quantized import Quantized
from codesign.report._recount import recount
from codesign.target import load_target
from tests.counting import count_quantized, layers
from tests.networks import Plan, Residual, build_network, plans

many = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
WIDE = range(0, 25, 24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def hardware(graph: Graph) -> Hardware:
    """With a table of every layer for all widths."""
    rows = [
        Measurement(node.name, w, a, 1000.0 * i + w * a)
        for i, node in enumerate(graph.weighted())
        for w in WIDE
        for a in WIDE
    ]
    return Hardware(load_target("vu13p-l1t", Path()), 3, tuple(rows))


def graph_of(module: nn.Module, *shape: int) -> Graph:
    return graph_from_module(module, [shape])[0]


def uniform(graph: Graph, weight_bits: int = 6, activation_bits: int = 8) -> Counted:
    weights = {node.op.parameters()["weight"] for node in graph.weighted()}
    widths = dict.fromkeys(graph.activations(), activation_bits) | dict.fromkeys(weights, weight_bits)
    return counts.count(graph, widths, {name: graph.parameters[name].size for name in weights})


def write(quantized: Quantized, path: Path, widths: dict[str, list[int]] | None = None) -> Path:
    """The exported file, with the widths of channels as the exporter notes them."""
    model = Writer(quantized).write()
    noted = {entry.key for entry in model.metadata_props}
    for name, bits in (widths or {}).items():
        if f"widths:{name}" in noted:
            continue
        entry = model.metadata_props.add()
        entry.key, entry.value = f"widths:{name}", json.dumps(bits)
    path.write_bytes(model.SerializeToString())
    return path


def by_channel(quantized: Quantized, seed: int) -> tuple[Quantized, dict[str, list[int]]]:
    """The network with a binary point for each channel of every weight, and a width; some channels are pruned."""
    generator = np.random.default_rng(seed)
    formats, codes, widths = dict(quantized.formats), dict(quantized.codes), dict[str, list[int]]()
    for node in quantized.graph.weighted():
        name = node.op.parameters()["weight"]
        shape = (len(codes[name]), *[1] * (codes[name].ndim - 1))
        width = generator.choice([0, 2, 3, 5, 8], shape) if generator.random() < 0.8 else 5
        formats[name] = Fixed(True, width, generator.integers(-2, 3, shape))
        codes[name] = np.clip(codes[name], formats[name].low, formats[name].high)
        widths[name] = np.broadcast_to(width, shape).reshape(-1).tolist()
    return replace(quantized, formats=formats, codes=codes), widths


def assert_equal_totals(quantized: Quantized, path: Path) -> None:
    counted, again = count_quantized(quantized), recount(path)
    assert counted.activations == again.activations
    assert counted.paths == again.paths
    # an exporter can't write weights of no bits: a layer of zeros has other bits in the file, and costs nothing
    # and single weights are known from a file alone
    assert [replace(p, weight_bits=0) if not p.nonzero else p for p in counted.parts] == [
        replace(p, singles=(), weight_bits=p.weight_bits if p.nonzero else 0) for p in again.parts
    ]
    for kind in costs().values():
        cost = kind(hardware(quantized.graph))
        assert cost.total(counted) == cost.total(again)


@many
@given(plans())
def test_the_file_counts_as_the_graph(folder: Path, plan: Plan) -> None:
    quantized = build_network(plan).quantized
    assert_equal_totals(quantized, write(quantized, folder / "network.onnx"))


@many
@given(plans())
def test_the_file_counts_as_the_graph_by_channel(folder: Path, plan: Plan) -> None:
    quantized, widths = by_channel(build_network(plan).quantized, plan.seed)
    assert_equal_totals(quantized, write(quantized, folder / "channels.onnx", widths))


def test_a_layer_of_zeros_is_free(folder: Path) -> None:
    network = build_network(
        Plan(1, ("conv",), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    ).quantized
    name = network.graph.weighted()[-1].op.parameters()["weight"]
    formats = {**network.formats, name: Fixed(True, 0, 0)}
    pruned = replace(network, formats=formats, codes={**network.codes, name: network.codes[name] * 0})
    path = write(pruned, folder / "zeros.onnx")
    assert_equal_totals(pruned, path)
    assert count_quantized(pruned).parts[-1].weight_bits == 0
    for kind in costs().values():
        assert kind(hardware(pruned.graph)).of_part(recount(path).parts[-1]) == 0


def test_rows_of_layers(folder: Path) -> None:
    plan = Plan(2, ("conv", "depthwise"), "flatten", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 7, 2), 4)
    quantized, widths = by_channel(build_network(plan).quantized, 1)
    rows = layers(recount(write(quantized, folder / "rows.onnx", widths)))
    shapes = quantized.graph.shapes()
    for row, node in zip(rows, quantized.graph.weighted(), strict=True):
        weight = node.op.parameters()["weight"]
        codes = quantized.codes[weight]
        assert (row.name, row.weights, row.nonzero) == (node.name, codes.size, np.count_nonzero(codes))
        assert row.weight_bits == tuple(widths[weight])
        assert row.activation_bits == quantized.formats[quantized.graph.origin(node.inputs[0])].width
        assert row.macs == node.op.work([shapes[name] for name in node.inputs], shapes[node.output]).macs
        assert [part.channels for part in row.parts] == [1] * len(codes)


def test_channels_that_need_more_bits_than_noted_are_refused(folder: Path) -> None:
    plan = Plan(1, ("conv",), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    quantized = build_network(plan).quantized
    name = quantized.graph.weighted()[1].op.parameters()["weight"]
    codes = np.zeros_like(quantized.codes[name])
    codes[0].flat[:2], codes[1].flat[:2], codes[2].flat[:2] = (-16, 15), (-8, 4), (0, 12)
    changed = replace(quantized, codes={**quantized.codes, name: codes})
    for bits in ([5, 3, 3, 0], [9, 9, 9, 9]):
        counted = recount(write(changed, folder / "noted.onnx", {name: bits}))
        assert [part.weight_bits for part in counted.parts[1:5]] == bits
    for bits in ([4, 3, 3, 0], [5, 1, 3, 0], [5, 3, 2, 0], [5, 3, 3]):
        with pytest.raises(ContractError, match=r"channel|one for each of 4"):
            recount(write(changed, folder / "noted.onnx", {name: bits}))


def test_a_file_without_quantizers_is_refused(folder: Path) -> None:
    quantized = build_network(
        Plan(1, ("conv",), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    ).quantized
    model = Writer(quantized).write()
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    node.input[0] = model.graph.input[0].name
    (folder / "bare.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ContractError, match="no Quant node"):
        recount(folder / "bare.onnx")


@pytest.mark.parametrize("stages", [("strided", "residual"), ("depthwise", "maxpool", "projected")])
def test_qonnx_counts_the_same(stages: tuple[str, ...], folder: Path) -> None:
    """qonnx's own inference cost of the exported file, for a batch of one."""
    from qonnx.util.inference_cost import inference_cost

    plan = Plan(2, stages, "flatten", (True,) * 3, ((5, 1), (4, 0)), ((6, 2), (7, 1)), Fixed(True, 6, 2), 4)
    quantized = build_network(plan).quantized
    model = Writer(quantized).write()
    for info in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        if info.type.tensor_type.shape.dim[0].dim_param:
            info.type.tensor_type.shape.dim[0].dim_value = 1
    path = folder / "batch1.onnx"
    onnx.save(model, path)
    counted, own = recount(path), Hardware(load_target("vu13p-l1t", Path()))
    assert inference_cost(str(path))["total_cost"]["total_bops"] == costs()["bops_qonnx"](own).total(counted)
    stored = inference_cost(str(path), discount_sparsity=False)["total_cost"]["total_mem_w_bits"]
    assert stored == costs()["weight_bits"](own).total(counted)


def conv(kernel: int = 1) -> nn.Module:
    return nn.Conv1d(2, 2, kernel, padding=kernel // 2)


def head(positions: int = 8) -> tuple[nn.Module, nn.Module]:
    return nn.Flatten(), nn.Linear(2 * positions, 3)


def test_parts_by_hand() -> None:
    graph = graph_of(nn.Sequential(nn.Conv1d(2, 4, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)), 2, 8)
    first, last = uniform(graph).parts
    assert (first.node, first.op, first.channels, first.positions, first.fan_in) == ("0", "conv", 4, 6, 3)
    assert (last.node, last.op, last.channels, last.positions, last.fan_in) == ("3", "linear", 3, 1, 24)
    assert (first.weight_bits, first.activation_bits, first.nonzero, first.additions) == (6, 8, 12, 0)
    relu = graph.origin(graph.weighted()[1].inputs[0])
    assert [(a.name, a.elements, a.bits) for a in uniform(graph).activations] == [
        (next(iter(graph.inputs)), 16, 8),
        (relu, 24, 8),
    ]


def test_a_linear_layer_at_several_positions() -> None:
    (part,) = uniform(graph_of(nn.Linear(5, 3), 4, 5)).parts
    assert (part.channels, part.positions, part.fan_in, part.macs) == (3, 4, 5, 60)


def test_additions_and_paths_of_a_projected_branch() -> None:
    graph = graph_of(nn.Sequential(conv(), Residual(conv(3), conv(), True, False), *head()), 2, 8)
    order, counted = [node.name for node in graph.weighted()], uniform(graph)
    later = max("1.body", "1.shortcut", key=order.index)
    assert {part.node: part.additions for part in counted.parts if part.additions} == {later: 1}
    assert set(counted.paths) == {frozenset({"0", "1.body", "3"}), frozenset({"0", "1.shortcut", "3"})}


def test_additions_and_paths_of_skipped_branches() -> None:
    skipping = [Residual(nn.Sequential(conv(), nn.ReLU(), conv(3)), nn.Identity(), True, False) for _ in range(2)]
    counted = uniform(graph_of(nn.Sequential(conv(), *skipping, *head()), 2, 8))
    assert {part.node: part.additions for part in counted.parts if part.additions} == {"1.body.2": 1, "2.body.2": 1}
    assert counted.paths == (frozenset(part.node for part in counted.parts),)


def test_additions_that_no_layer_feeds_are_free() -> None:
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            doubled = x + x
            y = self.first(doubled)
            twice = y.relu() + y
            return self.last(twice + twice)

    counted = uniform(graph_of(Sums(), 4))
    assert [(part.node, part.additions) for part in counted.parts] == [("first", 1), ("last", 0)]


def test_too_many_paths() -> None:
    def chain(blocks: int) -> Graph:
        return graph_of(nn.Sequential(*(Residual(conv(3), conv(), False, False) for _ in range(blocks)), *head()), 2, 8)

    assert len(uniform(chain(8)).paths) == 256
    graph = chain(9)
    with pytest.raises(InputError, match=r"512 ways.*at most 256.*costs that are sums"):
        counts.paths(graph)
    weights = {node.op.parameters()["weight"]: 6 for node in graph.weighted()}
    counted = counts.count(graph, weights | dict.fromkeys(graph.activations(), 8), weights, with_paths=False)
    assert counted.paths == ()
    assert len(counted.parts) == 19


def test_widths_by_channel() -> None:
    graph = graph_of(nn.Linear(5, 3), 5)
    (template,) = counts.templates(graph).values()
    widths, zeros = {template.activation: 8, template.weight: (4, 0, 6)}, {template.weight: (5, 0, 2)}
    counted = counts.count(graph, widths, zeros)
    assert [(p.channels, p.weight_bits, p.nonzero) for p in counted.parts] == [(1, 4, 5), (1, 0, 0), (1, 6, 2)]
    assert template.parts(6, 8, (5, 0, 2)) == [template.part(6, 8, 7)]
    for wrong in ({template.weight: (5, 0)}, {template.weight: 7}):
        with pytest.raises(ContractError, match="each of 3 channels"):
            counts.count(graph, widths, wrong)
    with pytest.raises(ContractError, match="activation"):
        counts.count(graph, {**widths, template.activation: (8, 8)}, zeros)


def test_operations() -> None:
    graph = graph_of(nn.Sequential(conv(), nn.ReLU(), *head()), 2, 8)
    assert [kind for _, kind, weighted in counts.operations(graph) if weighted] == ["conv", "linear"]
    for name, kind in costs().items():
        kind(hardware(graph)).require_rules(name, counts.operations(graph))
