"""What hls4ml made of what it was told: it changes types and layouts without an error."""

from collections.abc import Mapping
from typing import Any

from codesign.errors import ContractError, InputError

#: hls4ml and its models carry no types.
ModelGraph = Any


def check_precisions(model: ModelGraph, precisions: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse a conversion in which a type is not the one that was asked for.

    Raises:
        ContractError: A type is not.
    """
    for layer in model.get_layers():
        for what, text in precisions.get(layer.name, {}).items():
            kind, wanted = layer.get_attr(f"{what}_t"), model.config.backend.convert_precision_string(text)
            if kind is None or kind.precision == wanted or (what == "accum" and _holds(kind.precision, wanted)):
                continue
            raise ContractError(f"hls4ml layer {layer.name}", f"{what} of type {kind.precision}", text)


def _holds(wide: Any, narrow: Any) -> bool:
    """Whether one type holds every number of another: Catapult pools in wider sums than asked for."""
    sign = int(wide.signed) - int(narrow.signed)
    return sign >= 0 and wide.integer >= narrow.integer + sign and wide.fractional >= narrow.fractional


def check_layouts(model: ModelGraph, names: Mapping[str, str], layouts: Mapping[str, Mapping[str, str | int]]) -> None:
    """Refuse a conversion in which a layer is not laid out as asked for.

    Args:
        model: The conversion.
        names: The network's name of every layer.
        layouts: Strategy and reuse factor of every layer.

    Raises:
        InputError: It takes other reuse factors.
        ContractError: It has another strategy.
    """
    for name, layout in layouts.items():
        layer = model.graph[name]
        factor, strategy = layer.get_attr("reuse_factor"), layer.get_attr("strategy")
        if factor != layout["ReuseFactor"]:
            known = model.config.backend.get_valid_reuse_factors(*model.config.backend.get_layer_mult_size(layer))
            where = f"transpile.hls4ml, reuse factor of layer {names[name]!r}"
            raise InputError(where, f"{layout['ReuseFactor']}", f"one of {', '.join(map(str, known))}")
        if strategy != layout["Strategy"]:
            raise ContractError(f"hls4ml layer {name}", f"strategy {strategy!r}", repr(layout["Strategy"]))


def set_queues(model: ModelGraph, depths: Mapping[str, int]) -> None:
    """Set the depths of the queues after layers; 0 leaves one as it is."""
    for layer in model.get_layers():
        for variable in layer.variables.values() if depths.get(layer.name) else ():
            if isinstance(variable.pragma, tuple):
                variable.pragma = ("stream", depths[layer.name])


def keep_single_bits(model: ModelGraph) -> None:
    """Undo that hls4ml spells ``ac_fixed`` of one bit with two: one compiler needs that, and it changes results."""
    for layer in model.get_layers():
        for kind in layer.attributes.values():
            precision: Any = getattr(kind, "precision", None)
            if getattr(precision, "width", 0) == 1 and hasattr(precision, "integer"):
                text = precision.definition_cpp()
                precision.definition_cpp = text.replace("ac_fixed<2,", "ac_fixed<1,").__str__
