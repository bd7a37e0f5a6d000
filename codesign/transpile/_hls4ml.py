"""Driving hls4ml: names that C++ takes, every precision set by us and checked afterwards."""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import onnx
import yaml
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper  # type: ignore[import-untyped]

from codesign.errors import ContractError, InputError
from codesign.fixed import Fixed
from codesign.ops.add import Add
from codesign.ops.avgpool import AvgPool
from codesign.ops.conv import Conv
from codesign.ops.maxpool import MaxPool
from codesign.quantized import Quantized
from codesign.target import Target

#: hls4ml and its models carry no types.
hls4ml: Any = import_module("hls4ml")
ModelGraph = Any

#: Words that a C++ identifier must not be, among those that a layer could be called.
_WORDS = (
    "and auto bool break case char class const continue default delete do double else enum explicit export extern "
    "false float for friend goto if inline int long main namespace new not operator or private protected public "
    "register return short signed sizeof static std struct switch template this throw true try typedef union "
    "unsigned using virtual void volatile while xor nnet"
)
CPP_WORDS = frozenset(_WORDS.split())
#: Operations whose C++ nobody has shown to be exact.
UNPROVEN = (Add, AvgPool, Conv, MaxPool)


def c_names(names: Sequence[str]) -> list[str]:
    """C identifiers for names, all different, as close to the names as can be."""
    chosen: dict[str, None] = {}
    for name in names:
        base = re.sub(r"\W", "_", name, flags=re.ASCII)
        base = f"n_{base}" if not base or base[0].isdigit() or base[0] == "_" or base in CPP_WORDS else base
        choice, number = base, 1
        while choice in chosen:
            choice, number = f"{base}_{number}", number + 1
        chosen[choice] = None
    return list(chosen)


def renamed(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, str]]:
    """A copy for hls4ml: C identifiers for names, a batch of one, shapes for initializers too.

    Returns:
        The copy, and its node names by the original ones.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    nodes = [node.name for node in graph.node]
    tensors = [info.name for info in graph.input] + [item.name for item in graph.initializer]
    tensors += [name for node in graph.node for name in node.output]
    # Nodes and tensors share one name space: hls4ml makes layers of constants.
    identifiers = c_names([*nodes, *tensors])
    new_nodes = dict(zip(nodes, identifiers, strict=False))
    new = dict(zip(tensors, identifiers[len(nodes) :], strict=True))
    for node in graph.node:
        node.name = new_nodes[node.name]
        node.input[:] = [new[name] for name in node.input]
        node.output[:] = [new[name] for name in node.output]
    for item in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        item.name = new[item.name]
    for info in (*graph.input, *graph.output, *graph.value_info):
        for dimension in info.type.tensor_type.shape.dim:
            if dimension.HasField("dim_param"):
                dimension.dim_value = 1
    for item in graph.initializer:
        graph.value_info.append(helper.make_tensor_value_info(item.name, TensorProto.FLOAT, list(item.dims)))
    return copy, new_nodes


def ap_type(fixed: Fixed, saturate: bool = False) -> str:
    """``ap_fixed`` / ``ap_ufixed`` spelling; truncating, and saturating or exact."""
    fixed = fixed.envelope()
    width = max(int(fixed.width), 1)
    sign = "" if fixed.signed else "u"
    return f"ap_{sign}fixed<{width},{int(fixed.integer)}{',AP_TRN,AP_SAT' if saturate else ''}>"


def expected_types(quantized: Quantized) -> dict[str, str]:
    """The type of every node's result by node name: the exact accumulator's."""
    ranges = quantized.accumulators()
    return {node.name: ap_type(ranges[node.output].smallest_format()) for node in quantized.graph.nodes}


def convert(model: onnx.ModelProto, quantized: Quantized, target: Target, project: str, folder: Path) -> ModelGraph:
    """An hls4ml model with every precision set.

    Args:
        model: The QONNX model.
        quantized: The integer network that it was written from.
        target: Part and clock.
        project: Name of the project and its top function.
        folder: Where the project will be written.

    Raises:
        ContractError: hls4ml chose another accumulator than ours.
        InputError: A layer that this route gets wrong.
    """
    for node in quantized.graph.nodes:
        if isinstance(node.op, UNPROVEN):
            raise InputError(
                f"layer {node.name!r}",
                f"an operation {node.op.kind!r}, which the hls4ml route does not make yet",
                "linear layers, ReLU and Flatten, as far as hls4ml",
                "use --flow qonnx",
            )
    for node in quantized.graph.weighted():
        if len(shape := quantized.graph.shapes()[node.output]) != 1:
            found = f"works on every position of a tensor (output {list(shape)})"
            raise InputError(
                f"layer {node.name!r}", found, "hls4ml: linear layers on flat inputs", "use the flow 'qonnx'"
            )
    copy, nodes = renamed(model)
    wrapper = ModelWrapper(copy)
    config = hls4ml.utils.config_from_onnx_model(wrapper, granularity="name", backend="Vitis")
    config["Model"]["Strategy"] = "Latency"
    layers: dict[str, dict[str, Any]] = config["LayerName"]
    accumulators = expected_types(quantized)
    for name, accumulator in accumulators.items():
        for key in (name, f"{name}.add"):
            if key in nodes:
                layers[nodes[key]]["Precision"] = {"result": accumulator, "accum": accumulator}
    for info, name in zip(copy.graph.input, quantized.graph.inputs, strict=True):
        layers[info.name]["Precision"] = {"result": ap_type(quantized.formats[name], saturate=True)}
    converted = hls4ml.converters.convert_from_onnx_model(
        wrapper,
        hls_config=config,
        output_dir=str(folder),
        project_name=project,
        backend="Vitis",
        io_type="io_parallel",
        part=target.part,
        clock_period=target.clock_ns,
        write_weights_txt=False,
    )
    dense = {node.name: accumulators[node.name] for node in quantized.graph.weighted()}
    _check_precisions(converted, dense, nodes)
    return converted


def _check_precisions(model: ModelGraph, accumulators: dict[str, str], nodes: dict[str, str]) -> None:
    """Refuse a conversion in which a dense layer's accumulator is not the one that was asked for."""
    found = {layer.name: layer for layer in model.get_layers()}
    for name, accumulator in accumulators.items():
        layer = f"Dense_{nodes[name]}"
        if layer not in found or found[layer].get_attr("accum_t") is None:
            raise ContractError(f"hls4ml layer {layer}", "not there", f"the layer of {name!r}")
        chosen = found[layer].get_attr("accum_t").precision.definition_cpp()
        if chosen != accumulator:
            raise ContractError(f"hls4ml layer {layer}", f"accumulator {chosen}", accumulator)


def write_project(model: ModelGraph, project: str, folder: Path) -> None:
    """Write the project, free of everything that would differ from run to run (stamps, paths)."""
    model.write()
    stamp = str(model.config.config["Stamp"])
    script = folder / "build_lib.sh"
    script.write_text(script.read_text().replace("-${LIB_STAMP}", "").replace(stamp, project))
    config = dict(model.config.config) | {"OnnxModel": "../network.qonnx.onnx", "OutputDir": ".", "Stamp": project}
    (folder / "hls4ml_config.yml").write_text(yaml.safe_dump(_plain(config)))


def _plain(value: Any) -> Any:
    """Nested configuration as YAML's own types."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in cast(dict[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(list[Any], value)]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
