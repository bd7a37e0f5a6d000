"""What a width means for a piece: the expected loss increase, and the weights that become zero."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import fsum

import numpy as np

from codesign.allocate._pieces import Piece
from codesign.calibrate import Float64
from codesign.design import Sensitivity
from codesign.errors import ContractError, InputError
from codesign.fixed import quantize
from codesign.starting import Starting

Widths = Mapping[Piece, list[int]]


def nonzero_table(start: Starting, widths: Widths) -> dict[Piece, dict[int, tuple[int, ...]]]:
    """Weights that do not round to zero, per piece of a weight tensor and width, before fine-tuning.

    One number for a whole tensor, one for each output channel of other pieces. Fine-tuning keeps zeros zero, so that
    a cost counted with these numbers is never exceeded.
    """
    counted: dict[tuple[str, int], tuple[int, ...]] = {}
    table: dict[Piece, dict[int, tuple[int, ...]]] = {}
    for piece, choices in widths.items():
        if piece.tensor not in start.graph.parameters:
            continue
        values = start.graph.parameters[piece.tensor]
        found = table.setdefault(piece, {})
        for bits in choices:
            if piece.channels is None:
                fixed = start.format(piece.tensor, bits)[0]
                found[bits] = (int(np.count_nonzero(quantize(values, fixed, "nearest_even").values)),)
                continue
            if (piece.tensor, bits) not in counted:
                fixed = start.channels(piece.tensor, [bits] * len(values))[0]
                codes = quantize(values, fixed, "nearest_even").values.reshape(len(values), -1)
                counted[piece.tensor, bits] = tuple(np.count_nonzero(codes, axis=1).tolist())
            found[bits] = counted[piece.tensor, bits][_range(piece, len(values))]
    return table


def loss_table(start: Starting, metric: str, sensitivity: Sensitivity, widths: Widths) -> dict[Piece, dict[int, float]]:
    """Expected loss increase per piece and width.

    From a trace, ``1/2 * (trace / elements) * sum of squared quantization errors`` (HAWQ-V2, eq. 11); from the top
    eigenvalue the same with it in place of the mean; a measured loss increase is taken as it is. For some channels of
    a tensor it is the sum over them, each with its own trace where the metric has those. The quantizer is the one that
    fine-tuning starts from. For an activation the error is measured on calibration data, per sample. Network inputs
    are left out: their width is given, not chosen.

    Args:
        start: The network and its calibration data.
        metric: Name of the sensitivity, for messages.
        sensitivity: Scores by tensor.
        widths: The widths to judge, by piece.

    Raises:
        InputError: A tensor was not measured, or not its channels, or its expected loss is not finite.
    """
    losses = _Losses(start, metric, sensitivity)
    table: dict[Piece, dict[int, float]] = {}
    for piece, choices in widths.items():
        name = piece.tensor
        if name in start.graph.inputs:
            continue
        if name not in sensitivity.scores:
            wanted = "a score of every tensor whose bits are chosen"
            hint = f"let sensitivity.{metric} measure all (its option tensors or activations), or use another metric"
            raise InputError(f"tensor {name!r}", f"not measured by sensitivity.{metric}", wanted, hint)
        table[piece] = {bits: losses.increase(piece, bits) for bits in choices}
        if not np.isfinite(list(table[piece].values())).all():
            raise InputError(f"tensor {name!r}", "an expected loss that is not finite", "weights and data in range")
    return table


@dataclass
class _Losses:
    """Expected loss increases; those of a tensor's channels are worked out together, once."""

    start: Starting
    metric: str
    sensitivity: Sensitivity
    known: dict[tuple[str, int], Float64] = field(default_factory=dict[tuple[str, int], Float64])

    def increase(self, piece: Piece, bits: int) -> float:
        """Of a piece at a width."""
        if piece.channels is None:
            return self._tensor(piece.tensor, bits)
        found = self._channels(piece.tensor, bits)
        return fsum(found[_range(piece, len(found))].tolist())

    def _tensor(self, name: str, bits: int) -> float:
        score = self.sensitivity.scores[name]
        if self.sensitivity.quantity == "loss_increase":
            measured = self.sensitivity.increases[name]
            if bits not in measured:
                found = f"{bits} bits, not measured by sensitivity.{self.metric}"
                hint = f"set sensitivity.{self.metric}.bits"
                raise InputError(f"tensor {name!r}", found, f"one of {sorted(measured)}", hint)
            return measured[bits].value
        # The error per element, summed over the elements, times the curvature per element.
        curvature = score.value if self.sensitivity.quantity == "trace" else score.value * score.size
        return 0.5 * curvature * self.start.format(name, bits)[1]

    def _channels(self, name: str, bits: int) -> Float64:
        """Of every output channel of a weight ``[channels]``."""
        if self.sensitivity.quantity == "loss_increase":
            found = f"loss increases of whole tensors only, by sensitivity.{self.metric}"
            hint = "set granularity to 'tensor', or use a metric that gives traces"
            raise InputError(f"tensor {name!r}", found, "a score for each channel", hint)
        if (name, bits) not in self.known:
            errors = self.start.channel_errors(name, bits)
            self.known[name, bits] = 0.5 * self._traces(name, len(errors)) * errors
        return self.known[name, bits]

    def _traces(self, name: str, channels: int) -> Float64:
        """Curvature summed over each output channel's elements ``[channels]``: the tensor's mean if not measured."""
        score = self.sensitivity.scores[name]
        if self.sensitivity.quantity == "eigenvalue":
            return np.full(channels, score.value * score.size / channels)
        if name in self.sensitivity.channels:
            return np.asarray(self.sensitivity.channels[name], np.float64)
        return np.full(channels, score.value / channels)


def _range(piece: Piece, channels: int) -> slice:
    """A piece's place among a tensor's channels."""
    first, last = piece.channels or (0, channels)
    if not 0 <= first < last <= channels:
        raise ContractError(f"piece {piece}", f"channels of {channels}", "a range of them")
    return slice(first, last)
