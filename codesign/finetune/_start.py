"""Where learned bits start, and how far they may go."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log2
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from codesign.arrays import FloatArray
from codesign.design import Design
from codesign.finetune._costs import CostName
from codesign.finetune._layout import Granularity, Layout, Parts
from codesign.finetune._learned import Network
from codesign.finetune._step import Limits
from codesign.fixed import Fixed
from codesign.starting import Starting, sent_formats

#: Where bits start from: the Hessian's diagonal at the cost of the allocated bits, those bits, or the same for all.
StartName = Literal["curvature", "allocation", "plain"]
#: Bits of weights, and of activations, that start the same for all.
PLAIN = 6
#: Bits that weights and activations have at most below the largest magnitude of their tensor, and how far below zero
#: bits they may go, so that what has none takes a while to come back; integer bits above and below the largest.
MOST, BELOW, ABOVE, UNDER = 10, 4, 3, 8
#: Halvings of the interval in which the level of curvature is looked for.
HALVINGS = 40
#: Of the largest magnitudes of a unit, the share that its integer bits need not hold at the start.
OUTSIDE = 0.001


@dataclass(frozen=True)
class Beginning:
    """A network with learned bits, the vector that it starts from, and the vector's limits."""

    network: Network
    vector: Tensor
    limits: Limits


def beginning(
    design: Design, granularity: Granularity, cost: CostName, start: StartName, calibration: int, metric: str
) -> Beginning:
    """From the float network and the allocated bits.

    Args:
        design: Graph, data, allocation; the sensitivity if it is started from.
        granularity: What has bits of its own.
        cost: What is counted.
        start: Where bits start from.
        calibration: Training samples on which activations are looked at.
        metric: The sensitivity with the diagonal.
    """
    seen = Starting.of(design, calibration, design.allocation.formats)
    graph = design.graph
    signed = {name: seen.signed[name] for name in graph.activations()}
    layout = Layout(graph, signed, granularity, sent_formats(design))
    network = Network(layout, cost)
    tops = {name: _top(values) for name, values in graph.parameters.items()}
    largest = {name: _largest(values, layout.units.shapes[name]) for name, values in seen.values.items()}
    for node in graph.weighted():  # a bias can be zero yet, and is as large as the sums that it is added to
        roles = node.op.parameters()
        if "bias" in roles:
            source = graph.origin(node.inputs[0])
            tops[roles["bias"]] = tops[roles["weight"]] + int(largest[source].max())
    formats = {name: seen.format(name, width)[0] for name, width in design.allocation.point.bits.items()}
    fraction: dict[str, Tensor] = {}
    for name, shape in layout.shapes[1].items():
        plain = torch.full(shape, float(PLAIN)) - (largest[name] if name in largest else tops[name])
        fraction[name] = plain if start == "plain" or name not in formats else _fraction(formats[name], shape, plain)
    for bias, name in network.offset.items():
        fraction[bias] = fraction[name].reshape(-1).amax().add(1).expand(layout.shapes[1][bias])
    values = {name: torch.tensor(np.asarray(value, np.float32)) for name, value in graph.parameters.items()}
    integer = {name: largest[name].float() for name in layout.shapes[2]}
    limits = _limits(layout, tops, largest)
    vector = layout.join(Parts(values, fraction, integer)).clamp(limits.low, limits.high)
    if start == "curvature":
        vector = _by_curvature(network, vector, limits, design.sensitivity[metric].elements)
    return Beginning(network, vector, limits)


def _top(values: FloatArray) -> int:
    """Integer bits of the largest magnitude."""
    largest = float(np.abs(values).max(initial=0.0))
    return ceil(log2(largest)) if largest > 0 else 0


def _largest(values: FloatArray, shape: tuple[int, ...]) -> Tensor:
    """Integer bits that nearly all values ``[samples, ...]`` of each unit need, the sign left out."""
    own = tuple(axis + 1 for axis, size in enumerate(shape) if size == 1)
    sizes = np.quantile(np.abs(values), 1 - OUTSIDE, axis=(0, *own), keepdims=True)[0]
    floor = max(float(sizes.max()), 2.0**-UNDER) * 2.0**-UNDER
    return torch.tensor(np.ceil(np.log2(np.maximum(sizes, floor)))).float().reshape(shape)


def _fraction(fixed: Fixed, shape: tuple[int, ...], plain: Tensor) -> Tensor:
    """Fraction bits of a format; where it has no bits, so few that weights round to zero."""
    width, fraction = (torch.as_tensor(np.array(bits)).float() for bits in (fixed.width, fixed.fraction))
    found = torch.where(width > 0, fraction, -torch.inf)
    if np.broadcast_shapes(found.shape, shape) != shape:  # finer formats than there are bits for: the finest
        found = found.amax()
    return torch.maximum(found.expand(shape), plain - PLAIN - 1)


def _limits(layout: Layout, tops: Mapping[str, int], largest: Mapping[str, Tensor]) -> Limits:
    values, fractions, integers = layout.shapes
    top = {name: torch.tensor(float(tops[name])) if name in tops else largest[name].amax() for name in fractions}

    def ends(value: float, fraction: float, integer: float) -> Tensor:
        return layout.join(
            Parts(
                {name: torch.tensor(value) for name in values},
                {name: fraction - top[name] for name in fractions},
                {name: integer + top[name] for name in integers},
            )
        )

    return Limits(
        ends(-torch.inf, -BELOW, -UNDER),
        ends(torch.inf, MOST, ABOVE),
        torch.cat([torch.zeros(layout.ends[0]), torch.ones(layout.ends[2] - layout.ends[0])]),
    )


@torch.no_grad()
def _by_curvature(network: Network, vector: Tensor, limits: Limits, diagonal: Mapping[str, FloatArray]) -> Tensor:
    """Bits of weights by reverse water-filling: as much cost as before, spread by the Hessian's diagonal ``h``.

    The predicted loss ``1/2 sum h e^2`` with errors ``e^2 = 2^-2f / 12`` is least, for a sum of bits, at
    ``f = 1/2 log2(h / level)``. A weight then rounds to zero where ``w^2 h < level / 4``: in the order of the
    saliencies of Optimal Brain Damage (LeCun et al., 1990).
    """
    layout = network.layout
    wanted = float(network.total(network.whole(vector)))
    low, high = -60.0, 60.0
    found = vector
    for _ in range(HALVINGS):
        level = (low + high) / 2
        parts = layout.parts(vector)
        fraction = dict(parts.fraction)
        for name, values in diagonal.items():
            if name in network.layout.graph.weights():
                curvature = torch.tensor(np.maximum(values, 1e-30)).float()
                own = (curvature.log2() - level) / 2
                fraction[name] = own.sum_to_size(fraction[name].shape) * fraction[name].numel() / own.numel()
        found = layout.join(Parts(parts.values, fraction, parts.integer)).clamp(limits.low, limits.high)
        if float(network.total(network.whole(found))) > wanted:
            low = level
        else:
            high = level
    return found
