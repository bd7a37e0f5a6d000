"""The network with learned bits: its outputs, and what its bits cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from codesign.finetune._bits import counted, power, round_weights, significant, truncate, whole
from codesign.finetune._costs import COSTS, Cost, CostName
from codesign.finetune._layout import Layout, Parts
from codesign.finetune._units import Reached
from codesign.fixed import Fixed
from codesign.graph import Node
from codesign.network import QuantizedNetwork
from codesign.torch_forward import role_tensors


@dataclass(frozen=True)
class Network:
    """A graph whose parameters and bits are one vector.

    Args:
        layout: Where they stand.
        cost_name: What is counted.
    """

    layout: Layout
    cost_name: CostName = "counted_ebops"

    @property
    def cost(self) -> Cost:
        """How it is counted."""
        return COSTS[self.cost_name]

    @cached_property
    def nodes(self) -> list["Weighted"]:
        """The nodes with weights, the last first."""
        graph, units = self.layout.graph, self.layout.units
        # Which tensors have a format decides what a bias reaches, not which one.
        carried = QuantizedNetwork(graph, dict.fromkeys(graph.activations(), Fixed(True, 2, 2))).carried
        found = [
            Weighted(
                node, units.meetings[node.name], units.reached(node), units.positions(node), carried.get(node.name)
            )
            for node in graph.weighted()
        ]
        return found[::-1]

    @cached_property
    def offset(self) -> dict[str, str]:
        """The activation of whose step a bias takes half, by the bias's name, where its units are the channels."""
        found: dict[str, set[str | None]] = {}
        for each in self.nodes:
            if (bias := each.node.op.parameters().get("bias")) is not None:
                fits = each.carried in each.reached.activations
                found.setdefault(bias, set()).add(each.carried if fits else None)
        single = {bias: next(iter(names)) if len(names) == 1 else None for bias, names in found.items()}
        return {bias: name for bias, name in single.items() if name is not None}

    def whole(self, vector: Tensor) -> Parts:
        """Parts of a vector, bits as whole numbers."""
        end = self.layout.ends[0]
        return self.layout.parts(torch.cat([vector[:end], whole(vector[end:])]))

    def shifted(self, parts: Parts) -> dict[str, Tensor]:
        """Parameters before rounding: half a step of what follows is added to biases."""
        made = dict(parts.values)
        for bias, name in self.offset.items():
            made[bias] = made[bias] + 0.5 * torch.exp2(-parts.fraction[name].reshape(-1))
        return made

    def forward(self, parts: Parts, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs for inputs ``[batch, ...]``."""
        graph, (*_, bits) = self.layout.graph, self.layout.shapes
        grid = {name: round_weights(value, parts.fraction[name]) for name, value in self.shifted(parts).items()}

        def quantized(name: str, values: Tensor) -> Tensor:
            if name not in bits:
                return values
            return truncate(values, parts.fraction[name], parts.integer[name], self.layout.signed[name])

        def step(node: Node, values: list[Tensor]) -> Tensor:
            return quantized(node.output, node.op.forward(values, role_tensors(node, grid)))

        given = {name: quantized(name, x) for name, x in zip(graph.inputs, inputs, strict=True)}
        values = graph.run(given, step)
        return [values[name] for name in graph.outputs]

    def total(self, parts: Parts) -> Tensor:
        """What all weights and biases cost; dead units are free.

        A unit without bits, or that no weight reads, is dead: weights and biases that lead to it cost nothing. Of a
        layer that is called more than once this holds for each call alone: integers, where weights that one call needs
        are there in all, may cost more.
        """
        shifted, widths = self.shifted(parts), self._widths(parts)
        alive: dict[str, Tensor] = {}
        reads: dict[str, Tensor] = {}
        total = torch.zeros(())
        for each in self.nodes:
            roles = each.node.op.parameters()
            source = self.layout.graph.origin(each.node.inputs[0])
            needed = self._needed(each.reached, alive, widths, reads)
            counts = self._count(shifted, parts, roles["weight"])
            if needed is not None:
                counts = counts * needed.reshape(-1, *[1] * (counts.dim() - 1))
            columns = counts.reshape(-1, len(each.index)).sum(0)
            bits = widths[source].reshape(-1)
            price = torch.where(bits > 0, self.cost.slope * bits + self.cost.offset, 0)
            total = total + each.positions * (columns * functional.pad(price, (0, 1))[each.index]).sum()
            met = functional.pad(torch.zeros_like(bits), (0, 1)).index_add(0, each.index, columns.detach())[:-1]
            reads[source] = reads[source] + met if source in reads else met
            if "bias" in roles:  # without weights it is a constant, and free
                summed = (counts.detach().reshape(len(counts), -1).sum(1) > 0).float()
                total = total + each.positions * (summed * self._count(shifted, parts, roles["bias"])).sum()
        return total

    def _count(self, shifted: Mapping[str, Tensor], parts: Parts, name: str) -> Tensor:
        value, fraction = shifted[name], parts.fraction[name]
        codes = (value.detach() * power(fraction.detach())).round()
        bits, found = significant(codes), self.cost.count(codes)
        return counted(value, fraction, found, found / bits.clamp(min=1))

    def _widths(self, parts: Parts) -> dict[str, Tensor]:
        """Bits of every activation's units, the sign included; 0 where there are none."""
        found = {name: torch.tensor(width).float() for name, width in self.layout.sent_widths.items()}
        for name, integer in parts.integer.items():
            bits = parts.fraction[name] + integer
            found[name] = torch.where(bits >= 1, bits + float(self.layout.signed[name]), 0)
        return found

    def _needed(
        self,
        reached: Reached,
        alive: dict[str, Tensor],
        widths: Mapping[str, Tensor],
        reads: Mapping[str, Tensor],
    ) -> Tensor | None:
        """1 for every channel that something depends on; None for all."""
        if reached.always:
            return None
        found = [self._alive(name, alive, widths, reads) for name in reached.activations]
        return torch.stack(found).amax(0) if found else None

    def _alive(
        self, name: str, alive: dict[str, Tensor], widths: Mapping[str, Tensor], reads: Mapping[str, Tensor]
    ) -> Tensor:
        """1 for every unit of an activation that has bits and is read."""
        if name not in alive:
            onward = self.layout.units.onward(name)
            has = (widths[name].reshape(-1) > 0).float().detach()
            if name in reads:
                read = (reads[name] > 0).float()
                after = [self._alive(other, alive, widths, reads) for other in onward.activations]
                has = has if onward.always else has * torch.stack([read, *after]).amax(0)
            alive[name] = has
        return alive[name]


@dataclass(frozen=True)
class Weighted:
    """A node with weights, and what its cost depends on.

    Args:
        node: The node.
        index: Units of its input that its weights meet, ``[columns]`` of weights ``[rows, columns]``.
        reached: What its channels are needed for.
        positions: Places at which its weights are used.
        carried: The quantized tensor that its bias reaches unchanged, if there is one.
    """

    node: Node
    index: Tensor
    reached: Reached
    positions: int
    carried: str | None = field(default=None)
