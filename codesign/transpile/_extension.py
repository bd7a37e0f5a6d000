"""Two layers of our own for hls4ml, by its extension API: an element with constants, and elements chosen by constants.

Selecting, repeating, going along, padding and turning axes are all choices of elements. The C++ is ``nnet_codesign.h``,
which hls4ml copies into projects.
"""

from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

#: hls4ml and its layers carry no types.
hls4ml: Any = import_module("hls4ml")
layers: Any = import_module("hls4ml.model.layers")
attributes: Any = import_module("hls4ml.model.attributes")
templates: Any = import_module("hls4ml.backends.template")

HEADER = Path(__file__).with_name("nnet_codesign.h")
#: Names of the layers.
ELEMENTWISE, GATHER = "CodesignElementwise", "CodesignGather"


class CodesignElementwise(layers.Layer):
    """``operation`` of every element and of the constants ``first`` and ``second``.

    There is one constant for all elements, one for each along the last axis, or one for each element.
    """

    _expected_attributes = (
        attributes.Attribute("operation", value_type=str),
        attributes.TypeAttribute("first"),
        attributes.TypeAttribute("second"),
    )

    def initialize(self) -> None:
        """The input's shape."""
        self._set_type_t("first")
        self._set_type_t("second")
        self.add_output_variable(self.get_input_variable().shape)


class CodesignGather(layers.Layer):
    """A tensor of another shape: for each of its elements which one of the input's it is, or -1 for zero.

    Where ``from`` has several for each element, it is the largest of them.
    """

    def initialize(self) -> None:
        """The given shape."""
        self.add_output_variable(self.get_attr("shape"))


_ELEMENTWISE = """{constants}struct config{index} {{
    typedef codesign::{operation} operation;
    typedef {first_t} first_t;
    typedef {second_t} second_t;
    static const unsigned n_in = {n_in};
    static const unsigned n_first = {n_first};
    static const unsigned n_second = {n_second};
}};
"""
_GATHER = """{constants}struct config{index} {{
    static const unsigned n_in = {n_in};
    static const unsigned n_out = {n_out};
    static const unsigned n_from = {n_from};
    static const unsigned n_of = n_from / n_out;
}};
"""


def _constants(node: Any, kinds: dict[str, str]) -> str:
    """Arrays of a layer's constants, with their types by name; doubles are written so that they are read exactly."""
    rows = ((name, kind, np.asarray(node.get_attr(name)).tolist()) for name, kind in kinds.items())
    return "".join(
        f"CODESIGN_CONSTANT {kind} config{node.index}_{name}[{len(row)}] = {{{', '.join(map(repr, row))}}};\n"
        for name, kind, row in rows
    )


class ElementwiseConfig(templates.LayerConfigTemplate):
    """Constants and sizes of an elementwise layer."""

    def format(self, node: Any) -> str:
        """The C++."""
        kinds = {name: node.get_attr(f"{name}_t").name for name in ("first", "second")}
        return _ELEMENTWISE.format(
            constants=_constants(node, kinds),
            index=node.index,
            operation=node.get_attr("operation"),
            n_in=node.get_input_variable().size(),
            **{f"{name}_t": kind for name, kind in kinds.items()},
            **{f"n_{name}": len(node.get_attr(name)) for name in kinds},
        )


class GatherConfig(templates.LayerConfigTemplate):
    """Places and sizes of a gathering layer."""

    def format(self, node: Any) -> str:
        """The C++."""
        n_in, n_out = node.get_input_variable().size(), node.get_output_variable().size()
        sizes = {"n_in": n_in, "n_out": n_out, "n_from": len(node.get_attr("from"))}
        return _GATHER.format(constants=_constants(node, {"from": "int"}), index=node.index, **sizes)


class Call(templates.FunctionCallTemplate):
    """The call of either's function, its constants among the arguments."""

    def format(self, node: Any) -> str:
        """The C++."""
        function, names = ("elementwise", "first second") if node.class_name == ELEMENTWISE else ("gather", "from")
        way = "_stream" if node.model.config.get_config_value("IOType") == "io_stream" else ""
        constants = ", ".join(f"config{node.index}_{name}" for name in names.split())
        call = f"codesign::{function}{way}<{{input_t}}, {{output_t}}, {{config}}>({{input}}, {{output}}, {constants});"
        return call.format(**self._default_function_params(node))


@cache
def register(backend: str) -> None:
    """Make the layers known to a backend of hls4ml; once, as hls4ml refuses a second time."""
    known = hls4ml.backends.get_backend(backend)
    for layer in (CodesignElementwise, CodesignGather):
        layers.register_layer(layer.__name__, layer)
    known.register_template(partial(cast(Any, ElementwiseConfig), CodesignElementwise))
    known.register_template(partial(cast(Any, GatherConfig), CodesignGather))
    known.register_template(
        partial(cast(Any, Call), (CodesignElementwise, CodesignGather), [f"nnet_utils/{HEADER.name}"])
    )
    known.register_source(HEADER)
