"""One flat vector of all that is learned: values, then bits; and its parts by tensor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from codesign.arrays import IntArray
from codesign.finetune._units import Units
from codesign.fixed import Fixed
from codesign.graph import Graph
from codesign.ops.op import Shape

#: What of a tensor has bits of its own: the whole tensor, each output channel of weights and each unit of activations,
#: or each weight.
Granularity = Literal["layer", "channel", "weight"]


@dataclass(frozen=True)
class Parts:
    """The learned vector by tensor name.

    Args:
        values: Parameters.
        fraction: Fraction bits of parameters and activations, of shapes that broadcast against them.
        integer: Integer bits of activations, the sign left out.
    """

    values: dict[str, Tensor]
    fraction: dict[str, Tensor]
    integer: dict[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """Where everything stands in the vector.

    Args:
        graph: The network.
        signed: Whether each activation has a sign, by name.
        granularity: What has bits of its own.
        sent: Formats of inputs that come in formats of their own: their bits are not learned.
    """

    graph: Graph
    signed: Mapping[str, bool]
    granularity: Granularity
    sent: Mapping[str, Fixed] = field(default_factory=dict[str, Fixed])

    @cached_property
    def units(self) -> Units:
        """Which elements of activations share bits."""
        return Units(self.graph, self.granularity == "layer")

    @cached_property
    def shapes(self) -> tuple[dict[str, Shape], dict[str, Shape], dict[str, Shape]]:
        """Of values, fraction bits and integer bits, in the vector's order."""
        values = {name: tuple(value.shape) for name, value in self.graph.parameters.items()}
        learned = {name: shape for name, shape in self.units.shapes.items() if name not in self.sent}
        fraction = {name: self._own(shape) for name, shape in values.items()} | learned
        return values, fraction, learned

    @cached_property
    def sent_widths(self) -> dict[str, IntArray]:
        """Bits of the units of inputs whose bits are not learned: of the format that holds all, as files have them."""
        return {name: np.full(self.units.shapes[name], fixed.envelope().width) for name, fixed in self.sent.items()}

    def _own(self, shape: Shape) -> Shape:
        """Of the fraction bits of a parameter."""
        sizes: Mapping[Granularity, Shape] = {
            "layer": (1,) * len(shape),
            "channel": (*shape[:1], *(1,) * (len(shape) - 1)),
            "weight": shape,
        }
        return sizes[self.granularity]

    @cached_property
    def ends(self) -> tuple[int, int, int]:
        """Where values, fraction bits and integer bits end."""
        first, second, third = (sum(map(prod, group.values())) for group in self.shapes)
        return first, first + second, first + second + third

    def parts(self, vector: Tensor) -> Parts:
        """Views of a vector ``[size]``."""
        places = zip((0, *self.ends[:2]), self.ends, self.shapes, strict=True)
        return Parts(*(_views(vector[start:end], shapes) for start, end, shapes in places))

    def join(self, parts: Parts) -> Tensor:
        """The vector of parts, which are expanded to their shapes."""
        groups = zip((parts.values, parts.fraction, parts.integer), self.shapes, strict=True)
        flat = [group[name].expand(shape).reshape(-1) for group, shapes in groups for name, shape in shapes.items()]
        return torch.cat(flat).float()


def _views(vector: Tensor, shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    found, start = dict[str, Tensor](), 0
    for name, shape in shapes.items():
        end = start + prod(shape)
        found[name] = vector[start:end].view(shape)
        start = end
    return found
