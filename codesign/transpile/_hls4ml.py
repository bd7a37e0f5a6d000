"""Driving hls4ml: names that C++ takes, every precision set by us and checked afterwards."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import onnx
import yaml

from codesign.ops.op import Shape
from codesign.quantized import Quantized
from codesign.target import Target
from codesign.transpile._checks import check_layouts, check_precisions, keep_single_bits, set_queues
from codesign.transpile._extension import register
from codesign.transpile._layers import Layers
from codesign.transpile._rules import make_layers, ports
from codesign.transpile._types import ap_type
from codesign.transpile.firmware.backends import BACKENDS
from codesign.transpile.firmware.options import INTERFACE, Firmware
from codesign.words import CPP_WORDS

#: hls4ml and its models carry no types.
hls4ml: Any = import_module("hls4ml")
ModelGraph = Any

#: hls4ml takes no "input".
WORDS = CPP_WORDS | {"input"}


def c_names(names: Sequence[str], project: str) -> list[str]:
    """C identifiers for names, all different and other than the project's, as close to the names as can be."""
    chosen = {project: None}
    for name in names:
        base = re.sub(r"\W", "_", name, flags=re.ASCII)
        base = f"n_{base}" if not base or base[0].isdigit() or base[0] == "_" or base in WORDS else base
        choice, number = base, 1
        while choice in chosen:
            choice, number = f"{base}_{number}", number + 1
        chosen[choice] = None
    return list(chosen)[1:]


def renamed(model: onnx.ModelProto, project: str) -> tuple[onnx.ModelProto, dict[str, str], dict[str, str]]:
    """A copy for hls4ml: C identifiers for names, a batch of one.

    Args:
        model: The QONNX model; stays as it is.
        project: Name of the project, which its top function has.

    Returns:
        The copy, and its names of nodes and of tensors by the original ones.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    nodes = [node.name for node in graph.node]
    tensors = [info.name for info in graph.input] + [item.name for item in graph.initializer]
    tensors += [name for node in graph.node for name in node.output]
    # Nodes and tensors share one name space: hls4ml makes layers of constants.
    identifiers = c_names([*nodes, *tensors], project)
    new_nodes = dict(zip(nodes, identifiers, strict=False))
    new = dict(zip(tensors, identifiers[len(nodes) :], strict=True))
    for node in graph.node:
        node.name = new_nodes[node.name]
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new[name] for name in node.output]
    for item in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        item.name = new[item.name]
    for info in (*graph.input, *graph.output, *graph.value_info):
        for dimension in info.type.tensor_type.shape.dim:
            if dimension.HasField("dim_param"):
                dimension.dim_value = 1
    return copy, new_nodes, new


def expected_types(quantized: Quantized, model: onnx.ModelProto, tensors: Mapping[str, str]) -> dict[str, str]:
    """The type of every operation's result by tensor of the file: the exact accumulator's.

    Args:
        quantized: The integer network.
        model: The file, with C identifiers for names.
        tensors: Its tensors' names by the network's.
    """
    made = {node.output[0]: node for node in model.graph.node}

    def raw(name: str) -> str:
        """What the quantizer of a tensor reads, through the limits that come after it."""
        tensor = tensors[name]
        while name in quantized.formats and made[tensor].op_type != "Quant":
            tensor = made[tensor].input[0]
        return made[tensor].input[0] if name in quantized.formats else tensor

    return {raw(name): ap_type(each.smallest_format()) for name, each in quantized.accumulators().items()}


def convert(
    model: onnx.ModelProto, quantized: Quantized, target: Target, firmware: Firmware, project: str, folder: Path
) -> tuple[ModelGraph, dict[str, list[Shape]]]:
    """An hls4ml model with every precision set, and the order of the axes of its inputs and outputs.

    Args:
        model: The QONNX model.
        quantized: The integer network that it was written from.
        target: Part and clock.
        firmware: What is asked for.
        project: Name of the project and its top function.
        folder: Where the project will be written.

    Raises:
        ContractError: hls4ml chose another type than ours.
        InputError: hls4ml can't lay out a layer as asked.
    """
    copy, nodes, tensors = renamed(model, project)
    extended = not firmware.streamed or BACKENDS[firmware.backend].extended
    layers = Layers(copy, expected_types(quantized, copy, tensors), firmware.streamed, extended)
    inputs, outputs = make_layers(layers)
    register(firmware.backend)
    config: dict[str, Any] = hls4ml.utils.config.create_config(
        output_dir=str(folder),
        project_name=project,
        backend=firmware.backend,
        io_type=firmware.io_type,
        part=firmware.part or target.part,
        clock_period=target.clock_ns,
        **({} if firmware.backend == "Catapult" else {"write_weights_txt": False}),
    )
    layouts = {nodes[node.name]: firmware.layout(node.name) for node in quantized.graph.weighted()}
    config["HLSConfig"] = {
        "Model": {
            "Precision": "fixed<16,6>",
            "Strategy": firmware.default_strategy,
            "ReuseFactor": firmware.reuse_factor,
        },
        "LayerName": {
            name: {"Precision": precision, "Strategy": "latency", "ReuseFactor": 1, **layouts.get(name, {})}
            for name, precision in layers.precisions.items()
        },
    }
    converted = hls4ml.model.graph.ModelGraph.from_layer_list(config, layers.layers, inputs, outputs)
    check_precisions(converted, layers.precisions)
    check_layouts(converted, {nodes[node.name]: node.name for node in quantized.graph.weighted()}, layouts)
    set_queues(converted, {nodes[node.name]: firmware.queue(node.name) for node in quantized.graph.nodes})
    if BACKENDS[firmware.backend].widened:
        keep_single_bits(converted)
    return converted, ports(layers)


def write_project(model: ModelGraph, interface: Mapping[str, Any], project: str, folder: Path) -> None:
    """Write the project, free of everything that would differ from run to run (stamps, paths).

    Args:
        model: The conversion.
        interface: What is said of its inputs and outputs in the file ``INTERFACE``.
        project: Name of the project.
        folder: Where it goes.
    """
    model.write()
    (folder / INTERFACE).write_text(json.dumps(interface, indent=1) + "\n")
    stamp = str(model.config.config["Stamp"])
    for script in (folder / "build_lib.sh", folder / "CMakeLists.txt"):
        if script.exists():
            script.write_text(script.read_text().replace("-${LIB_STAMP}", "").replace(stamp, project))
    bridge = folder / f"{project}_bridge.cpp"
    if bridge.exists():  # Catapult's reads the weights from files as it starts
        bridge.write_text(bridge.read_text().replace(f"{folder}/", ""))
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)
    config = dict(model.config.config) | {"OnnxModel": "../network.qonnx.onnx", "OutputDir": ".", "Stamp": project}
    (folder / "hls4ml_config.yml").write_text(yaml.safe_dump(_plain(config)))


def _plain(value: Any) -> Any:
    """Nested configuration as YAML's own types."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in cast(dict[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(list[Any], value)]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
