"""Block RAMs that hold weights."""

from dataclasses import dataclass
from typing import ClassVar

from codesign.allocate.costs._cost import Cost, Part

#: Bits of a word and words of one 36 kb block: AMD UG573, Block RAM Resources (72 bits in simple dual port mode).
ASPECT_RATIOS = ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192), (2, 16384), (1, 32768))


def blocks(width: int, depth: int) -> int:
    """Fewest 36 kb blocks, all of one aspect ratio, for a memory.

    Args:
        width: Bits of a word.
        depth: Words.
    """
    return min(-(-width // wide) * -(-depth // deep) for wide, deep in ASPECT_RATIOS)


@dataclass(frozen=True)
class Bram(Cost):
    """36 kb blocks for ``min(R, weights)`` words of ``b_w ceil(weights / R)`` bits, one memory per layer.

    ``R`` is the reuse factor: a word holds the weights of all multipliers for one of ``R`` steps. With ``R`` 1 all are
    read at once. Zero weights are stored.

    Source: the layout of hls4ml's resource strategy (``nnet_utils/nnet_dense_resource.h``: reshaped into blocks of
    ``ceil(weights / R)``, in block ROM); aspect ratios of AMD UG573. Buffers of activations are left out, and so is
    putting two small memories into one block.
    """

    unit: ClassVar[str] = "36 kb block RAMs"
    by_channel: ClassVar[bool] = False

    def part(self, part: Part) -> float:
        """Blocks for its weights."""
        reuse = self.hardware.reuse_factor
        return float(blocks(part.weight_bits * -(-part.weights // reuse), min(reuse, part.weights)))

    def limit(self) -> float | None:
        """Blocks that the network may use."""
        return self.hardware.target.bram_36k
