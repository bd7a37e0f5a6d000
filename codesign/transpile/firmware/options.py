"""What firmware hls4ml is asked for: backend, interface, and how layers are laid out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from codesign.errors import InputError, did_you_mean
from codesign.graph import Graph
from codesign.target import Target
from codesign.transpile.firmware.backends import BACKENDS, BackendName, IoType, Strategy

#: File of a project: for inputs and outputs, in order, which of the network's axes each of the firmware's is; the
#: compiler that its simulation takes; and the backend and interface that it is made for.
INTERFACE = "interface.json"


@dataclass(frozen=True)
class Firmware:
    """Options of hls4ml's projects.

    Args:
        backend: Whose compiler the C++ is for.
        io_type: ``io_parallel``: whole inputs at once; ``io_stream``: positions one after another, channels last.
        part: Part number; empty for the target's.
        strategy: How linear layers and convolutions are laid out; None for the backend's first.
        strategies: The same of single layers, by name.
        reuse_factor: How often a multiplier of a linear layer or a convolution is used for one input.
        reuse_factors: The same of single layers, by name.
        fifo_depth: Elements that the queue after a layer holds, with io_stream; 0 for as many as there are positions.
        fifo_depths: The same of single layers, by name.
    """

    backend: BackendName = "Vitis"
    io_type: IoType = "io_parallel"
    part: str = ""
    strategy: Strategy | None = None
    strategies: dict[str, Strategy] = field(default_factory=dict[str, Strategy])
    reuse_factor: int = 1
    reuse_factors: dict[str, int] = field(default_factory=dict[str, int])
    fifo_depth: int = 0
    fifo_depths: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        _at_least("reuse_factor", 1, self.reuse_factor, self.reuse_factors)
        _at_least("fifo_depth", 0, self.fifo_depth, self.fifo_depths)
        if (self.fifo_depth or self.fifo_depths) and not (self.streamed and BACKENDS[self.backend].queues):
            able = [name for name, backend in BACKENDS.items() if backend.queues]
            found = f"set for {self.backend} with {self.io_type}"
            raise InputError("transpile.hls4ml, fifo_depth", found, f"io_stream with {' or '.join(able)}")
        for name, strategy in {"": self.default_strategy, **self.strategies}.items():
            where = f"transpile.hls4ml, {f'strategies.{name}' if name else 'strategy'}"
            if strategy not in (known := BACKENDS[self.backend].strategies):
                raise InputError(where, f"{strategy!r}, which {self.backend} has not", " or ".join(map(repr, known)))
            if strategy == "distributed_arithmetic":
                self._check_distributed(where, name)

    def _check_distributed(self, where: str, name: str) -> None:
        if find_spec("da4ml") is None:
            raise InputError(where, "'distributed_arithmetic' without da4ml", "", "pip install 'codesign[da]'")
        factors = [self.reuse_factors.get(name, self.reuse_factor)] if name else [self.reuse_factor]
        if factors != [1]:
            raise InputError(where, f"'distributed_arithmetic' with reuse factor {factors[0]}", "reuse factor 1")

    @property
    def default_strategy(self) -> Strategy:
        """The layout of layers that none is set for."""
        return self.strategy or BACKENDS[self.backend].strategies[0]

    @property
    def streamed(self) -> bool:
        """Whether positions come one after another."""
        return self.io_type == "io_stream"

    def layout(self, name: str) -> dict[str, str | int]:
        """hls4ml's settings of a linear layer or a convolution of the network."""
        strategy = self.strategies.get(name, self.default_strategy)
        return {"Strategy": strategy, "ReuseFactor": self.reuse_factors.get(name, self.reuse_factor)}

    def queue(self, name: str) -> int:
        """Depth of the queue after a layer; 0 for as many as there are positions."""
        return self.fifo_depths.get(name, self.fifo_depth)

    def check_layers(self, graph: Graph) -> None:
        """Refuse options of layers that the network doesn't have.

        Raises:
            InputError: With the closest layer's name.
        """
        weighted = [node.name for node in graph.weighted()]
        known = {"strategies": weighted, "reuse_factors": weighted, "fifo_depths": [node.name for node in graph.nodes]}
        for option, names in known.items():
            for name in getattr(self, option):
                if name not in names:
                    where = f"transpile.hls4ml, {option}"
                    raise InputError(where, f"no such layer {name!r}", "", did_you_mean(name, names))

    def check_target(self, target: Target) -> None:
        """Refuse a part that the backend's compiler doesn't make firmware for.

        Raises:
            InputError: With an example of one that it does.
        """
        if target.standard_cells and not self.part:
            step = "use --flow asic, or set transpile.hls4ml.part to a chip's"
            raise InputError(f"target {target.name!r}", "standard cells", "a chip with a part number", step)
        backend, part = BACKENDS[self.backend], self.part or target.part
        if not part.lower().startswith(backend.parts):
            where = "transpile.hls4ml, part" if self.part else f"target {target.name!r}, part"
            step = f"set transpile.hls4ml.part, such as {backend.example!r}"
            raise InputError(where, f"{part!r}, which {self.backend} makes no firmware for", "", step)


def _at_least(option: str, least: int, value: int, values: Mapping[str, int]) -> None:
    for name, number in {"": value, **values}.items():
        if number < least:
            where = f"transpile.hls4ml, {f'{option}s.{name}' if name else option}"
            raise InputError(where, f"{number}", f"at least {least}")
