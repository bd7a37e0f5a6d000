"""What gets bits of its own: a tensor, or some output channels of a weight."""

from typing import NamedTuple


class Piece(NamedTuple):
    """A tensor, or neighbouring output channels of a weight.

    Args:
        tensor: Its name.
        channels: First and last-plus-one output channel; None for the whole tensor.
    """

    tensor: str
    channels: tuple[int, int] | None = None
