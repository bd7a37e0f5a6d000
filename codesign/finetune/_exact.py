"""From a learned vector to integers: codes, formats, and what they cost, counted from them alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import fsum, prod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from codesign.arrays import IntArray
from codesign.errors import ContractError
from codesign.estimate.model.needed import needed
from codesign.estimate.model.terms import bit_length, trailing
from codesign.finetune._layout import Parts
from codesign.finetune._learned import Network, Weighted
from codesign.finetune._units import channel_axis
from codesign.fixed import Fixed
from codesign.quantized import Quantized

Float64 = npt.NDArray[np.float64]
#: Rounds after which nothing dies any more: more than there are layers.
ROUNDS = 100


@dataclass(frozen=True)
class Bits:
    """Bits of an activation's units, of a shape that broadcasts against it.

    Args:
        signed: Whether it has a sign.
        fraction: Bits right of the binary point.
        integer: Bits left of it, the sign left out.
    """

    signed: bool
    fraction: IntArray
    integer: IntArray

    @property
    def width(self) -> IntArray:
        """All bits; 0 for a dead unit."""
        bits = self.fraction + self.integer
        return np.where(bits >= 1, bits + self.signed, 0)

    def fixed(self) -> Fixed:
        """As a format."""
        width = self.width
        if not width.any():  # a tensor has at least one bit: it stands where none of the values reaches
            width = np.zeros_like(width)
            width.reshape(-1)[0] = 1
            return Fixed(False, width, width - self.fraction)
        # A point that no bits stand at makes nothing finer or wider.
        fraction = np.where(width > 0, self.fraction, self.fraction[width > 0].min())
        return Fixed(self.signed, width, width - fraction)


@dataclass(frozen=True)
class Integers:
    """A network in integers, before its formats are made as narrow as they can be.

    Args:
        codes: Of parameters.
        fraction: Fraction bits of each of their codes.
        bits: Of activations.
    """

    codes: dict[str, IntArray]
    fraction: dict[str, IntArray]
    bits: dict[str, Bits]


def integers(network: Network, vector: Tensor) -> Integers:
    """What a learned vector rounds to."""
    with torch.no_grad():
        parts = network.whole(vector)
        shifted = network.shifted(parts)
    fraction = {name: _broadcast(parts.fraction[name], value) for name, value in shifted.items()}
    codes: dict[str, IntArray] = {
        name: np.rint(np.ldexp(value.double().numpy(), fraction[name])).astype(np.int64)
        for name, value in shifted.items()
    }
    return Integers(codes, fraction, _bits(network, parts))


def _broadcast(bits: Tensor, value: Tensor) -> IntArray:
    return bits.expand_as(value).numpy().astype(np.int64)


def _bits(network: Network, parts: Parts) -> dict[str, Bits]:
    fractions = {name: parts.fraction[name].numpy().astype(np.int64) for name in parts.integer}
    return {
        name: Bits(network.layout.signed[name], fractions[name], integer.numpy().astype(np.int64))
        for name, integer in parts.integer.items()
    }


def quantized(network: Network, given: Integers) -> tuple[Quantized, Integers]:
    """The integer network without what is dead, and the integers of it.

    Weights and biases that no output depends on, or that meet a unit without bits, become zero; a unit that nothing
    reads has no bits; no integer bit is left that interval arithmetic proves to be never used.
    """
    for _ in range(ROUNDS):
        made = _network(network, given)
        after = _without_dead(network, given, made)
        if _same(given, after):
            return made, given
        given = after
    raise ContractError("learned bits", "units that die without end", f"an end after {ROUNDS} rounds")


def _network(network: Network, given: Integers) -> Quantized:
    layout = network.layout
    formats = {**layout.sent, **{name: bits.fixed() for name, bits in given.bits.items()}}
    codes: dict[str, IntArray] = {}
    for name, values in given.codes.items():
        codes[name], formats[name] = _narrow(values, given.fraction[name])
    learned = tuple(name for name in layout.graph.inputs if name not in layout.sent)
    return Quantized(layout.graph, formats, codes, learned)


def _widths(network: Network, bits: Mapping[str, Bits], activation: str) -> IntArray:
    """Bits of an activation's units."""
    sent = network.layout.sent_widths
    return sent[activation] if activation in sent else bits[activation].width


def _narrow(codes: IntArray, fraction: IntArray) -> tuple[IntArray, Fixed]:
    """Codes without the zeros at their ends, each in the narrowest signed format that holds it."""
    zeros = trailing(codes)
    odd, point = codes >> zeros, fraction - zeros
    width = np.where(odd != 0, np.maximum(bit_length(np.where(odd < 0, odd + 1, odd)) + 1, 2), 0)
    lowest = point[width > 0].min() if width.any() else 0
    return odd, Fixed(True, width, np.where(width > 0, width - point, -lowest))


def prices(network: Network, given: Integers) -> dict[str, Float64]:
    """What one of what is counted costs, by parameter and element."""
    found: dict[str, Float64] = {name: np.zeros(codes.shape) for name, codes in given.codes.items()}
    for each in network.nodes:
        roles, source = each.node.op.parameters(), network.layout.graph.origin(each.node.inputs[0])
        weight = found[roles["weight"]]
        weight += each.positions * network.cost.price(met(each, _widths(network, given.bits, source), weight.shape))
        if "bias" in roles:  # without weights it is a constant, and free
            found[roles["bias"]] += each.positions * given.codes[roles["weight"]].reshape(len(weight), -1).any(1)
    return found


def met(each: Weighted, of_units: IntArray, shape: tuple[int, ...]) -> IntArray:
    """What each weight finds at the unit that it meets."""
    columns = np.append(of_units.reshape(-1), 0)[each.index.numpy()]  # what meets nothing but padding finds nothing
    return np.broadcast_to(columns, (prod(shape) // len(columns), len(columns))).reshape(shape)


def count(network: Network, given: Integers) -> float:
    """The cost, counted from integers."""
    price = prices(network, given)
    return fsum(float((network.cost.exact(codes) * price[name]).sum()) for name, codes in given.codes.items())


def _without_dead(network: Network, given: Integers, made: Quantized) -> Integers:
    graph, live, raw = made.graph, needed(made), made.accumulators()
    bits: dict[str, Bits] = {}
    for name, own in given.bits.items():
        used = _by_unit(live[name], own.fraction.shape, np.logical_or)
        fraction, integer = own.fraction, np.where(used, own.integer, -own.fraction)
        if name in raw:
            under = (raw[name].low < 0) & own.signed
            reach = np.maximum(raw[name].high, np.where(under, -raw[name].low - 1, 0))
            most = bit_length(_by_unit(np.maximum(reach, 0), fraction.shape, np.maximum)) - raw[name].fraction
            # The least below zero is rounded to one step below zero.
            least = _by_unit(under, fraction.shape, np.logical_or) - fraction
            integer = np.minimum(integer, np.maximum(most, least))
            if (fraction + integer < 1).all():  # one bit is left to a dead tensor, beyond its values
                fraction, integer = -most, most
        bits[name] = replace(own, fraction=fraction, integer=integer)
    kept: dict[str, npt.NDArray[np.bool_]] = {}
    for each in network.nodes:
        roles, source = each.node.op.parameters(), graph.origin(each.node.inputs[0])
        weight = given.codes[roles["weight"]]
        axis = channel_axis(each.node)
        used = np.moveaxis(live[each.node.output], axis, 0).reshape(len(weight), -1).any(1)
        if each.reached.activations and not each.reached.always:
            used &= np.logical_or.reduce([bits[name].width.reshape(-1) > 0 for name in each.reached.activations])
        read = met(each, _widths(network, bits, source), weight.shape) > 0
        masks = {"weight": used.reshape(-1, *[1] * (weight.ndim - 1)) & read, "bias": used}
        for role, parameter in roles.items():  # what is called more than once stays where one call needs it
            kept[parameter] = np.logical_or(kept.get(parameter, False), masks[role])
    codes = {name: values * kept[name] if name in kept else values for name, values in given.codes.items()}
    return Integers(codes, given.fraction, bits)


def _by_unit(values: npt.NDArray[np.generic], shape: tuple[int, ...], merge: np.ufunc) -> IntArray:
    """What the elements of each unit have in common."""
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return merge.reduce(values, axis=axes, keepdims=True)


def _same(before: Integers, after: Integers) -> bool:
    same = all(np.array_equal(codes, after.codes[name]) for name, codes in before.codes.items())
    return same and all(
        np.array_equal(own.width, after.bits[name].width) and np.array_equal(own.fraction, after.bits[name].fraction)
        for name, own in before.bits.items()
    )
