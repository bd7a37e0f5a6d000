"""Windows that slide over the positions of a tensor, as convolutions and pooling see it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import InputError
from codesign.ops.op import Shape, TorchCall

#: Integers, or floats where only a bound is wanted.
Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Windows:
    """The same window at regular steps, one number per position axis.

    Args:
        kernel: Elements of the window.
        stride: Steps between windows.
        padding: Elements added at both ends of the axis.
        dilation: Steps between the elements of a window.
    """

    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape

    def positions(self, axes: Shape) -> Shape:
        """Number of windows along axes of the given lengths; not positive where none fits."""
        return tuple(room // step + 1 for room, step in zip(self._rooms(axes), self.stride, strict=True))

    def left_over(self, axes: Shape) -> Shape:
        """Elements at the end of padded axes that no window reaches."""
        return tuple(room % step for room, step in zip(self._rooms(axes), self.stride, strict=True))

    def _rooms(self, axes: Shape) -> Shape:
        """How far the window can slide along axes of the given lengths."""
        spans = [(size - 1) * step + 1 for size, step in zip(self.kernel, self.dilation, strict=True)]
        return tuple(axis + 2 * pad - span for axis, pad, span in zip(axes, self.padding, spans, strict=True))

    def output(self, name: str, given: Shape, channels: int | None = None) -> Shape:
        """Positions for an input ``[channels, *positions]``.

        Args:
            name: The layer's name, for messages.
            given: The input's shape.
            channels: How many it must have, if that is known.

        Raises:
            InputError: It has other axes, or no window fits.
        """
        check_axes(name, given, len(self.kernel), channels)
        positions = self.positions(given[1:])
        if min(positions) < 1:
            raise InputError(
                f"layer {name!r}", f"input of shape {list(given)}", f"room for a window of {list(self.kernel)}"
            )
        return positions

    def onnx_attributes(self) -> dict[str, Shape]:
        """As ONNX nodes say it, dilation left out."""
        return {"kernel_shape": self.kernel, "strides": self.stride, "pads": self.padding * 2}

    def places(self, axes: Shape) -> Iterator[tuple[slice, ...]]:
        """For each element of the window, in order, where it comes to lie on padded axes.

        Args:
            axes: Lengths before padding.
        """
        counts = self.positions(axes)
        for element in product(*map(range, self.kernel)):
            starts = [index * step for index, step in zip(element, self.dilation, strict=True)]
            yield tuple(
                slice(start, start + (count - 1) * step + 1, step)
                for start, count, step in zip(starts, counts, self.stride, strict=True)
            )

    def elements(self, values: Values, fill: int = 0) -> Iterator[Values]:
        """What each element of the window meets, ``[..., *positions]``.

        One element after another needs no copy of the input per element, as gathering whole windows would.

        Args:
            values: ``[..., *axes]``.
            fill: What lies in the padding.
        """
        rank = len(self.kernel)
        ends = [(0, 0)] * (values.ndim - rank) + [(pad, pad) for pad in self.padding]
        padded = np.pad(values, ends, constant_values=fill)
        for place in self.places(values.shape[-rank:]):
            yield padded[(..., *place)]


def check_axes(name: str, given: Shape, rank: int, channels: int | None = None) -> None:
    """Refuse an input that is not ``[channels, *positions]``.

    Raises:
        InputError: It has another number of axes or channels.
    """
    if len(given) != rank + 1 or channels not in (None, given[0]):
        axes = [
            "channels" if channels is None else str(channels),
            *(["positions"] if rank == 1 else ["height", "width"]),
        ]
        raise InputError(
            f"layer {name!r}",
            f"input of shape {list(given)}",
            f"[{', '.join(axes)}], channels first",
            "give the data that shape" if len(given) != rank + 1 else "",
        )


def pooling(call: TorchCall, names: tuple[str, ...]) -> tuple[Windows, dict[str, Any]]:
    """The windows of a pooling call, over as many axes as its name says, and its options.

    Args:
        call: ``nn.SOMEPool1d``, ``F.some_pool2d`` and the like.
        names: Its options in torch's order.

    Raises:
        InputError: Windows may hang over the end.
    """
    options, rank = call.options(*names), 1 if call.target.endswith("1d") else 2
    if options.get("ceil_mode"):
        raise InputError(
            f"layer {call.path!r}", "pooling with ceil_mode", "ceil_mode=False", "pad or crop the input to fit"
        )
    kernel = options["kernel_size"]
    stride = options.get("stride") or kernel  # torch: None or an empty list is the kernel
    sizes = [per_axis(value, rank) for value in (kernel, stride, options.get("padding", 0), 1)]
    return Windows(*sizes), options


def per_axis(value: int | tuple[int, ...], rank: int) -> Shape:
    """Torch's way: one number stands for all axes."""
    given = (value,) if isinstance(value, int) else tuple(value)
    return given * rank if len(given) == 1 else given
