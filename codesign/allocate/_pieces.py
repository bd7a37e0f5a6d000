"""What gets a width: a whole tensor, or some output channels of a weight."""

from typing import NamedTuple


class Piece(NamedTuple):
    """A tensor, or some of a weight's output channels.

    Args:
        tensor: The tensor's name.
        channels: First and last-plus-one output channel; None for the whole tensor.
    """

    tensor: str
    channels: tuple[int, int] | None = None
